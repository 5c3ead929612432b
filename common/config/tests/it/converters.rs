use databridge_config::{Converter, Surroundings};
use databridge_model::{FieldType, Point, Value};
use proptest::prelude::*;

const TYPES: [FieldType; 8] = [
    FieldType::Bool,
    FieldType::Int,
    FieldType::Decimal,
    FieldType::Text,
    FieldType::Date,
    FieldType::Instant,
    FieldType::Point,
    FieldType::Ref,
];

/// A value of this type, in canonical form.
fn value_of(kind: &FieldType) -> BoxedStrategy<Value> {
    let canonical = kind.clone();
    let some = match kind {
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Int => any::<i64>().prop_map(Value::Int).boxed(),
        FieldType::Decimal => "-?[0-9]{1,18}(\\.[0-9]{1,9})?".prop_map(Value::Text).boxed(),
        FieldType::Text | FieldType::Ref => any::<String>().prop_map(Value::text).boxed(),
        FieldType::Date => {
            (1900..2100, 1..13, 1..29).prop_map(|(y, m, d)| Value::Text(format!("{y}-{m:02}-{d:02}"))).boxed()
        }
        FieldType::Instant => (0..24, 0..60, 0..1000)
            .prop_map(|(h, m, ms)| Value::Text(format!("2026-11-20T{h:02}:{m:02}:00.{ms:03}+05:30")))
            .boxed(),
        FieldType::Point => {
            (-180.0..180.0, -90.0..90.0).prop_map(|(lon, lat)| Value::Point(Point::rounded(lon, lat))).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 9 => some]
        .prop_map(move |value| canonical.canonical(value).unwrap())
        .boxed()
}

/// A pair of types and a value of the first.
fn pairs() -> impl Strategy<Value = (FieldType, FieldType, Value)> {
    (0..TYPES.len(), 0..TYPES.len()).prop_flat_map(|(from, to)| {
        let [Some(from), Some(to)] = [TYPES.get(from), TYPES.get(to)] else { panic!("an index too far") };
        (Just(from.clone()), Just(to.clone()), value_of(from))
    })
}

proptest! {
    #[test]
    fn what_the_check_lets_pass_can_always_be_converted((from, to, value) in pairs()) {
        for converter in [Converter::Same, Converter::Longitude, Converter::Latitude] {
            if converter.check(&from, &to).is_ok() {
                let converted = converter.apply(&value, &to, Surroundings::default()).unwrap();
                prop_assert_eq!(to.canonical(converted.clone()).unwrap(), converted.clone());
                prop_assert_eq!(converted.is_null(), value.is_null());
            }
        }
    }

    #[test]
    fn what_goes_both_ways_comes_back_as_it_was((from, to, value) in pairs()) {
        let both = Converter::Same.check(&from, &to).is_ok() && Converter::Same.check(&to, &from).is_ok();
        if both {
            let there = Converter::Same.apply(&value, &to, Surroundings::default()).unwrap();
            prop_assert_eq!(Converter::Same.apply(&there, &from, Surroundings::default()).unwrap(), value);
        }
    }

    #[test]
    fn the_degrees_of_a_point_are_those_of_the_point(lon in -180.0..180.0, lat in -90.0..90.0) {
        let point = Point::rounded(lon, lat);
        let degrees = |converter: Converter, to: &FieldType| -> f64 {
            let value = converter.apply(&Value::Point(point), to, Surroundings::default()).unwrap();
            value.as_text().unwrap().parse().unwrap()
        };
        for to in [FieldType::Text, FieldType::Decimal] {
            prop_assert!((degrees(Converter::Longitude, &to) - point.lon).abs() < 1e-9);
            prop_assert!((degrees(Converter::Latitude, &to) - point.lat).abs() < 1e-9);
        }
    }
}

#[test]
fn a_zero_has_no_sign() {
    let value = Value::Point(Point::rounded(-0.000_000_001, -0.0));
    for converter in [Converter::Longitude, Converter::Latitude] {
        assert_eq!(
            converter.apply(&value, &FieldType::Text, Surroundings::default()),
            Ok(Value::Text("0".to_owned()))
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_told_and_not_guessed() {
    let error = Converter::Longitude
        .apply(&Value::text("downtown"), &FieldType::Text, Surroundings::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "`downtown` is no point");
    let error =
        Converter::Same.apply(&Value::text("soon"), &FieldType::Date, Surroundings::default()).unwrap_err();
    assert_eq!(error.to_string(), "`soon` is no date");
}

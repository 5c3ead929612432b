//! Converters: how a value of one side becomes a value of the other.

use databridge_model::{FieldType, Value, ValueError};
use serde::Deserialize;

/// A converter, as a route names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Converter {
    /// The same value, in the other side's type.
    #[default]
    Same,
    /// A point's degrees east. Has no way back.
    Longitude,
    /// A point's degrees north. Has no way back.
    Latitude,
}

impl Converter {
    /// Whether a value can be converted from one type to the other; the reason where not.
    pub fn check(self, from: &FieldType, to: &FieldType) -> Result<(), String> {
        let fits = match self {
            Self::Same => {
                from == to
                    || matches!(
                        (from, to),
                        (
                            FieldType::Int | FieldType::Decimal | FieldType::Ref | FieldType::Date,
                            FieldType::Text
                        ) | (FieldType::Int, FieldType::Decimal)
                            | (FieldType::Text, FieldType::Ref)
                    )
            }
            Self::Longitude | Self::Latitude => {
                *from == FieldType::Point && matches!(to, FieldType::Decimal | FieldType::Text)
            }
        };
        if fits { Ok(()) } else { Err(format!("the converter `{}` makes no {to} of a {from}", self.name())) }
    }

    /// Converts a canonical value into a canonical value of type `to`.
    pub fn apply(self, value: &Value, to: &FieldType) -> Result<Value, ValueError> {
        let plain = match (self, value) {
            (_, Value::Null) => return Ok(Value::Null),
            // Zero is added so that a zero below has no sign.
            (Self::Longitude, Value::Point(point)) => Value::Text((point.lon + 0.0).to_string()),
            (Self::Latitude, Value::Point(point)) => Value::Text((point.lat + 0.0).to_string()),
            (Self::Longitude | Self::Latitude, other) => {
                return Err(ValueError {
                    found: format!("`{}`", other.shortened()),
                    wanted: "point".to_owned(),
                });
            }
            (Self::Same, Value::Int(number)) if *to == FieldType::Text => Value::Text(number.to_string()),
            (Self::Same, other) => other.clone(),
        };
        to.canonical(plain)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Longitude => "longitude",
            Self::Latitude => "latitude",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use databridge_model::Point;

    #[test]
    fn longitude_is_degrees_east_and_latitude_degrees_north() {
        let memphis = Value::Point(Point::rounded(-90.05, 35.15));
        assert_eq!(Converter::Longitude.apply(&memphis, &FieldType::Text), Ok(Value::Text("-90.05".into())));
        assert_eq!(Converter::Latitude.apply(&memphis, &FieldType::Decimal), Ok(Value::Text("35.15".into())));
    }

    #[test]
    fn a_place_that_is_missing_stays_empty() {
        assert_eq!(Converter::Longitude.apply(&Value::Null, &FieldType::Decimal), Ok(Value::Null));
    }

    #[test]
    fn a_number_becomes_text_and_an_integer_a_decimal() {
        assert_eq!(Converter::Same.apply(&Value::Int(7), &FieldType::Text), Ok(Value::Text("7".into())));
        assert_eq!(Converter::Same.apply(&Value::Int(7), &FieldType::Decimal), Ok(Value::Text("7".into())));
        assert!(Converter::Same.check(&FieldType::Text, &FieldType::Int).is_err());
    }
}

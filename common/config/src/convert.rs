//! Converters: how a value of one side becomes a value of the other.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
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
    /// An instant's day by the local clock. The way back keeps the time of day of the instant that is there; where
    /// there is none, it is midnight.
    LocalDate,
    /// The whole number with which a text begins (`7` of `7-North`); empty where it begins with none. Has no way back.
    LeadingInt,
}

/// What a conversion looks at beside the value.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The local clock.
    pub zone: Tz,
    /// What the target shows now.
    pub current: &'a Value,
}

impl Default for Surroundings<'_> {
    /// UTC, and nothing there.
    fn default() -> Self {
        Self { zone: Tz::UTC, current: &Value::Null }
    }
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
            Self::LocalDate => {
                matches!(
                    (from, to),
                    (FieldType::Instant, FieldType::Date) | (FieldType::Date, FieldType::Instant)
                )
            }
            Self::LeadingInt => *from == FieldType::Text && *to == FieldType::Int,
        };
        if fits { Ok(()) } else { Err(format!("the converter `{}` makes no {to} of a {from}", self.name())) }
    }

    /// Converts a canonical value into a canonical value of type `to`.
    pub fn apply(self, value: &Value, to: &FieldType, around: Surroundings<'_>) -> Result<Value, ValueError> {
        let wrong = |value: &Value, wanted: &str| ValueError {
            found: format!("`{}`", value.shortened()),
            wanted: wanted.to_owned(),
        };
        let plain = match (self, value) {
            (_, Value::Null) => return Ok(Value::Null),
            (Self::LocalDate, value) if *to == FieldType::Date => {
                let at = instant(value).ok_or_else(|| wrong(value, "instant"))?;
                Value::Text(at.with_timezone(&around.zone).date_naive().to_string())
            }
            (Self::LocalDate, value) => {
                let day = date(value).ok_or_else(|| wrong(value, "date"))?;
                let time = instant(around.current).map(|at| at.with_timezone(&around.zone).time());
                Value::instant(at_local(day, time.unwrap_or(NaiveTime::MIN), around.zone))
            }
            (Self::LeadingInt, Value::Text(text)) => {
                let digits: String = text.trim_start().chars().take_while(char::is_ascii_digit).collect();
                digits.parse().map_or(Value::Null, Value::Int)
            }
            (Self::LeadingInt, other) => return Err(wrong(other, "text")),
            // Zero is added so that a zero below has no sign.
            (Self::Longitude, Value::Point(point)) => Value::Text((point.lon + 0.0).to_string()),
            (Self::Latitude, Value::Point(point)) => Value::Text((point.lat + 0.0).to_string()),
            (Self::Longitude | Self::Latitude, other) => {
                return Err(wrong(other, "point"));
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
            Self::LocalDate => "local_date",
            Self::LeadingInt => "leading_int",
        }
    }
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let canonical = FieldType::Instant.canonical(value.clone()).ok()?;
    Some(DateTime::parse_from_rfc3339(canonical.as_text()?).ok()?.with_timezone(&Utc))
}

/// A day that is no canonical one is none: the clocks of a zone end with those that chrono can tell.
fn date(value: &Value) -> Option<NaiveDate> {
    let canonical = FieldType::Date.canonical(value.clone()).ok()?;
    NaiveDate::parse_from_str(canonical.as_text()?, "%Y-%m-%d").ok()
}

/// The instant at which the local clock shows this. What it shows twice is the first; what it leaps over is the
/// instant that it leaps to, as far after it.
fn at_local(day: NaiveDate, time: NaiveTime, zone: Tz) -> DateTime<Utc> {
    let mut wall = day.and_time(time);
    for _ in 0..8 {
        if let Some(at) = zone.from_local_datetime(&wall).earliest() {
            return at.with_timezone(&Utc);
        }
        // Clocks leap over at most a day, nearly all by one hour.
        wall += TimeDelta::minutes(30);
    }
    Utc.from_utc_datetime(&wall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use databridge_model::Point;

    const AROUND: Surroundings<'static> =
        Surroundings { zone: chrono_tz::America::Chicago, current: &Value::Null };

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn longitude_is_degrees_east_and_latitude_degrees_north() {
        let memphis = Value::Point(Point::rounded(-90.05, 35.15));
        assert_eq!(
            Converter::Longitude.apply(&memphis, &FieldType::Text, AROUND),
            Ok(Value::Text("-90.05".into()))
        );
        assert_eq!(
            Converter::Latitude.apply(&memphis, &FieldType::Decimal, AROUND),
            Ok(Value::Text("35.15".into()))
        );
    }

    #[test]
    fn a_place_that_is_missing_stays_empty() {
        assert_eq!(Converter::Longitude.apply(&Value::Null, &FieldType::Decimal, AROUND), Ok(Value::Null));
    }

    #[test]
    fn a_number_becomes_text_and_an_integer_a_decimal() {
        assert_eq!(
            Converter::Same.apply(&Value::Int(7), &FieldType::Text, AROUND),
            Ok(Value::Text("7".into()))
        );
        assert_eq!(
            Converter::Same.apply(&Value::Int(7), &FieldType::Decimal, AROUND),
            Ok(Value::Text("7".into()))
        );
        assert!(Converter::Same.check(&FieldType::Text, &FieldType::Int).is_err());
    }

    #[test]
    fn an_instant_is_a_day_by_the_local_clock() {
        let evening = text("2026-11-21T05:30:00Z");
        let day = Converter::LocalDate.apply(&evening, &FieldType::Date, AROUND);
        assert_eq!(day, Ok(text("2026-11-20")));
    }

    #[test]
    fn another_day_keeps_the_time_of_day_also_across_a_change_of_the_clock() {
        // 9:00 in Memphis, in summer and in winter.
        let current = text("2026-10-30T14:00:00Z");
        let around = Surroundings { current: &current, ..AROUND };
        let moved = Converter::LocalDate.apply(&text("2026-11-02"), &FieldType::Instant, around);
        assert_eq!(moved, Ok(text("2026-11-02T15:00:00Z")));
    }

    #[test]
    fn a_day_at_the_end_of_all_calendars_is_refused() {
        let current = text("2026-10-31T04:59:59Z");
        let around = Surroundings { current: &current, ..AROUND };
        let error =
            Converter::LocalDate.apply(&text("+262142-12-31"), &FieldType::Instant, around).unwrap_err();
        assert_eq!(error.to_string(), "`+262142-12-31` is no date");
    }

    #[test]
    fn a_day_without_a_time_is_its_local_midnight() {
        let at = Converter::LocalDate.apply(&text("2026-12-01"), &FieldType::Instant, AROUND);
        assert_eq!(at, Ok(text("2026-12-01T06:00:00Z")));
    }

    #[test]
    fn a_time_that_the_clock_leaps_over_is_taken_just_after() {
        // On 2027-03-14 the clock goes from 2:00 to 3:00.
        let current = text("2027-03-10T08:30:00Z");
        let around = Surroundings { current: &current, ..AROUND };
        let at = Converter::LocalDate.apply(&text("2027-03-14"), &FieldType::Instant, around);
        assert_eq!(at, Ok(text("2027-03-14T08:00:00Z")));
    }

    #[test]
    fn the_number_before_the_dash_is_taken_and_a_text_without_one_is_empty() {
        for (from, number) in [("7-North", Value::Int(7)), ("North", Value::Null), ("12", Value::Int(12))] {
            let taken = Converter::LeadingInt.apply(&text(from), &FieldType::Int, AROUND);
            assert_eq!(taken, Ok(number), "{from}");
        }
    }
}

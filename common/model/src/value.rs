//! Field values and their types.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fields of a record by name. A name that is absent says nothing; a name with null says "empty".
pub type Fields = BTreeMap<String, Value>;

/// One field's value, as plain JSON. Its type is declared in the system file; see [`FieldType`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected null, true, false, an integer, text or {\"lon\",\"lat\"}; decimals are text"
)]
pub enum Value {
    /// Empty.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text, a decimal (`"12.5"`), a date (`"2026-11-20"`), an instant (`"2026-11-20T15:00:00Z"`) or a reference.
    Text(String),
    /// A place.
    Point(Point),
}

/// A place in WGS 84, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
}

impl Point {
    /// A point rounded to seven decimals (about a centimetre), so that one stored place always compares equal.
    pub fn rounded(lon: f64, lat: f64) -> Self {
        // Zero is added so that a zero below has no sign.
        let round = |degrees: f64| (degrees * 1e7).round() / 1e7 + 0.0;
        Self { lon: round(lon), lat: round(lat) }
    }

    /// Whether there is such a place.
    pub fn is_on_earth(&self) -> bool {
        self.lon.abs() <= 180.0 && self.lat.abs() <= 90.0
    }
}

/// The declared type of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A decimal number, carried as text.
    Decimal,
    /// Text.
    Text,
    /// A calendar date, `2026-11-20`.
    Date,
    /// A moment in UTC, `2026-11-20T15:00:00Z`.
    Instant,
    /// A place in WGS 84.
    Point,
    /// The id of another record.
    Ref,
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Date => "date",
            Self::Instant => "instant",
            Self::Point => "point",
            Self::Ref => "ref",
        })
    }
}

/// A value is not of the type that its field declares.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} is no {wanted}")]
pub struct ValueError {
    /// The value, shortened.
    pub found: String,
    /// The declared type.
    pub wanted: String,
}

impl Value {
    /// Text, or null where it is empty.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Null } else { Self::Text(text) }
    }

    /// An instant in its canonical form: UTC, milliseconds only where there are some.
    pub fn instant(at: DateTime<Utc>) -> Self {
        let at = to_milliseconds(at);
        let format =
            if at.timestamp_subsec_millis() == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
        Self::Text(at.to_rfc3339_opts(format, true))
    }

    /// Whether the value is empty.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a text value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a person would read it; null is the empty text.
    pub fn to_plain(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::Point(point) => format!("{} {}", point.lon, point.lat),
        }
    }

    /// The value in at most 60 characters, for messages.
    pub fn shortened(&self) -> String {
        let plain = self.to_plain();
        if plain.chars().count() <= 60 {
            plain
        } else {
            format!("{}… ({} characters)", plain.chars().take(50).collect::<String>(), plain.chars().count())
        }
    }
}

impl FieldType {
    /// The canonical form of a value of this type: equal values have one form.
    ///
    /// Instants are in UTC, decimals without exponent and trailing zeros, empty text is null.
    pub fn canonical(&self, value: Value) -> Result<Value, ValueError> {
        let wrong = |value: &Value| ValueError {
            found: format!("`{}`", value.shortened()),
            wanted: self.to_string(),
        };
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            (_, Value::Text(text)) if text.is_empty() => Ok(Value::Null),
            (Self::Text | Self::Ref, Value::Text(text)) => Ok(Value::Text(text)),
            (Self::Bool, value @ Value::Bool(_)) | (Self::Int, value @ Value::Int(_)) => Ok(value),
            (Self::Point, Value::Point(point)) if point.is_on_earth() => {
                Ok(Value::Point(Point::rounded(point.lon, point.lat)))
            }
            (Self::Int, Value::Text(text)) => {
                text.trim().parse().map(Value::Int).map_err(|_| wrong(&Value::Text(text)))
            }
            (Self::Decimal, Value::Int(number)) => Ok(Value::Text(number.to_string())),
            (Self::Decimal, Value::Text(text)) => {
                canonical_decimal(text.trim()).map(Value::Text).ok_or_else(|| wrong(&Value::Text(text)))
            }
            (Self::Date, Value::Text(text)) => match NaiveDate::parse_from_str(&text, "%Y-%m-%d") {
                Ok(date) if has_four_digits(date.year()) => Ok(Value::Text(date.to_string())),
                _ => Err(wrong(&Value::Text(text))),
            },
            (Self::Instant, Value::Text(text)) => match DateTime::parse_from_rfc3339(&text) {
                Ok(at) if has_four_digits(to_milliseconds(at.to_utc()).year()) => {
                    Ok(Value::instant(at.to_utc()))
                }
                _ => Err(wrong(&Value::Text(text))),
            },
            (_, value) => Err(wrong(&value)),
        }
    }

    /// Whether `shown` is what a system may make of `written` by itself: trimmed, cut, or taken to a coarser time.
    ///
    /// Such a value is no person's edit (decision 4 of the design).
    pub fn may_normalise(&self, written: &Value, shown: &Value) -> bool {
        if written == shown {
            return true;
        }
        match (self, written, shown) {
            (Self::Text | Self::Ref, Value::Text(written), Value::Null) => written.trim().is_empty(),
            (Self::Text | Self::Ref, Value::Text(written), Value::Text(shown)) => {
                let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                let (written, shown) = (folded(written), folded(shown));
                written == shown || (shown.chars().count() >= 40 && written.starts_with(&shown))
            }
            (Self::Decimal, Value::Text(written), Value::Text(shown)) => {
                match (written.parse::<f64>(), shown.parse::<f64>()) {
                    (Ok(written), Ok(shown)) => (written - shown).abs() <= written.abs() * 1e-6,
                    _ => false,
                }
            }
            (Self::Instant, Value::Text(written), Value::Text(shown)) => {
                let seconds = |text: &str| DateTime::parse_from_rfc3339(text).map(|at| at.timestamp());
                matches!((seconds(written), seconds(shown)), (Ok(a), Ok(b)) if a == b)
            }
            (Self::Point, Value::Point(written), Value::Point(shown)) => {
                (written.lon - shown.lon).abs() < 1e-6 && (written.lat - shown.lat).abs() < 1e-6
            }
            _ => false,
        }
    }
}

/// Whether a year can be written as RFC 3339 has it; in UTC, and not only by another clock.
fn has_four_digits(year: i32) -> bool {
    (0..=9999).contains(&year)
}

/// The same moment to the millisecond. A leap second is the one after it, as it is to all that count seconds.
fn to_milliseconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at)
}

/// `-012.500` as `-12.5`; `None` for what is no plain decimal. An exponent is spelled out.
fn canonical_decimal(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 300)?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mut digits: String = format!("{whole}{fraction}");
    let mut point = i32::try_from(whole.len()).ok()? + exponent;
    while point < 0 {
        digits.insert(0, '0');
        point += 1;
    }
    let point = usize::try_from(point).ok()?;
    while digits.len() < point {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at_checked(point)?;
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let mut out = String::new();
    if negative && !(whole.is_empty() && fraction.is_empty()) {
        out.push('-');
    }
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(kind: &FieldType, text: &str) -> Value {
        kind.canonical(Value::Text(text.to_owned())).unwrap()
    }

    #[test]
    fn equal_decimals_have_one_form() {
        for (text, form) in [
            ("012.500", "12.5"),
            ("-0.0", "0"),
            ("1e3", "1000"),
            ("1.5e-2", "0.015"),
            ("+.5", "0.5"),
            ("7.", "7"),
        ] {
            assert_eq!(canonical(&FieldType::Decimal, text), Value::Text(form.to_owned()), "{text}");
        }
        for bad in ["", ".", "1,5", "0x1", "1e999", "--1"] {
            assert!(canonical_decimal(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn instants_are_compared_in_utc() {
        assert_eq!(
            canonical(&FieldType::Instant, "2026-11-20T09:00:00-06:00"),
            canonical(&FieldType::Instant, "2026-11-20T15:00:00.000Z")
        );
    }

    #[test]
    fn a_year_that_no_text_can_hold_in_utc_is_refused_and_not_only_where_it_is_read_again() {
        for (kind, text) in [
            (FieldType::Instant, "9999-12-31T23:59:59-01:00"),
            (FieldType::Instant, "0000-01-01T00:00:00+01:00"),
            (FieldType::Date, "+12026-11-20"),
            (FieldType::Date, "-0001-11-20"),
        ] {
            assert!(kind.canonical(Value::Text(text.to_owned())).is_err(), "{text}");
        }
        let last = canonical(&FieldType::Instant, "9999-12-31T23:59:59Z");
        assert_eq!(FieldType::Instant.canonical(last.clone()), Ok(last));
    }

    #[test]
    fn a_leap_second_is_the_one_after_it_as_it_is_to_whoever_counts_milliseconds() {
        assert_eq!(
            canonical(&FieldType::Instant, "2016-12-31T23:59:60.5Z"),
            canonical(&FieldType::Instant, "2017-01-01T00:00:00.500Z")
        );
        assert!(FieldType::Instant.canonical(Value::text("9999-12-31T23:59:60Z")).is_err());
    }

    #[test]
    fn a_place_on_the_equator_has_one_form() {
        let form = |text: &str| {
            serde_json::to_string(&FieldType::Point.canonical(serde_json::from_str(text).unwrap()).unwrap())
        };
        assert_eq!(form(r#"{"lon":-0.0,"lat":-0.00000001}"#).unwrap(), form(r#"{"lon":0,"lat":0}"#).unwrap());
    }

    #[test]
    fn a_place_that_is_nowhere_on_earth_is_refused() {
        for (lon, lat) in [(1e304, 0.0), (0.0, 90.1), (f64::NAN, 0.0)] {
            assert!(FieldType::Point.canonical(Value::Point(Point { lon, lat })).is_err(), "{lon} {lat}");
        }
    }

    #[test]
    fn a_number_is_the_same_each_time_that_it_is_written_and_read() {
        let read: Value = serde_json::from_str(r#"{"lon":9223372036814775807,"lat":35}"#).unwrap();
        let again: Value = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(read, again);
    }

    #[test]
    fn empty_text_is_null() {
        assert_eq!(canonical(&FieldType::Text, ""), Value::Null);
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let error = FieldType::Date.canonical(Value::Text("soon".into())).unwrap_err();
        assert_eq!(error.to_string(), "`soon` is no date");
    }

    #[test]
    fn a_cut_or_trimmed_text_is_no_edit_and_another_text_is() {
        let long = Value::Text("x".repeat(100));
        assert!(FieldType::Text.may_normalise(&long, &Value::Text("x".repeat(60))));
        assert!(FieldType::Text.may_normalise(&Value::Text(" a  b ".into()), &Value::Text("a b".into())));
        assert!(!FieldType::Text.may_normalise(&Value::Text("Hearing".into()), &Value::Text("Hear".into())));
        assert!(!FieldType::Text.may_normalise(&Value::Text("a".into()), &Value::Null));
    }
}

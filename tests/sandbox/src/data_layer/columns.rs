//! The columns of a file of JSON: their types as the file tells them, or as their values have it.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;

use super::rows::Row;
use crate::csv_layer::free_name;
use crate::gis::{Field, FieldType};

/// The shortest text field that publishing makes.
const SHORTEST_TEXT: usize = 255;
/// Milliseconds since 1970 of the years 1980 to 2100: numbers between them may be dates.
const DATES: std::ops::Range<i64> = 315_532_800_000..4_102_444_800_000;
/// What the name of a column has in it whose numbers are dates.
const NAMES_OF_DATES: [&str; 6] = ["date", "time", "edited", "created", "setting", "modified"];
/// Numbers beyond this do not pass through JSON unharmed.
const LARGEST_WHOLE: u64 = (1 << 53) - 1;

/// A column and the field that it becomes.
pub(super) struct Column {
    /// Its name in the file.
    pub(super) heading: String,
    pub(super) field: Field,
}

impl Column {
    /// A value as the field holds it, or `None` if it cannot.
    pub(super) fn value(&self, value: &Value) -> Option<Value> {
        if value.is_null() {
            return Some(Value::Null);
        }
        match self.field.field_type {
            FieldType::Date => instant(value).map(Value::from),
            FieldType::Double => value.as_f64().map(Value::from),
            FieldType::SmallInteger | FieldType::Integer | FieldType::BigInteger | FieldType::ObjectId => {
                whole(value).map(Value::from)
            }
            FieldType::Text | FieldType::GlobalId => match value {
                Value::String(text) => Some(Value::from(text.as_str())),
                Value::Array(_) | Value::Object(_) => None,
                other => Some(Value::from(other.to_string())),
            },
        }
    }
}

/// All columns: those told, then those of the rows by name.
pub(super) fn columns(told: &[Field], rows: &[Row]) -> Vec<Column> {
    let told_names: BTreeSet<&str> = told.iter().map(|field| field.name.as_str()).collect();
    let others: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.values.keys().map(String::as_str))
        .filter(|name| !told_names.contains(name))
        .collect();
    let mut taken: BTreeSet<String> = told.iter().map(|field| field.name.to_ascii_lowercase()).collect();
    let values = |name: &str| {
        let name = name.to_owned();
        rows.iter().filter_map(move |row| row.values.get(&name)).filter(|value| !value.is_null())
    };
    let told = told.iter().map(|field| {
        let length = field.length.map(|length| length.max(longest(values(&field.name))));
        let length = length.filter(|_| field.field_type == FieldType::Text).or(field.length);
        Column { heading: field.name.clone(), field: Field { length, ..field.clone() } }
    });
    let told: Vec<Column> = told.collect();
    let is_known = |field_type: FieldType| told.iter().any(|column| column.field.field_type == field_type);
    let (has_object_id, has_global_id) = (is_known(FieldType::ObjectId), is_known(FieldType::GlobalId));
    if !has_object_id && !others.iter().any(|name| name.eq_ignore_ascii_case("objectid")) {
        taken.insert("objectid".to_owned());
    }
    let number = told.len();
    let guessed = others.into_iter().enumerate().map(|(at, heading)| {
        let name = free_name(heading, number + at + 1, &mut taken);
        let field = if !has_object_id && is_object_id(heading, &values) {
            Field::object_id(&name)
        } else if !has_global_id && is_global_id(heading, &values) {
            Field::global_id(&name)
        } else {
            guessed(heading, &name, &values)
        };
        Column { heading: heading.to_owned(), field: field.with_alias(heading) }
    });
    let guessed: Vec<Column> = guessed.collect();
    told.into_iter().chain(guessed).collect()
}

fn is_object_id<'a, I: Iterator<Item = &'a Value>>(heading: &str, values: &impl Fn(&str) -> I) -> bool {
    heading.eq_ignore_ascii_case("objectid") && values(heading).all(|value| whole(value).is_some())
}

fn is_global_id<'a, I: Iterator<Item = &'a Value>>(heading: &str, values: &impl Fn(&str) -> I) -> bool {
    heading.eq_ignore_ascii_case("globalid") && values(heading).all(Value::is_string)
}

fn guessed<'a, I: Iterator<Item = &'a Value>>(
    heading: &str,
    name: &str,
    values: &impl Fn(&str) -> I,
) -> Field {
    let values = || values(heading);
    let lower = heading.to_ascii_lowercase();
    let may_be_date = NAMES_OF_DATES.iter().any(|part| lower.contains(part));
    if values().next().is_none() {
        return Field::text(name, SHORTEST_TEXT);
    }
    if values().all(|value| value.is_string() && instant(value).is_some())
        || may_be_date && values().all(|value| whole(value).is_some_and(|number| DATES.contains(&number)))
    {
        return Field::date(name);
    }
    if values().all(|value| whole(value).is_some_and(|number| i32::try_from(number).is_ok())) {
        return Field::integer(name);
    }
    if values().all(|value| whole(value).is_some()) {
        return Field::big_integer(name);
    }
    if values().all(Value::is_number) {
        return Field::double(name);
    }
    Field::text(name, longest(values()).max(SHORTEST_TEXT))
}

fn longest<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    let length = |value: &Value| match value {
        Value::String(text) => text.encode_utf16().count(),
        other => other.to_string().len(),
    };
    values.map(length).max().unwrap_or(0)
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().filter(|number| number.unsigned_abs() <= LARGEST_WHOLE)
}

/// Milliseconds since 1970, or the instant of an ISO text; a day is its beginning in UTC, as is a time without a zone.
fn instant(value: &Value) -> Option<i64> {
    let Value::String(text) = value else { return whole(value) };
    let of_zone = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
    let of_time = || {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f");
        time.ok().map(|time| time.and_utc().timestamp_millis())
    };
    let of_day = || {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        day.and_hms_opt(0, 0, 0).map(|time| time.and_utc().timestamp_millis())
    };
    of_zone().or_else(of_time).or_else(of_day)
}

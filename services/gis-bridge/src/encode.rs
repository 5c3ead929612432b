//! Writing a value: what a layer's field takes, or why it does not take it.

use chrono::{DateTime, NaiveDate};
use databridge_model::{FieldType, Value};
use serde_json::{Number, Value as Json, json};

use crate::layer::{Column, Field, Source};
use crate::layer_page::EsriType;

/// WGS 84 (arcgis.md, section 2: the same reference in which rows are asked for).
pub(crate) const WGS84: u32 = 4326;

/// A canonical value in the form that the column takes. An error is the reason for parking the field.
pub(crate) fn encoded(column: &Column, value: &Value) -> Result<Json, String> {
    let field = match &column.source {
        Source::Attribute(field) => field,
        Source::Geometry { editable: false } => {
            return Err("the layer does not allow its geometry to be changed".to_owned());
        }
        Source::Geometry { editable: true } => return geometry(value),
    };
    if !field.editable {
        return Err(format!("the layer keeps `{}` itself and takes no value for it", field.name));
    }
    if value.is_null() {
        return if field.nullable {
            Ok(Json::Null)
        } else {
            Err(format!("the layer's field `{}` may not be empty", field.name))
        };
    }
    let is_text = matches!(column.kind, FieldType::Text | FieldType::Ref);
    if is_text && !field.coded.is_empty() {
        return code(field, &value.to_plain());
    }
    attribute(field, &column.kind, value)
}

fn geometry(value: &Value) -> Result<Json, String> {
    let reference = json!({ "wkid": WGS84 });
    match value {
        // The empty point; a null geometry would leave the row's point as it is.
        Value::Null => Ok(json!({ "x": "NaN", "y": "NaN", "spatialReference": reference })),
        Value::Point(point) => Ok(json!({ "x": point.lon, "y": point.lat, "spatialReference": reference })),
        other => Err(format!("`{}` is no place", other.shortened())),
    }
}

/// The code of a coded-value domain for a name, or for a code that was shown because it has no name.
fn code(field: &Field, name: &str) -> Result<Json, String> {
    let by_name = field.coded.iter().find(|coded| coded.name == name);
    let found = by_name.or_else(|| field.coded.iter().find(|coded| coded.code.as_str() == Some(name)));
    found.map(|coded| coded.code.clone()).ok_or_else(|| {
        let mut names: Vec<String> =
            field.coded.iter().map(|coded| format!("{:.60}", coded.name)).take(12).collect();
        if field.coded.len() > names.len() {
            names.push("…".to_owned());
        }
        format!(
            "`{name:.60}` is none of the values that the layer takes ({}); add it to the layer's domain",
            names.join(", ")
        )
    })
}

fn attribute(field: &Field, kind: &FieldType, value: &Value) -> Result<Json, String> {
    let plain = value.to_plain();
    let wrong = |wanted: &str| {
        format!("`{}` is no {wanted}, which the layer's field `{}` holds", value.shortened(), field.name)
    };
    let integer = |least: i64, most: i64| match value {
        Value::Bool(value) => Ok(json!(u8::from(*value))),
        _ => plain
            .trim()
            .parse::<i64>()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .map(Json::from)
            .ok_or_else(|| wrong(&format!("whole number from {least} to {most}"))),
    };
    match field.kind {
        EsriType::Text => {
            let units = plain.encode_utf16().count();
            match field.length {
                Some(length) if units > length => Err(format!(
                    "the text has {units} characters and the layer's field `{}` takes {length}; shorten it",
                    field.name
                )),
                _ => Ok(Json::String(plain)),
            }
        }
        EsriType::SmallInteger => integer(i64::from(i16::MIN), i64::from(i16::MAX)),
        EsriType::Integer => integer(i64::from(i32::MIN), i64::from(i32::MAX)),
        // Servers cut what does not fit into 53 bits (arcgis.md, section 1).
        EsriType::BigInteger => integer(-(1 << 53) + 1, (1 << 53) - 1),
        EsriType::Single | EsriType::Double => {
            let number = plain.trim().parse::<f64>().ok().and_then(Number::from_f64);
            number.map(Json::Number).ok_or_else(|| wrong("number"))
        }
        EsriType::Date => milliseconds(kind, value).map(Json::from).ok_or_else(|| wrong("date")),
        EsriType::DateOnly => match instant(&plain) {
            Some(at) => Ok(json!(at.date_naive().to_string())),
            None => {
                NaiveDate::parse_from_str(&plain, "%Y-%m-%d").map(|_| json!(plain)).map_err(|_| wrong("date"))
            }
        },
        EsriType::TimestampOffset => {
            instant(&plain).map(|_| json!(plain)).ok_or_else(|| wrong("date with time"))
        }
        EsriType::Guid | EsriType::TimeOnly => Ok(Json::String(plain)),
        EsriType::ObjectId | EsriType::GlobalId | EsriType::Other => {
            Err(format!("the layer's field `{}` is of a kind that cannot be written", field.name))
        }
    }
}

/// A date field's milliseconds since 1970. A date without time is its midnight in UTC, as it is read.
fn milliseconds(kind: &FieldType, value: &Value) -> Option<i64> {
    match value {
        Value::Int(milliseconds) if *kind == FieldType::Int => Some(*milliseconds),
        Value::Text(text) => match instant(text) {
            Some(at) => Some(at.timestamp_millis()),
            None => {
                let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
                Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
            }
        },
        _ => None,
    }
}

fn instant(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::layer;

    fn write(name: &str, value: &Value) -> Result<Json, String> {
        encoded(layer(|_| {}).column(name).unwrap(), value)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn values_take_the_forms_of_their_fields() {
        assert_eq!(write("Status", &text("Stay")), Ok(json!("S")));
        assert_eq!(write("Rooms", &Value::Int(3)), Ok(json!(3)));
        assert_eq!(write("Area", &text("12.5")), Ok(json!(12.5)));
        assert_eq!(write("Heard", &text("2026-11-20T15:00:00Z")), Ok(json!(1_795_186_800_000_i64)));
        assert_eq!(write("Due", &text("1969-12-31")), Ok(json!(-86_400_000)));
        assert_eq!(write("Rooms", &Value::Null), Ok(Json::Null));
        let point = Value::Point(databridge_model::Point { lon: -90.0, lat: 35.0 });
        assert_eq!(
            write("shape", &point),
            Ok(json!({"x": -90.0, "y": 35.0, "spatialReference": {"wkid": 4326}}))
        );
    }

    #[test]
    fn what_the_layer_cannot_take_is_parked_with_the_reason() {
        for (name, value, reason) in [
            ("Warrant", text("12345678901"), "11 characters"),
            ("Warrant", Value::Null, "may not be empty"),
            ("Status", text("Appeal"), "none of the values that the layer takes (Hearing, Stay)"),
            ("Rooms", Value::Int(70_000), "whole number from -32768"),
            ("Area", text("large"), "`large` is no number"),
        ] {
            let error = write(name, &value).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_the_system_keeps_itself_is_not_written() {
        let layer = layer(|page| page["fields"][4]["editable"] = json!(false));
        assert!(encoded(layer.column("Rooms").unwrap(), &Value::Int(1)).is_err());
    }
}

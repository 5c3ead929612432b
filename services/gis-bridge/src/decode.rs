//! Reading a row: attributes and geometry become canonical values.

use chrono::DateTime;
use databridge_bridge::Shown;
use databridge_model::{FieldType, Fields, Key, Point, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::layer::{Field, Layer, Source};
use crate::layer_page::EsriType;
use crate::row_id::row_id;

/// One of `features` of a query's answer (arcgis.md, section 2). Rows of tables have no geometry.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Feature {
    #[serde(default)]
    pub(crate) attributes: Map<String, Json>,
    #[serde(default)]
    pub(crate) geometry: Json,
}

/// A row that was read, and the fields of it that could not be.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) object_id: i64,
    /// Where the layer has them.
    pub(crate) global_id: Option<String>,
    pub(crate) shown: Shown,
    /// Field and reason.
    pub(crate) unreadable: Vec<(String, String)>,
}

impl Feature {
    /// An attribute by name, in whatever case the server gives it.
    fn attribute(&self, name: &str) -> &Json {
        let found = self.attributes.get(name).or_else(|| {
            self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        });
        found.unwrap_or(&Json::Null)
    }

    /// The object id.
    pub(crate) fn object_id(&self, layer: &Layer) -> Option<i64> {
        self.attribute(&layer.object_id).as_i64()
    }

    /// The row, unless it has no object id.
    pub(crate) fn read(&self, layer: &Layer) -> Option<Row> {
        let object_id = self.object_id(layer)?;
        let (mut fields, mut unreadable) = (Fields::new(), Vec::new());
        for column in &layer.columns {
            let value = match &column.source {
                Source::Geometry { .. } => point(&self.geometry),
                Source::Attribute(field) => value(&column.kind, field, self.attribute(&field.name)),
            };
            match value {
                Ok(value) => drop(fields.insert(column.name.clone(), value)),
                Err(reason) => unreadable.push((column.name.clone(), reason)),
            }
        }
        let key = fields.get(&layer.key).and_then(|value| Key::parse(&value.to_plain()));
        let global_id = layer.global_id.as_deref().and_then(|name| self.attribute(name).as_str());
        let mut shown = Shown {
            parent: None,
            id: row_id(object_id, global_id),
            key,
            revision: layer.edit_date.as_ref().and_then(|date| self.attribute(&date.field).as_i64()),
            deleted: false,
            fields,
            made_by: None,
            handle: Json::Null,
        };
        shown.handle = handle(object_id, global_id, shown.key.as_ref());
        let global_id = global_id.map(normal_global_id);
        Some(Row { object_id, global_id, shown, unreadable })
    }
}

/// What comes back with a push: object ids are given to other rows when a layer is published anew, so who the row
/// was goes with it. Where there is no GlobalID, the key tells.
pub(crate) fn handle(object_id: i64, global_id: Option<&str>, key: Option<&Key>) -> Json {
    match (global_id, key) {
        (Some(global_id), _) => json!({ "object_id": object_id, "global_id": normal_global_id(global_id) }),
        (None, Some(key)) => json!({ "object_id": object_id, "key": key }),
        (None, None) => json!({ "object_id": object_id }),
    }
}

/// Whether two handles of one object id may be of one row.
pub(crate) fn same_row(one: &Json, other: &Json) -> bool {
    ["global_id", "key"].iter().all(|name| match (one.get(name), other.get(name)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    })
}

/// A GlobalID in lower case without braces: servers write it either way.
pub(crate) fn normal_global_id(text: &str) -> String {
    text.trim().trim_start_matches('{').trim_end_matches('}').to_ascii_lowercase()
}

/// A GlobalID as an Enterprise server writes it.
pub(crate) fn in_braces(global_id: &str) -> String {
    format!("{{{}}}", normal_global_id(global_id).to_ascii_uppercase())
}

/// A GlobalID, if the text is one, in whatever form it is written.
pub(crate) fn global_id(text: &str) -> Option<String> {
    let normal = normal_global_id(text);
    let lengths: Vec<usize> = normal.split('-').map(str::len).collect();
    let hexadecimal = normal.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    (hexadecimal && lengths == [8, 4, 4, 4, 12]).then_some(normal)
}

/// An attribute's value in canonical form, or why it is none of the declared type.
fn value(kind: &FieldType, field: &Field, raw: &Json) -> Result<Value, String> {
    let wrong = || {
        format!(
            "`{}` in the layer is no {kind}; correct it there, or the type in the system file",
            shortened(raw)
        )
    };
    let canonical = |value: Value| kind.canonical(value).map_err(|_| wrong());
    let is_text = matches!(kind, FieldType::Text | FieldType::Ref);
    if let (true, EsriType::GlobalId | EsriType::Guid, Some(text)) = (is_text, field.kind, raw.as_str()) {
        return canonical(Value::text(normal_global_id(text)));
    }
    // A number in a field of text is the code that reads so, as it is where it is written.
    let as_text = raw.as_number().map(|number| Json::String(number.to_string()));
    let is_it = |code: &Json| code == raw || as_text.as_ref() == Some(code);
    if is_text && let Some(coded) = field.coded.iter().find(|coded| is_it(&coded.code)) {
        return canonical(Value::text(&coded.name));
    }
    match raw {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => canonical(Value::Bool(*value)),
        Json::String(text) => canonical(Value::text(text)),
        Json::Number(number) => {
            let whole = number.as_i64().or_else(|| whole(number.as_f64()?));
            match (kind, whole) {
                (FieldType::Bool, Some(0)) => Ok(Value::Bool(false)),
                (FieldType::Bool, Some(1)) => Ok(Value::Bool(true)),
                (FieldType::Int, Some(number)) => Ok(Value::Int(number)),
                (FieldType::Decimal, _) => canonical(Value::Text(number.to_string())),
                (FieldType::Instant | FieldType::Date | FieldType::Text, Some(at))
                    if field.kind == EsriType::Date =>
                {
                    let at = DateTime::from_timestamp_millis(at).ok_or_else(wrong)?;
                    canonical(match kind {
                        FieldType::Date => Value::Text(at.date_naive().to_string()),
                        _ => Value::instant(at),
                    })
                }
                // A number where text is declared: its plain form.
                (FieldType::Text | FieldType::Ref, _) => {
                    FieldType::Decimal.canonical(Value::Text(number.to_string())).map_err(|_| wrong())
                }
                _ => Err(wrong()),
            }
        }
        Json::Array(_) | Json::Object(_) => Err(wrong()),
    }
}

/// A number without fraction that a double can hold exactly.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 53 bits")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A point in the WGS 84 that was asked for. `"NaN"` or null is the empty point.
fn point(geometry: &Json) -> Result<Value, String> {
    let empty = |value: &Json| {
        matches!(value, Json::Null) || value.as_str().is_some_and(|text| matches!(text, "NaN" | ""))
    };
    let (x, y) = (geometry.get("x").unwrap_or(&Json::Null), geometry.get("y").unwrap_or(&Json::Null));
    if geometry.is_null() || empty(x) || empty(y) {
        return Ok(Value::Null);
    }
    match (x.as_f64(), y.as_f64()) {
        (Some(lon), Some(lat)) if (Point { lon, lat }).is_on_earth() => {
            Ok(Value::Point(Point::rounded(lon, lat)))
        }
        _ => Err(format!("`{}` is no place on earth in degrees; correct the geometry", shortened(geometry))),
    }
}

fn shortened(raw: &Json) -> String {
    Value::Text(raw.as_str().map_or_else(|| raw.to_string(), str::to_owned)).shortened()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::layer;

    fn read(attributes: &Json, geometry: Json) -> Row {
        let attributes = attributes.as_object().unwrap().clone();
        Feature { attributes, geometry }.read(&layer(|_| {})).unwrap()
    }

    #[test]
    fn a_row_becomes_canonical_values() {
        let row = read(
            &json!({"objectid": 7, "GlobalID": "{AB-1}", "WARRANT": " E 1 ", "Status": "H", "Rooms": 3.0, "Area": 12.50,
                "Heard": 1_795_186_800_000_i64, "Due": -86_400_000, "Edited": 1_795_000_000_123_i64}),
            json!({"x": -90.048_980_01, "y": 35.0}),
        );
        assert_eq!(row.shown.id, "7@ab-1");
        assert_eq!(row.shown.key, Key::parse("E 1"));
        assert_eq!(row.shown.revision, Some(1_795_000_000_123));
        assert_eq!(row.shown.handle, json!({"object_id": 7, "global_id": "ab-1"}));
        assert_eq!(
            serde_json::to_value(&row.shown.fields).unwrap(),
            json!({"Warrant": " E 1 ", "Status": "Hearing", "Rooms": 3, "Area": "12.5", "Heard": "2026-11-20T15:00:00Z",
                "Due": "1969-12-31", "shape": {"lon": -90.048_98, "lat": 35.0}})
        );
        assert!(row.unreadable.is_empty());
    }

    #[test]
    fn a_value_of_another_type_is_left_out_and_the_others_pass() {
        let row =
            read(&json!({"OBJECTID": 7, "Rooms": "many", "Area": 1}), json!({"x": 4_000_000.0, "y": 2.0}));
        let unreadable: Vec<_> = row.unreadable.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(unreadable, ["Rooms", "shape"]);
        assert!(row.unreadable[0].1.contains("`many`"), "{:?}", row.unreadable);
        assert_eq!(row.shown.fields.get("Area"), Some(&Value::Text("1".into())));
        assert!(!row.shown.fields.contains_key("Rooms"));
    }

    #[test]
    fn a_date_that_no_other_system_can_be_told_is_left_out() {
        let row = read(
            &json!({"OBJECTID": 7, "Heard": 253_402_300_800_000_i64, "Due": -62_198_755_200_000_i64}),
            Json::Null,
        );
        let unreadable: Vec<_> = row.unreadable.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(unreadable, ["Due", "Heard"]);
    }

    #[test]
    fn every_form_of_an_empty_point_is_null() {
        for geometry in [
            Json::Null,
            json!({"x": "NaN", "y": "NaN"}),
            json!({"x": null}),
            json!({}),
            json!({"x": "", "y": ""}),
        ] {
            assert_eq!(point(&geometry), Ok(Value::Null), "{geometry}");
        }
    }

    #[test]
    fn a_code_without_a_name_stands_for_itself() {
        let row = read(&json!({"OBJECTID": 7, "Status": "Q"}), Json::Null);
        assert_eq!(row.shown.fields.get("Status"), Some(&Value::Text("Q".into())));
    }

    #[test]
    fn a_number_in_a_field_of_text_is_the_code_that_reads_so() {
        let layer = layer(|page| {
            let status =
                page["fields"].as_array_mut().unwrap().iter_mut().find(|it| it["name"] == "Status").unwrap();
            status["domain"]["codedValues"] =
                json!([{"name": "Hearing", "code": "1"}, {"name": "Stay", "code": "0"}]);
        });
        let attributes = json!({"OBJECTID": 7, "Status": 0}).as_object().unwrap().clone();
        let row = Feature { attributes, geometry: Json::Null }.read(&layer).unwrap();
        assert_eq!(row.shown.fields.get("Status"), Some(&Value::Text("Stay".into())));
    }

    #[test]
    fn a_row_is_another_one_when_its_global_id_differs_and_braces_do_not_count() {
        let handle = |global: &str| handle(7, Some(global), None);
        assert!(same_row(&handle("{AB-1}"), &handle("ab-1")));
        assert!(!same_row(&handle("ab-1"), &handle("ab-2")));
        assert!(same_row(&Json::Null, &handle("ab-2")), "a person's push names no GlobalID");
    }

    #[test]
    fn a_global_id_has_one_form_of_ours_and_what_is_none_is_told() {
        let ours = "0a1b2c3d-0000-4000-8000-00000000abcd";
        for text in [ours, "{0A1B2C3D-0000-4000-8000-00000000ABCD}", " 0A1B2C3D-0000-4000-8000-00000000abcd "]
        {
            assert_eq!(global_id(text).as_deref(), Some(ours));
            assert_eq!(in_braces(text), "{0A1B2C3D-0000-4000-8000-00000000ABCD}");
        }
        for text in
            ["", "17", "{}", "0a1b2c3d-0000-4000-8000-00000000abcg", "0a1b2c3d00004000800000000000abcd"]
        {
            assert_eq!(global_id(text), None, "{text}");
        }
    }
}

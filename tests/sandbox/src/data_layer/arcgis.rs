//! Saved answers of an ArcGIS query, `f=json`: fields with their types, attributes and geometries.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::rows::{Row, Rows, place};
use crate::gis::{Field, FieldType, degrees_of};

/// Whether this is an answer with features.
pub(super) fn is_answer(page: &Value) -> bool {
    let features = page.get("features").and_then(Value::as_array);
    page.get("type").is_none()
        && features.is_some_and(|features| {
            features.is_empty() || features.iter().any(|feature| feature.get("attributes").is_some())
        })
}

/// The features of these answers, one after the other as a client has read them.
pub(super) fn read(pages: Vec<Value>) -> Rows {
    let mut rows = Rows::default();
    let count = pages.len();
    let mut seen = BTreeSet::new();
    for (page, mut answer) in pages.into_iter().enumerate() {
        rows.take_fields(&answer);
        rows.has_geometry |= answer.get("geometryType").is_some_and(Value::is_string);
        rows.has_more = answer.get("exceededTransferLimit").and_then(Value::as_bool) == Some(true);
        let reference = answer.get("spatialReference").cloned();
        let Some(Value::Array(features)) = answer.get_mut("features").map(Value::take) else { continue };
        for (number, feature) in features.into_iter().enumerate() {
            rows.read_row(feature, place(count, page, number), reference.as_ref(), &mut seen);
        }
    }
    rows.warn_of_missing_places();
    rows
}

impl Rows {
    fn take_fields(&mut self, answer: &Value) {
        let fields = answer.get("fields").and_then(Value::as_array).into_iter().flatten();
        for field in fields.filter_map(field) {
            if !self.told.iter().any(|told| told.name == field.name) {
                self.told.push(field);
            }
        }
    }

    fn read_row(
        &mut self,
        mut feature: Value,
        place: String,
        reference: Option<&Value>,
        seen: &mut BTreeSet<i64>,
    ) {
        let number = self.next_number();
        let values: Map<String, Value> = match feature.get_mut("attributes").map(Value::take) {
            Some(Value::Object(values)) => values,
            _ => return self.warn(number, &place, "it has no attributes; it is left out"),
        };
        let object_id = self.told.iter().find(|field| field.field_type == FieldType::ObjectId);
        let object_id = object_id.and_then(|field| values.get(&field.name)).and_then(Value::as_i64);
        if let Some(object_id) = object_id.filter(|id| !seen.insert(*id)) {
            let reason = format!("a row before it has the object id {object_id} too; it is left out");
            return self.warn(number, &place, &reason);
        }
        let geometry = feature.get("geometry").filter(|geometry| !geometry.is_null());
        self.shapes.extend(geometry.and_then(shape));
        let point = geometry.map_or(Ok(None), |geometry| degrees_of(geometry, reference));
        let point = point.unwrap_or_else(|reason| {
            self.warn(number, &place, &format!("{reason}, so it has no point"));
            None
        });
        self.has_geometry |= geometry.is_some();
        self.features.push(Row { number, place, values, point });
    }
}

/// What a geometry is that is no point.
fn shape(geometry: &Value) -> Option<String> {
    let shapes =
        [("rings", "polygons"), ("paths", "lines"), ("points", "multipoints"), ("xmin", "envelopes")];
    let found = shapes.into_iter().find(|(key, _)| geometry.get(key).is_some());
    found.map(|(_, shapes)| shapes.to_owned())
}

/// A field as an answer tells it. What holds no value that a row can show is none.
fn field(told: &Value) -> Option<Field> {
    let text = |key: &str| told.get(key).and_then(Value::as_str);
    let name = text("name")?;
    let length = told.get("length").and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
    let field = match text("type")? {
        "esriFieldTypeOID" => Field::object_id(name),
        "esriFieldTypeGlobalID" => Field::global_id(name),
        "esriFieldTypeSmallInteger" => Field { field_type: FieldType::SmallInteger, ..Field::integer(name) },
        "esriFieldTypeInteger" => Field::integer(name),
        "esriFieldTypeBigInteger" => Field::big_integer(name),
        "esriFieldTypeSingle" | "esriFieldTypeDouble" => Field::double(name),
        "esriFieldTypeDate" => Field::date(name),
        "esriFieldTypeBlob" | "esriFieldTypeRaster" | "esriFieldTypeGeometry" => return None,
        _ => Field::text(name, length.filter(|length| *length > 0).unwrap_or(255)),
    };
    Some(field.with_alias(text("alias").unwrap_or(name)))
}

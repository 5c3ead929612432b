//! `GeoJSON`, RFC 7946: feature collections whose places are degrees in WGS 84.

use serde_json::{Map, Value};

use super::rows::{Row, Rows, place};

/// Whether this is a `FeatureCollection`.
pub(super) fn is_collection(page: &Value) -> bool {
    page.get("type").and_then(Value::as_str) == Some("FeatureCollection")
        && page.get("features").is_some_and(Value::is_array)
}

/// The features of these collections.
pub(super) fn read(pages: Vec<Value>) -> Rows {
    let mut rows = Rows::default();
    let count = pages.len();
    for (page, mut collection) in pages.into_iter().enumerate() {
        rows.has_more = has_more(&collection);
        let Some(Value::Array(features)) = collection.get_mut("features").map(Value::take) else { continue };
        for (number, feature) in features.into_iter().enumerate() {
            rows.read_feature(feature, place(count, page, number));
        }
    }
    rows.warn_of_missing_places();
    rows
}

impl Rows {
    fn read_feature(&mut self, mut feature: Value, place: String) {
        let number = self.next_number();
        if feature.get("type").and_then(Value::as_str) != Some("Feature") {
            return self.warn(number, &place, "it is no GeoJSON Feature; it is left out");
        }
        let values = match feature.get_mut("properties").map(Value::take) {
            Some(Value::Object(values)) => values,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return self.warn(number, &place, "its properties are no object; it is left out"),
        };
        let geometry = feature.get("geometry").filter(|geometry| !geometry.is_null());
        let kind = geometry.and_then(|geometry| geometry.get("type")?.as_str());
        self.shapes.extend(kind.filter(|kind| *kind != "Point").map(|kind| format!("`{kind}`")));
        let point = match geometry.map(point).transpose() {
            Ok(point) => point,
            Err(reason) => {
                self.warn(number, &place, &format!("{reason}, so it has no point"));
                None
            }
        };
        self.has_geometry |= geometry.is_some();
        self.features.push(Row { number, place, values, point });
    }
}

/// Whether an ArcGIS server that gave this had more: newer ones say so under `properties`.
fn has_more(collection: &Value) -> bool {
    let says = |within: &Value| within.get("exceededTransferLimit").and_then(Value::as_bool) == Some(true);
    says(collection) || collection.get("properties").is_some_and(says)
}

/// Longitude and latitude of a geometry, or why it is no place here.
fn point(geometry: &Value) -> Result<(f64, f64), String> {
    let kind = geometry.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind != "Point" {
        return Err(format!("its geometry is no Point but '{kind}'"));
    }
    let coordinate = |at: usize| geometry.get("coordinates")?.get(at)?.as_f64();
    match (coordinate(0), coordinate(1)) {
        (Some(lon), Some(lat)) if lon.abs() <= 180.0 && lat.abs() <= 89.99 => Ok((lon, lat)),
        _ => Err("its coordinates are no degrees on the map".to_owned()),
    }
}

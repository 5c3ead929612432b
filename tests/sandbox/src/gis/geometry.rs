//! Points in Web Mercator, as the layers store them, and in WGS 84, as people and clients want them.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::ItemError;

/// The radius of the sphere of Web Mercator, in metres.
const RADIUS: f64 = 6_378_137.0;
/// The grid to which a geodatabase snaps coordinates: ten thousandths of a metre.
const STEPS_PER_METRE: f64 = 10_000.0;

/// A spatial reference that the sandbox can read and answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpatialReference {
    /// 102100, also known as 3857: metres.
    WebMercator,
    /// 4326: degrees.
    Wgs84,
}

impl SpatialReference {
    /// The reference of this well-known id.
    fn of_wkid(wkid: i64) -> Option<Self> {
        match wkid {
            102_100 | 3857 | 102_113 | 900_913 => Some(Self::WebMercator),
            4326 => Some(Self::Wgs84),
            _ => None,
        }
    }

    /// A reference as a parameter gives it: a well-known id, or JSON with `wkid`.
    pub(super) fn from_parameter(text: &str) -> Option<Self> {
        if let Ok(wkid) = text.trim().parse() {
            return Self::of_wkid(wkid);
        }
        Self::from_json(&serde_json::from_str(text).ok()?)
    }

    fn from_json(value: &Value) -> Option<Self> {
        let wkid = value.get("latestWkid").or_else(|| value.get("wkid"))?;
        Self::of_wkid(wkid.as_i64()?)
    }

    pub(super) fn body(self) -> Value {
        match self {
            Self::WebMercator => json!({ "wkid": 102_100, "latestWkid": 3857 }),
            Self::Wgs84 => json!({ "wkid": 4326, "latestWkid": 4326 }),
        }
    }
}

/// A point in Web Mercator, in metres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    fn snapped(x: f64, y: f64) -> Self {
        let snap = |metres: f64| (metres * STEPS_PER_METRE).round() / STEPS_PER_METRE;
        Self { x: snap(x), y: snap(y) }
    }

    /// The point at these degrees, unless they are none on the map.
    pub(super) fn from_degrees(lon: f64, lat: f64) -> Option<Self> {
        // Web Mercator ends short of the poles.
        let on_the_map = lon.abs() <= 180.0 && lat.abs() < 89.999;
        on_the_map.then(|| {
            let y = RADIUS * (FRAC_PI_4 + lat.to_radians() / 2.0).tan().ln();
            Self::snapped(RADIUS * lon.to_radians(), y)
        })
    }

    /// Longitude and latitude.
    pub(super) fn degrees(self) -> (f64, f64) {
        let lat = FRAC_PI_2 - 2.0 * (-self.y / RADIUS).exp().atan();
        ((self.x / RADIUS).to_degrees(), lat.to_degrees())
    }

    /// The point as an answer tells it. `decimals` is the parameter `geometryPrecision`.
    pub(super) fn body(self, reference: SpatialReference, decimals: Option<i32>) -> Value {
        let (x, y) = match reference {
            SpatialReference::WebMercator => (self.x, self.y),
            SpatialReference::Wgs84 => self.degrees(),
        };
        let rounded = |number: f64| {
            decimals.map_or(number, |decimals| {
                let steps = 10_f64.powi(decimals);
                (number * steps).round() / steps
            })
        };
        json!({ "x": rounded(x), "y": rounded(y) })
    }
}

/// Longitude and latitude of a point in Esri's JSON, `None` for an empty one, or why it is no place here. Without a spatial
/// reference of its own it has that of the answer which brought it.
pub(crate) fn degrees_of(geometry: &Value, reference: Option<&Value>) -> Result<Option<(f64, f64)>, String> {
    let Some(x) = geometry.get("x") else { return Err("its geometry is no point".to_owned()) };
    if x.is_null() || x.as_str() == Some("NaN") {
        return Ok(None);
    }
    let (Some(x), Some(y)) = (x.as_f64(), geometry.get("y").and_then(Value::as_f64)) else {
        return Err("its coordinates are no numbers".to_owned());
    };
    let reference = geometry.get("spatialReference").filter(|own| !own.is_null()).or(reference);
    let Some(reference) = reference else { return Err("its spatial reference is not told".to_owned()) };
    match SpatialReference::from_json(reference) {
        Some(SpatialReference::WebMercator) => Ok(Some(Point::snapped(x, y).degrees())),
        Some(SpatialReference::Wgs84) if Point::from_degrees(x, y).is_some() => Ok(Some((x, y))),
        Some(SpatialReference::Wgs84) => Err("its coordinates are no degrees on the map".to_owned()),
        None => Err(format!(
            "its spatial reference {reference} is neither Web Mercator nor WGS 84 (ask with outSR=4326)"
        )),
    }
}

/// What an edit does to the geometry of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PointChange {
    /// It says nothing about it.
    Keep,
    /// The row loses its point.
    Clear,
    /// The row is here now.
    Set(Point),
}

impl PointChange {
    /// Reads Esri's JSON of a point. Without a spatial reference the numbers are the layer's own metres.
    pub(super) fn from_json(geometry: Option<&Value>) -> Result<Self, ItemError> {
        let Some(geometry) = geometry.filter(|geometry| !geometry.is_null()) else { return Ok(Self::Keep) };
        let x = geometry.get("x").ok_or_else(ItemError::geometry)?;
        if x.is_null() || x.as_str() == Some("NaN") {
            return Ok(Self::Clear);
        }
        let y = geometry.get("y").and_then(Value::as_f64);
        let (Some(x), Some(y)) = (x.as_f64(), y) else { return Err(ItemError::geometry()) };
        let reference = match geometry.get("spatialReference") {
            None | Some(Value::Null) => Some(SpatialReference::WebMercator),
            Some(reference) => SpatialReference::from_json(reference),
        };
        let point = match reference {
            Some(SpatialReference::WebMercator) => Some(Point::snapped(x, y)),
            Some(SpatialReference::Wgs84) => Point::from_degrees(x, y),
            None => None,
        };
        point.map(Self::Set).ok_or_else(ItemError::geometry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_become_the_metres_that_a_real_server_answers_and_back() {
        // Both of them recorded from ArcGIS Online (`pairs/*PointResponse.json`), ZIP code 00501.
        let point = Point::from_degrees(-73.045_075, 40.816_799).unwrap();
        assert!((point.x + 8_131_340.553_956_478).abs() < 1e-3, "{point:?}");
        assert!((point.y - 4_985_356.996_949_511).abs() < 1e-3, "{point:?}");
        let (lon, lat) = point.degrees();
        assert!((lon + 73.045_075).abs() < 1e-8 && (lat - 40.816_799).abs() < 1e-8);
    }

    #[test]
    fn places_off_the_map_are_none() {
        assert_eq!(Point::from_degrees(-181.0, 35.0), None);
        assert_eq!(Point::from_degrees(-90.0, 90.0), None);
        assert_eq!(Point::from_degrees(f64::NAN, 35.0), None);
    }

    #[test]
    fn a_point_without_reference_is_in_metres_and_text_is_no_coordinate() {
        let metres = PointChange::from_json(Some(&json!({ "x": -90.0, "y": 35.0 }))).unwrap();
        assert_eq!(metres, PointChange::Set(Point { x: -90.0, y: 35.0 }));
        let text = PointChange::from_json(Some(&json!({ "x": "-90.0", "y": "35.0" })));
        assert_eq!(text.unwrap_err().code, 1015);
        let beyond = json!({ "x": 35.0, "y": -190.0, "spatialReference": { "wkid": 4326 } });
        assert_eq!(PointChange::from_json(Some(&beyond)).unwrap_err().code, 1015);
        let foreign = json!({ "x": 1.0, "y": 1.0, "spatialReference": { "wkid": 2277 } });
        assert_eq!(PointChange::from_json(Some(&foreign)).unwrap_err().code, 1015);
        assert_eq!(PointChange::from_json(Some(&json!({ "x": "NaN" }))).unwrap(), PointChange::Clear);
        assert_eq!(PointChange::from_json(Some(&Value::Null)).unwrap(), PointChange::Keep);
    }
}

//! The bodies of the fuzz targets `data_files` and `conditions`. Nothing of the stand-in depends on them.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use crate::csv_layer::layer_from_bytes;
use crate::data_layer::{layer_from_pages, pages};
use crate::gis::Layer;

pub use crate::gis::fuzzing::conditions;

/// A person's file, as CSV and as JSON.
pub fn data_files(data: &[u8]) {
    if let Some(read) = layer_from_bytes(data, "cases", 2) {
        holds_what_it_says(&read.layer);
        let lines = 1 + data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
        assert!(read.layer.len() <= lines, "{} rows of {lines} lines", read.layer.len());
    }
    let Ok(pages) = pages(data) else { return };
    match layer_from_pages(pages, "cases", 2) {
        Ok(read) => holds_what_it_says(&read.layer),
        Err(reason) => assert!(!reason.is_empty()),
    }
}

fn holds_what_it_says(layer: &Layer) {
    for feature in layer.features() {
        for name in feature.attributes.keys() {
            assert!(layer.fields().iter().any(|field| field.name == *name), "{name}");
        }
        let is_on_earth = |degrees: Option<f64>, most: f64| degrees.is_none_or(|it| it.abs() <= most);
        assert!(is_on_earth(feature.lon, 180.0) && is_on_earth(feature.lat, 90.0), "{feature:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_has_kept_of_data_files_passes() {
        corpus::replay("data_files", super::data_files);
    }

    #[test]
    fn what_fuzzing_has_kept_of_conditions_passes() {
        corpus::replay("conditions", super::conditions);
    }
}

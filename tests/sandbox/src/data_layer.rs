//! A layer made from a person's file: CSV, `GeoJSON` (RFC 7946) or saved answers of an ArcGIS query, told by content.

use std::path::{Path, PathBuf};

use serde_json::{Deserializer, Value};

use crate::csv_layer::{CsvLayer, CsvLayerError, layer_from_csv};
use crate::gis::Layer;

mod arcgis;
mod columns;
mod geojson;
mod rows;

/// Why a file makes no layer at all.
#[derive(Debug, thiserror::Error)]
pub enum DataLayerError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("{path} is empty", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is CSV, but makes no layer.
    #[error(transparent)]
    Csv(#[from] CsvLayerError),
    /// The file begins as JSON, but is none.
    #[error("{path} begins like JSON, but is none: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        source: serde_json::Error,
    },
    /// The file is of another kind, or JSON of another kind.
    #[error("{path} makes no layer: {reason}", path = path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataForm {
    /// CSV with a line of column names.
    Csv,
    /// Feature collections of RFC 7946.
    GeoJson,
    /// Answers of an ArcGIS query.
    ArcGis,
}

impl DataForm {
    /// What it calls the parts of a row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Csv => "column",
            Self::GeoJson => "property",
            Self::ArcGis => "field",
        }
    }

    /// The same of several.
    pub fn words(self) -> &'static str {
        match self {
            Self::Csv => "columns",
            Self::GeoJson => "properties",
            Self::ArcGis => "fields",
        }
    }
}

/// A layer from a file, and what the file had that is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct DataLayer {
    /// What the file is.
    pub form: DataForm,
    /// The names of its columns, properties or fields as they stand in it.
    pub names: Vec<String>,
    /// The layer. Rows without edit dates of their own get those of two days before the sandbox starts.
    pub layer: Layer,
    /// That rows are missing, where the file says so; rows left out, and rows left without a place, each by its line
    /// (`line 3: …`) or its number in the file (`feature 3: …`, `page 2, feature 3: …`).
    pub warnings: Vec<String>,
}

/// Reads a file into a layer with this number, named after the file.
///
/// A file that begins with `{` or `[` is JSON: a `FeatureCollection` of RFC 7946, an answer of an ArcGIS query, or several of
/// one kind, in an array or one after the other. Dates may be milliseconds since 1970 or ISO text. Anything else is CSV;
/// see [`layer_from_csv`].
pub fn layer_from_file(path: &Path, id: u32) -> Result<DataLayer, DataLayerError> {
    let bytes =
        std::fs::read(path).map_err(|source| DataLayerError::Read { path: path.to_owned(), source })?;
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(DataLayerError::Empty { path: path.to_owned() }),
        Some(b'{' | b'[') => {}
        Some(b'<') => {
            let reason =
                "it is a page of HTML or XML; an ArcGIS server answers so where `f=json` is left out"
                    .to_owned();
            return Err(DataLayerError::Kind { path: path.to_owned(), reason });
        }
        Some(_) => {
            let CsvLayer { layer, columns, warnings } = layer_from_csv(path, id)?;
            let warnings = warnings.iter().map(ToString::to_string).collect();
            return Ok(DataLayer { form: DataForm::Csv, names: columns, layer, warnings });
        }
    }
    let name =
        path.file_stem().map_or_else(|| "Layer".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let pages = pages(text).map_err(|source| DataLayerError::Json { path: path.to_owned(), source })?;
    layer_from_pages(pages, &name, id)
        .map_err(|reason| DataLayerError::Kind { path: path.to_owned(), reason })
}

/// The JSON texts of a file, those of an array one by one.
pub(crate) fn pages(text: &[u8]) -> Result<Vec<Value>, serde_json::Error> {
    let mut pages = Vec::new();
    for page in Deserializer::from_slice(text).into_iter() {
        match page? {
            Value::Array(several) => pages.extend(several),
            single => pages.push(single),
        }
    }
    Ok(pages)
}

pub(crate) fn layer_from_pages(pages: Vec<Value>, name: &str, id: u32) -> Result<DataLayer, String> {
    if pages.is_empty() {
        return Err("it holds nothing".to_owned());
    }
    if pages.iter().all(geojson::is_collection) {
        return geojson::read(pages).into_layer(DataForm::GeoJson, name, id);
    }
    if pages.iter().all(arcgis::is_answer) {
        return arcgis::read(pages).into_layer(DataForm::ArcGis, name, id);
    }
    let (number, other) = pages
        .iter()
        .enumerate()
        .find(|(_, page)| !geojson::is_collection(page) && !arcgis::is_answer(page))
        .map_or((1, None), |(at, page)| (at + 1, Some(page)));
    let part = if pages.len() == 1 { "it".to_owned() } else { format!("part {number} of it") };
    Err(match other {
        None => "it mixes GeoJSON and answers of ArcGIS queries".to_owned(),
        Some(page) => format!("{part} {}", instead(page)),
    })
}

/// What a JSON text is that is none of those wanted.
fn instead(page: &Value) -> String {
    if let Some(error) = page.get("error") {
        return format!("is an error that an ArcGIS server has answered: {error}");
    }
    let wanted = "neither a GeoJSON FeatureCollection nor an answer of an ArcGIS query with `features`";
    match page {
        Value::Object(object) => {
            let keys: Vec<&str> = object.keys().map(String::as_str).take(8).collect();
            format!("is {wanted}; its keys are {}", keys.join(", "))
        }
        _ => format!("is {wanted}, but no object at all"),
    }
}

#[cfg(test)]
mod tests;

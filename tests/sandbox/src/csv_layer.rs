//! A layer made from a CSV file, as ArcGIS publishes one: columns become fields, coordinates become points.

use std::path::{Path, PathBuf};

use crate::gis::{Feature, Layer};

mod columns;
mod records;

pub(crate) use columns::free_name;

/// Why a file makes no layer at all.
#[derive(Debug, thiserror::Error)]
pub enum CsvLayerError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file has no first line with names of columns.
    #[error("{path} has no line of column names", path = path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
}

/// A line of the file that is not, or not wholly, in the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvWarning {
    /// The line on which the row begins; the column names are on line 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for CsvWarning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

/// A layer from a file, and what the file had that is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvLayer {
    /// The layer. Its rows carry no edit dates yet: they get those of two days before the sandbox starts.
    pub layer: Layer,
    /// The names of the columns as they stand in the file.
    pub columns: Vec<String>,
    /// Rows left out, and rows left without a place.
    pub warnings: Vec<CsvWarning>,
}

/// Reads a file into a layer with this number, named after the file.
///
/// Types are whole number, number and text (at least 255 units long); an empty cell is null. Columns named latitude
/// and longitude, or `x` and `y`, also give the point; a row without them has none, with a warning. A row with too many
/// or too few cells, or in no UTF-8, is left out with a warning.
pub fn layer_from_csv(path: &Path, id: u32) -> Result<CsvLayer, CsvLayerError> {
    let bytes =
        std::fs::read(path).map_err(|source| CsvLayerError::Read { path: path.to_owned(), source })?;
    let name =
        path.file_stem().map_or_else(|| "Layer".to_owned(), |stem| stem.to_string_lossy().into_owned());
    layer_from_bytes(&bytes, &name, id).ok_or_else(|| CsvLayerError::NoHeader { path: path.to_owned() })
}

pub(crate) fn layer_from_bytes(bytes: &[u8], name: &str, id: u32) -> Option<CsvLayer> {
    let read = records::read(bytes)?;
    let mut warnings = read.warnings;
    let columns = columns::columns(&read.names, &read.records);
    let place = columns::Place::of(&read.names);
    let mut features = Vec::with_capacity(read.records.len());
    for record in &read.records {
        let attributes = columns
            .iter()
            .zip(&record.cells)
            .map(|(column, cell)| (column.field.name.clone(), column.value(cell)))
            .collect();
        let point = place.as_ref().map(|place| place.of_row(&record.cells)).transpose();
        let point = point.unwrap_or_else(|reason| {
            warnings.push(CsvWarning { line: record.line, reason });
            None
        });
        let (lon, lat) = point.unzip();
        features.push(Feature { attributes, lon, lat });
    }
    warnings.sort_by_key(|warning| warning.line);
    let mut layer = Layer::new(id, name, columns.into_iter().map(|column| column.field).collect());
    layer.load(features);
    Some(CsvLayer { layer, columns: read.names, warnings })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gis::FieldType;

    fn read(text: &str) -> CsvLayer {
        layer_from_bytes(text.as_bytes(), "cases", 0).unwrap()
    }

    fn column(read: &CsvLayer, name: &str) -> Vec<Value> {
        read.layer.features().into_iter().map(|feature| feature.attributes[name].clone()).collect()
    }

    fn kind(read: &CsvLayer, name: &str) -> (FieldType, Option<usize>) {
        let field = read.layer.fields().iter().find(|field| field.name == name).unwrap();
        (field.field_type, field.length)
    }

    fn warnings(read: &CsvLayer) -> Vec<String> {
        read.warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn types_are_those_of_all_values_of_a_column() {
        let read = read("a,b,c,d,e,f\n1,1.5,3047040044,007,x,\n-2,2,5,12,1,\n,,,,,\n");
        assert_eq!(column(&read, "a"), [json!(1), json!(-2), Value::Null]);
        assert_eq!(column(&read, "b"), [json!(1.5), json!(2.0), Value::Null]);
        assert_eq!(column(&read, "c"), [json!(3_047_040_044_i64), json!(5), Value::Null]);
        assert_eq!(column(&read, "d"), [json!("007"), json!("12"), Value::Null]);
        assert_eq!(kind(&read, "a").0, FieldType::Integer);
        assert_eq!(kind(&read, "b").0, FieldType::Double);
        assert_eq!(kind(&read, "c").0, FieldType::BigInteger);
        assert_eq!(kind(&read, "e"), (FieldType::Text, Some(255)));
        assert_eq!(kind(&read, "f"), (FieldType::Text, Some(255)));
        assert!(read.warnings.is_empty());
    }

    #[test]
    fn a_long_text_makes_its_field_as_long() {
        let read = read(&format!("id,text\n1,{}\n", "x".repeat(70_000)));
        assert_eq!(kind(&read, "text"), (FieldType::Text, Some(70_000)));
    }

    #[test]
    fn quotes_and_line_breaks_survive() {
        let read = read("id,text\r\n1,\"He said \"\"no\"\",\nand left\"\r\n2,plain\r\n");
        assert_eq!(column(&read, "text"), [json!("He said \"no\",\nand left"), json!("plain")]);
        assert!(read.warnings.is_empty());
    }

    #[test]
    fn coordinates_give_the_point_and_stay_fields() {
        let read = read("id,Latitude,LONGITUDE\n1,35.1,-90.2\n2,,\n3,35.1,\n4,350.1,-90.2\n");
        let features = read.layer.features();
        assert!(
            (features[0].lon.unwrap() + 90.2).abs() < 1e-8 && (features[0].lat.unwrap() - 35.1).abs() < 1e-8
        );
        assert_eq!(features[0].attributes["Latitude"], json!(35.1));
        assert!(features[1..].iter().all(|feature| feature.lon.is_none() && feature.lat.is_none()));
        let warnings = warnings(&read);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert_eq!(warnings[0], "line 3: the row has no coordinates, so it has no point");
        assert!(warnings[1].starts_with("line 4: ") && warnings[2].starts_with("line 5: "), "{warnings:?}");
    }

    #[test]
    fn a_ragged_row_is_named_and_the_others_pass() {
        let read = read("id,text\n1,one\n2\n3,three,more\n4,four\n");
        assert_eq!(column(&read, "id"), [json!(1), json!(4)]);
        let warnings = warnings(&read);
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].starts_with("line 3: ") && warnings[1].starts_with("line 4: "), "{warnings:?}");
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_line_only() {
        let read = read("id,text\n1,one\n2,\"open\n3,three\n4,\"four\nand more\"\n5,five\n");
        assert_eq!(column(&read, "id"), [json!(1), json!(3), json!(4), json!(5)]);
        assert_eq!(warnings(&read).len(), 1);
        assert_eq!(read.warnings[0].line, 3);
        let at_the_end = layer_from_bytes(b"id,text\n1,one\n2,\"open\n3,three\n", "cases", 0).unwrap();
        assert_eq!(column(&at_the_end, "id"), [json!(1), json!(3)]);
        assert_eq!(warnings(&at_the_end).len(), 1);
    }

    #[test]
    fn a_quote_inside_a_cell_is_a_letter() {
        let read = read("id,text\n1,6\" pipe\n2,\"\"\n3,\"a\"\"\"\n");
        assert_eq!(column(&read, "text"), [json!("6\" pipe"), Value::Null, json!("a\"")]);
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    }

    #[test]
    fn a_row_in_no_utf_8_is_named_and_a_byte_order_mark_is_no_part_of_a_name() {
        let read = layer_from_bytes(b"\xEF\xBB\xBFid,text\n1,caf\xE9\n2,ok\n", "cases", 0).unwrap();
        assert_eq!(column(&read, "id"), [json!(2)]);
        assert_eq!(read.warnings[0].line, 2);
    }

    #[test]
    fn names_become_field_names_and_do_not_collide() {
        let read = read("Next Date,Next-Date,OBJECTID,2nd,\n1,2,3,4,5\n");
        let names: Vec<_> = read.layer.fields().iter().map(|field| field.name.as_str()).collect();
        assert_eq!(&names[2..7], ["Next_Date", "Next_Date_1", "OBJECTID_1", "F2nd", "Field5"]);
        assert_eq!(read.layer.fields()[2].alias, "Next Date");
        assert_eq!(read.columns, ["Next Date", "Next-Date", "OBJECTID", "2nd", ""]);
        assert_eq!(column(&read, "OBJECTID_1"), [json!(3)]);
    }

    #[test]
    fn an_empty_file_has_no_header() {
        assert!(layer_from_bytes(b"", "cases", 0).is_none());
        assert!(layer_from_bytes(b"id,text\n", "cases", 0).unwrap().layer.is_empty());
    }

    #[test]
    fn the_real_housing_cases_are_read_whole() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/hpd_violations.csv");
        if !file.exists() {
            println!("skipped: {} is not here", file.display());
            return;
        }
        let read = layer_from_csv(&file, 0).unwrap();
        assert_eq!((read.layer.len(), read.warnings.len()), (100, 0), "{:?}", read.warnings);
        assert_eq!(kind(&read, "ViolationID").0, FieldType::Integer);
        assert!(read.layer.features().iter().filter(|feature| feature.lon.is_some()).count() > 90);
    }
}

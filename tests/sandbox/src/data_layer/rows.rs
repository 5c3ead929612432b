//! What the readers of JSON have in common: rows with their place in the file, and the layer that they become.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::columns::{Column, columns};
use super::{DataForm, DataLayer};
use crate::gis::{Feature, Field, FieldType, Layer, SystemNames};

/// What is said of a file that is not all of a layer.
const MORE: &str = "rows are missing: the server had more than it gives at once (exceededTransferLimit); ask for the rest \
                    with resultOffset, and put all answers into the file, one after the other";

/// A feature of a file.
pub(super) struct Row {
    /// How many features were read before it.
    pub(super) number: usize,
    /// `feature 3` or `page 2, feature 3`.
    pub(super) place: String,
    pub(super) values: Map<String, Value>,
    /// Longitude and latitude.
    pub(super) point: Option<(f64, f64)>,
}

/// The features of a file.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) features: Vec<Row>,
    /// Fields whose type the file tells. Others have the type of their values.
    pub(super) told: Vec<Field>,
    /// Whether any feature has a geometry, or could have one.
    pub(super) has_geometry: bool,
    /// What geometries there are that are no points, in words.
    pub(super) shapes: BTreeSet<String>,
    /// Whether the server had more rows after these.
    pub(super) has_more: bool,
    /// By the number of the feature.
    pub(super) warnings: Vec<(usize, String)>,
    read: usize,
}

/// How a person finds a feature of a page.
pub(super) fn place(pages: usize, page: usize, feature: usize) -> String {
    let feature = feature + 1;
    if pages == 1 { format!("feature {feature}") } else { format!("page {}, feature {feature}", page + 1) }
}

impl Rows {
    /// The number of the feature that is read next.
    pub(super) fn next_number(&mut self) -> usize {
        self.read += 1;
        self.read - 1
    }

    /// Names what is wrong with a feature.
    pub(super) fn warn(&mut self, number: usize, place: &str, reason: &str) {
        self.warnings.push((number, format!("{place}: {reason}")));
    }

    /// Names the rows without a place, where others have one.
    pub(super) fn warn_of_missing_places(&mut self) {
        if !self.has_geometry {
            return;
        }
        let warned: BTreeSet<usize> = self.warnings.iter().map(|(number, _)| *number).collect();
        let missing = self.features.iter().filter(|row| row.point.is_none() && !warned.contains(&row.number));
        let warning =
            |row: &Row| (row.number, format!("{}: it has no coordinates, so it has no point", row.place));
        let missing: Vec<(usize, String)> = missing.map(warning).collect();
        self.warnings.extend(missing);
    }

    /// The layer of the rows, or why they make none. A row with a value that is none of its field's type is left out.
    pub(super) fn into_layer(mut self, form: DataForm, name: &str, id: u32) -> Result<DataLayer, String> {
        if !self.shapes.is_empty() && self.features.iter().all(|row| row.point.is_none()) {
            let shapes: Vec<&str> = self.shapes.iter().map(String::as_str).collect();
            return Err(format!(
                "its features are no points but {}; a layer of points is wanted, or a table without any geometry",
                shapes.join(" and ")
            ));
        }
        let columns = columns(&self.told, &self.features);
        let names = system_names(&columns);
        let fields = columns.iter().map(|column| column.field.clone());
        let is_own = |field: &Field| !matches!(field.field_type, FieldType::ObjectId | FieldType::GlobalId);
        let mut layer = Layer::named(id, name, names, fields.filter(is_own).collect());
        if !self.has_geometry {
            layer = layer.without_geometry();
        }
        let mut features = Vec::with_capacity(self.features.len());
        for row in std::mem::take(&mut self.features) {
            match attributes(&columns, &row.values) {
                Ok(attributes) => {
                    let (lon, lat) = row.point.unzip();
                    features.push(Feature { attributes, lon, lat });
                }
                Err(reason) => self.warn(row.number, &row.place, &format!("{reason}; the row is left out")),
            }
        }
        layer.load(features);
        self.warnings.sort_by_key(|(number, _)| *number);
        let more = self.has_more.then(|| MORE.to_owned());
        let warnings =
            more.into_iter().chain(self.warnings.into_iter().map(|(_, warning)| warning)).collect();
        let names = columns.into_iter().map(|column| column.heading).collect();
        Ok(DataLayer { form, names, layer, warnings })
    }
}

fn attributes(columns: &[Column], values: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let value = |column: &Column| {
        let value = values.get(&column.heading).unwrap_or(&Value::Null);
        let stored = column.value(value).ok_or_else(|| format!("'{}' cannot be {value}", column.heading))?;
        Ok((column.field.name.clone(), stored))
    };
    columns.iter().map(value).collect()
}

/// The names of the ids and of the editor tracking fields: those that are among the columns, or the usual ones.
fn system_names(columns: &[Column]) -> SystemNames {
    let spelled = |name: &str, field_type: FieldType| {
        let has_it = |field: &&Field| field.name.eq_ignore_ascii_case(name) && field.field_type == field_type;
        columns.iter().map(|column| &column.field).find(has_it).map(|field| field.name.clone())
    };
    let known = [SystemNames::default(), SystemNames::of_a_geodatabase(), SystemNames::of_a_hosted_layer()];
    let is_there = |names: &&SystemNames| spelled(&names.edit_date, FieldType::Date).is_some();
    let mut names = known.iter().find(is_there).cloned().unwrap_or_default();
    for (name, field_type) in [
        (&mut names.creation_date, FieldType::Date),
        (&mut names.edit_date, FieldType::Date),
        (&mut names.creator, FieldType::Text),
        (&mut names.editor, FieldType::Text),
    ] {
        if let Some(spelling) = spelled(name, field_type) {
            *name = spelling;
        }
    }
    let id = |field_type: FieldType| {
        columns.iter().map(|column| &column.field).find(|field| field.field_type == field_type)
    };
    if let Some(field) = id(FieldType::ObjectId) {
        names.object_id.clone_from(&field.name);
    }
    if let Some(field) = id(FieldType::GlobalId) {
        names.global_id.clone_from(&field.name);
    }
    names
}

//! A layer or table: its fields, its rows and its switches.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attachments::Attachment;
use super::field::{Field, FieldType, kept_instant};
use super::geometry::Point;
use super::global_id;
use super::names::SystemNames;

/// A row as a person sees it: values by field name, and a place in WGS 84.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Values by field name.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// Longitude in degrees; `None` without a place.
    #[serde(default)]
    pub lon: Option<f64>,
    /// Latitude in degrees.
    #[serde(default)]
    pub lat: Option<f64>,
}

/// A row as the layer stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) attributes: Map<String, Value>,
    pub(super) point: Option<Point>,
    /// By their ids, which the layer gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attachments: BTreeMap<i64, Attachment>,
}

/// The switches of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerSettings {
    pub(super) max_record_count: usize,
    /// A lower cap that the metadata does not tell.
    pub(super) service_limit: Option<usize>,
    pub(super) edit_tracking: bool,
    /// Whether `editingInfo` is told.
    pub(super) last_edit_date: bool,
    /// Whether dates have parts of a second.
    pub(super) high_precision: bool,
    #[serde(default)]
    pub(super) offers: Offers,
}

/// What a layer can beyond queries and edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offers {
    /// Whether rows can have attachments.
    pub(super) attachments: bool,
    /// Whether attachments of many rows can be asked for at once.
    pub(super) query_attachments: bool,
    /// Whether clients can choose the global ids of the rows that they add.
    pub(super) client_global_ids: bool,
}

impl Default for Offers {
    fn default() -> Self {
        Self { attachments: false, query_attachments: true, client_global_ids: true }
    }
}

/// A layer of points, or a table without geometry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) has_geometry: bool,
    #[serde(default)]
    pub(super) names: SystemNames,
    pub(super) fields: Vec<Field>,
    pub(super) rows: BTreeMap<i64, Row>,
    pub(super) next_object_id: i64,
    pub(super) global_ids_made: u64,
    #[serde(default)]
    pub(super) attachments_made: i64,
    /// Milliseconds since 1970.
    pub(super) last_edit: i64,
    pub(super) settings: LayerSettings,
}

impl Layer {
    /// An empty layer of points, with the fields given between the ids and the editor tracking fields.
    pub fn new(id: u32, name: &str, fields: Vec<Field>) -> Self {
        Self::named(id, name, SystemNames::default(), fields)
    }

    /// The same, with names of its own for the ids and the editor tracking fields. A tracking field that is among the
    /// fields given stays where it is.
    pub fn named(id: u32, name: &str, names: SystemNames, fields: Vec<Field>) -> Self {
        let mut tracked = vec![
            Field::date(&names.creation_date),
            Field::date(&names.edit_date),
            Field::text(&names.creator, 255),
            Field::text(&names.editor, 255),
        ];
        tracked.retain(|field| !fields.iter().any(|given| given.is_named(&field.name)));
        let ids = [Field::object_id(&names.object_id), Field::global_id(&names.global_id)];
        Self {
            id,
            name: name.to_owned(),
            has_geometry: true,
            names,
            fields: ids.into_iter().chain(fields).chain(tracked).collect(),
            rows: BTreeMap::new(),
            next_object_id: 1,
            global_ids_made: 0,
            attachments_made: 0,
            last_edit: 0,
            settings: LayerSettings {
                max_record_count: 2000,
                service_limit: None,
                edit_tracking: true,
                last_edit_date: true,
                high_precision: false,
                offers: Offers::default(),
            },
        }
    }

    /// The same layer as a table, whose rows have no geometry.
    #[must_use]
    pub fn without_geometry(self) -> Self {
        Self { has_geometry: false, ..self }
    }

    /// Makes the layer a table, or a table a layer. Rows of a table have no points.
    pub(super) fn make_table(&mut self, table: bool) {
        self.has_geometry = !table;
        for row in self.rows.values_mut().filter(|_| table) {
            row.point = None;
        }
    }

    /// The same layer, whose rows can have attachments.
    #[must_use]
    pub fn with_attachments(mut self) -> Self {
        self.settings.offers.attachments = true;
        self
    }

    /// The layer's number in its service.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The fields, ids and editor tracking fields among them.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The rows by object id.
    pub fn features(&self) -> Vec<Feature> {
        self.rows.values().map(Row::feature).collect()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The field of this name, in whatever case.
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.is_named(name))
    }

    /// Puts rows in without an edit: values are taken as they are, unknown ones dropped. An object id or a global id of
    /// a row's own is kept if no row before it has it.
    pub fn load(&mut self, features: Vec<Feature>) {
        let mut taken: BTreeSet<String> = self.global_ids().collect();
        for feature in features {
            let mut attributes = self.empty_attributes();
            for (name, value) in feature.attributes {
                if let Some(kept) = self.field(&name).and_then(|field| attributes.get_mut(&field.name)) {
                    *kept = value;
                }
            }
            let own_id = attributes.get(&self.names.object_id).and_then(Value::as_i64);
            let object_id = own_id.filter(|id| *id >= 0 && !self.rows.contains_key(id));
            let object_id = object_id.unwrap_or(self.next_object_id);
            self.next_object_id = self.next_object_id.max(object_id.saturating_add(1));
            let own_global_id = attributes.get(&self.names.global_id).and_then(Value::as_str);
            let own_global_id =
                own_global_id.and_then(global_id::normalized).filter(|id| !taken.contains(id));
            let global_id = own_global_id.unwrap_or_else(|| self.take_global_id());
            taken.insert(global_id.clone());
            attributes.insert(self.names.object_id.clone(), Value::from(object_id));
            attributes.insert(self.names.global_id.clone(), Value::from(global_id));
            let place = feature.lon.zip(feature.lat).filter(|_| self.has_geometry);
            let point = place.and_then(|(lon, lat)| Point::from_degrees(lon, lat));
            self.rows.insert(object_id, Row { attributes, point, attachments: BTreeMap::new() });
        }
    }

    fn global_ids(&self) -> impl Iterator<Item = String> {
        self.rows
            .values()
            .filter_map(|row| row.attributes.get(&self.names.global_id)?.as_str().map(str::to_owned))
    }

    /// Rows without dates of their own were made and last edited at `published`.
    pub(super) fn date_undated(&mut self, published: DateTime<Utc>) {
        let published = kept_instant(published.timestamp_millis(), self.settings.high_precision);
        let (creation_date, edit_date) = (&self.names.creation_date, &self.names.edit_date);
        for row in self.rows.values_mut() {
            for date in [creation_date, edit_date] {
                if let Some(kept) = row.attributes.get_mut(date).filter(|kept| kept.is_null()) {
                    *kept = Value::from(published);
                }
            }
        }
        let edits =
            self.rows.values().filter_map(|row| row.attributes.get(edit_date).and_then(Value::as_i64));
        self.last_edit = edits.max().unwrap_or(published);
    }

    /// A field of this layer as metadata and query answers tell it.
    pub(super) fn definition(&self, field: &Field) -> Value {
        field.definition(self.settings.high_precision, self.is_tracked(field))
    }

    pub(super) fn empty_attributes(&self) -> Map<String, Value> {
        self.fields.iter().map(|field| (field.name.clone(), Value::Null)).collect()
    }

    /// A number that no row had since the layer was published.
    pub(super) fn take_object_id(&mut self) -> i64 {
        let id = self.next_object_id;
        self.next_object_id += 1;
        id
    }

    pub(super) fn take_global_id(&mut self) -> String {
        self.global_ids_made += 1;
        global_id::made(self.id, self.global_ids_made)
    }

    /// A number that no attachment of the layer had.
    pub(super) fn take_attachment_id(&mut self) -> i64 {
        self.attachments_made += 1;
        self.attachments_made
    }

    /// The row with this global id.
    pub(super) fn object_id_of(&self, global_id: &str) -> Option<i64> {
        let has_it = |row: &Row| self.global_id_of(row).as_str() == Some(global_id);
        self.rows.iter().find(|(_, row)| has_it(row)).map(|(id, _)| *id)
    }

    /// Whether the server itself keeps this field. It then passes over what clients send for it; with tracking off it
    /// is a field like any other.
    pub(super) fn is_tracked(&self, field: &Field) -> bool {
        self.settings.edit_tracking && self.names.tracked().iter().any(|name| field.is_named(name))
    }

    /// The global id of a row.
    pub(super) fn global_id_of(&self, row: &Row) -> Value {
        row.attributes.get(&self.names.global_id).cloned().unwrap_or_default()
    }

    /// Overwrites the service: every row, and every attachment, gets another id and global id. Object ids begin at 1 again, so that
    /// most of them now belong to other rows than before.
    pub(super) fn republish(&mut self, now: i64) {
        let rows = std::mem::take(&mut self.rows);
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let turned = || (2..=count).chain([1]);
        let all_differ = count > 1 && rows.keys().zip(turned()).all(|(old, new)| *old != new);
        let new_ids: Vec<i64> = if all_differ {
            turned().collect()
        } else {
            (self.next_object_id..self.next_object_id + count).collect()
        };
        self.next_object_id = new_ids.iter().max().map_or(1, |largest| largest + 1);
        for (mut row, new_id) in rows.into_values().zip(new_ids) {
            row.attributes.insert(self.names.object_id.clone(), Value::from(new_id));
            let global_id = self.take_global_id();
            row.attributes.insert(self.names.global_id.clone(), Value::from(global_id));
            for (_, mut attachment) in std::mem::take(&mut row.attachments) {
                attachment.global_id = self.take_global_id();
                row.attachments.insert(self.take_attachment_id(), attachment);
            }
            self.rows.insert(new_id, row);
        }
        self.last_edit = now;
    }

    /// Takes a field and its values away. The ids cannot be removed.
    pub(super) fn remove_field(&mut self, name: &str) -> bool {
        let removable =
            |field: &Field| !matches!(field.field_type, FieldType::ObjectId | FieldType::GlobalId);
        let Some(field) = self.field(name).filter(|field| removable(field)) else { return false };
        let name = field.name.clone();
        self.fields.retain(|field| field.name != name);
        for row in self.rows.values_mut() {
            row.attributes.remove(&name);
        }
        true
    }
}

impl Row {
    pub(super) fn feature(&self) -> Feature {
        let place = self.point.map(Point::degrees);
        Feature {
            attributes: self.attributes.clone(),
            lon: place.map(|(lon, _)| lon),
            lat: place.map(|(_, lat)| lat),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layer(rows: i64) -> Layer {
        let mut layer = Layer::new(2, "Cases", vec![Field::text("CivilWarrant", 50)]);
        let feature = |number| Feature {
            attributes: json!({ "CivilWarrant": format!("E-{number}") }).as_object().unwrap().clone(),
            lon: None,
            lat: None,
        };
        layer.load((1..=rows).map(feature).collect());
        layer
    }

    fn ids_by_warrant(layer: &Layer) -> BTreeMap<String, (i64, Value)> {
        let entry = |(id, row): (&i64, &Row)| {
            let warrant = row.attributes.get("CivilWarrant").and_then(Value::as_str).unwrap().to_owned();
            (warrant, (*id, layer.global_id_of(row)))
        };
        layer.rows.iter().map(entry).collect()
    }

    #[test]
    fn republishing_gives_each_row_other_ids_and_reuses_object_ids() {
        for rows in [1, 2, 5] {
            let mut layer = layer(rows);
            let before = ids_by_warrant(&layer);
            layer.republish(5);
            let after = ids_by_warrant(&layer);
            assert_eq!(after.len(), before.len());
            for (warrant, (object_id, global_id)) in &before {
                let (new_object_id, new_global_id) = &after[warrant];
                assert_ne!(object_id, new_object_id);
                assert_ne!(global_id, new_global_id);
            }
        }
        let mut layer = layer(5);
        let before: Vec<i64> = layer.rows.keys().copied().collect();
        layer.republish(5);
        assert_eq!(layer.rows.keys().copied().collect::<Vec<_>>(), before);
    }

    #[test]
    fn a_removed_field_is_gone_from_rows_too_and_ids_stay() {
        let mut layer = layer(1);
        assert!(layer.remove_field("civilwarrant"));
        assert!(layer.field("CivilWarrant").is_none());
        assert!(!layer.rows[&1].attributes.contains_key("CivilWarrant"));
        assert!(!layer.remove_field("OBJECTID"));
        assert!(!layer.remove_field("Nothing"));
    }
}

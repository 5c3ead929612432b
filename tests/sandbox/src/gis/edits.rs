//! Adding, changing and deleting rows, with an answer for each in the order of the request.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::field::{FieldType, kept_instant};
use super::geometry::PointChange;
use super::global_id;
use super::layer::{Layer, Row};
use super::refusal::{ItemError, Refusal};

/// Who edits, and when in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hand<'a> {
    pub(super) editor: &'a str,
    pub(super) now: i64,
}

/// A row of `adds` or `updates`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SentFeature {
    pub(super) attributes: Map<String, Value>,
    pub(super) geometry: Option<Value>,
}

impl SentFeature {
    /// The value sent for a field, whose name may be in another case.
    fn value(&self, name: &str) -> Option<&Value> {
        self.attributes.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// How a row to be deleted is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    ObjectId(i64),
    GlobalId(String),
}

/// The edits of one request to a layer.
#[derive(Debug, Clone, Default)]
pub(super) struct Edits {
    pub(super) adds: Vec<SentFeature>,
    pub(super) updates: Vec<SentFeature>,
    pub(super) deletes: Vec<Address>,
    pub(super) rollback_on_failure: bool,
    pub(super) use_global_ids: bool,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ItemResult {
    object_id: Option<i64>,
    global_id: Value,
    error: Option<ItemError>,
}

impl ItemResult {
    fn of(layer: &Layer, named: (Option<i64>, Value), result: Result<(i64, Value), ItemError>) -> Self {
        match result {
            Ok((object_id, global_id)) => Self { object_id: Some(object_id), global_id, error: None },
            Err(error) => {
                let (object_id, sent_global_id) = named;
                let row = object_id.and_then(|id| layer.rows.get(&id));
                let global_id = row.map_or(sent_global_id, |row| layer.global_id_of(row));
                Self { object_id, global_id, error: Some(error) }
            }
        }
    }

    /// The id of the row; a failed add has none.
    pub(super) fn object_id(&self) -> Option<i64> {
        self.object_id
    }

    /// Why the item failed, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.error.as_ref().map(|error| format!("{} {}", error.code, error.description))
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "globalId": self.global_id, "success": self.error.is_none() });
        if let Some(body) = body.as_object_mut() {
            if let Some(object_id) = self.object_id {
                body.insert("objectId".to_owned(), json!(object_id));
                body.insert("uniqueId".to_owned(), json!(object_id));
            }
            if let Some(error) = &self.error {
                body.insert("error".to_owned(), error.body());
            }
        }
        body
    }
}

/// The results of a request, each list in the order of what was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct EditResults {
    pub(super) adds: Vec<ItemResult>,
    pub(super) updates: Vec<ItemResult>,
    pub(super) deletes: Vec<ItemResult>,
}

impl EditResults {
    fn has_failure(&self) -> bool {
        self.all().any(|item| item.error.is_some())
    }

    /// All results, in the order in which the edits are done.
    pub(super) fn all(&self) -> impl Iterator<Item = &ItemResult> {
        self.adds.iter().chain(&self.updates).chain(&self.deletes)
    }
}

impl Layer {
    /// Applies edits: adds, then updates, then deletes. With `rollback_on_failure` one failure takes all back, and
    /// the refusal does not tell which.
    pub(super) fn apply(&mut self, edits: &Edits, hand: Hand<'_>) -> Result<EditResults, Refusal> {
        let results = self.attempt(edits, hand);
        if edits.rollback_on_failure && results.has_failure() {
            return Err(Refusal::rolled_back(results.all().count()));
        }
        Ok(results)
    }

    /// Does the same and tells the results also of edits that were taken back.
    pub(super) fn attempt(&mut self, edits: &Edits, hand: Hand<'_>) -> EditResults {
        let mut before: Vec<(i64, Option<Row>)> = Vec::new();
        let last_edit = self.last_edit;
        let mut results = EditResults::default();
        for sent in &edits.adds {
            let result = self.add(sent, edits.use_global_ids, hand);
            if let Ok((object_id, _)) = &result {
                before.push((*object_id, None));
            }
            let sent_global_id = sent
                .value(&self.names.global_id)
                .filter(|_| edits.use_global_ids)
                .cloned()
                .unwrap_or_default();
            results.adds.push(ItemResult::of(self, (None, sent_global_id), result));
        }
        for sent in &edits.updates {
            let address = self.address_of(sent, edits.use_global_ids);
            let result = address.clone().and_then(|address| self.found(&address)).and_then(|object_id| {
                before.push((object_id, self.rows.get(&object_id).cloned()));
                self.update(object_id, sent, hand)
            });
            results.updates.push(ItemResult::of(self, named(address.ok()), result));
        }
        for address in &edits.deletes {
            let result = self.found(address).and_then(|object_id| {
                before.push((object_id, self.rows.get(&object_id).cloned()));
                self.delete(object_id, hand)
            });
            results.deletes.push(ItemResult::of(self, named(Some(address.clone())), result));
        }
        if edits.rollback_on_failure && results.has_failure() {
            for (object_id, row) in before.into_iter().rev() {
                match row {
                    Some(row) => drop(self.rows.insert(object_id, row)),
                    None => drop(self.rows.remove(&object_id)),
                }
            }
            self.last_edit = last_edit;
        }
        results
    }

    fn add(
        &mut self,
        sent: &SentFeature,
        use_global_ids: bool,
        hand: Hand<'_>,
    ) -> Result<(i64, Value), ItemError> {
        let chosen = if use_global_ids {
            let chosen = self.sent_global_id(sent)?;
            if self.object_id_of(&chosen).is_some() {
                return Err(ItemError::not_unique(&self.names.global_id));
            }
            Some(chosen)
        } else {
            None
        };
        let mut attributes = self.empty_attributes();
        attributes.extend(self.sent_values(sent)?);
        for field in self.fields.iter().filter(|field| field.editable && !field.nullable) {
            if attributes.get(&field.name).is_none_or(Value::is_null) {
                return Err(ItemError::not_nullable(&field.name));
            }
        }
        let point = match PointChange::from_json(sent.geometry.as_ref().filter(|_| self.has_geometry))? {
            PointChange::Set(point) => Some(point),
            PointChange::Keep | PointChange::Clear => None,
        };
        let object_id = self.take_object_id();
        let global_id = Value::from(chosen.unwrap_or_else(|| self.take_global_id()));
        attributes.insert(self.names.object_id.clone(), Value::from(object_id));
        attributes.insert(self.names.global_id.clone(), global_id.clone());
        self.track(&mut attributes, hand, true);
        self.rows.insert(object_id, Row { attributes, point, attachments: BTreeMap::new() });
        self.last_edit = hand.now;
        Ok((object_id, global_id))
    }

    fn update(
        &mut self,
        object_id: i64,
        sent: &SentFeature,
        hand: Hand<'_>,
    ) -> Result<(i64, Value), ItemError> {
        let values = self.sent_values(sent)?;
        let point = PointChange::from_json(sent.geometry.as_ref().filter(|_| self.has_geometry))?;
        let mut row = self.rows.get(&object_id).cloned().ok_or_else(ItemError::missing_object)?;
        row.attributes.extend(values);
        match point {
            PointChange::Keep => {}
            PointChange::Clear => row.point = None,
            PointChange::Set(point) => row.point = Some(point),
        }
        self.track(&mut row.attributes, hand, false);
        let global_id = self.global_id_of(&row);
        self.rows.insert(object_id, row);
        self.last_edit = hand.now;
        Ok((object_id, global_id))
    }

    fn delete(&mut self, object_id: i64, hand: Hand<'_>) -> Result<(i64, Value), ItemError> {
        let row = self.rows.remove(&object_id).ok_or_else(ItemError::missing_object)?;
        self.last_edit = hand.now;
        Ok((object_id, self.global_id_of(&row)))
    }

    /// The values sent, as the layer stores them. Attributes that are no field are passed over, and so is what the
    /// server itself keeps.
    fn sent_values(&self, sent: &SentFeature) -> Result<Map<String, Value>, ItemError> {
        let mut values = Map::new();
        for (name, value) in &sent.attributes {
            let Some(field) = self.field(name) else { continue };
            let is_id = matches!(field.field_type, FieldType::ObjectId | FieldType::GlobalId);
            if is_id || self.is_tracked(field) {
                continue;
            }
            if !field.editable {
                return Err(ItemError::not_editable(&field.name));
            }
            values.insert(field.name.clone(), field.stored(value, self.settings.high_precision)?);
        }
        Ok(values)
    }

    /// Notes who edited when, in the fields that are still there.
    pub(super) fn track(&self, attributes: &mut Map<String, Value>, hand: Hand<'_>, created: bool) {
        if !self.settings.edit_tracking {
            return;
        }
        let moment = Value::from(kept_instant(hand.now, self.settings.high_precision));
        let editor = Value::from(hand.editor);
        let edited = [(&self.names.edit_date, &moment), (&self.names.editor, &editor)];
        let made = [(&self.names.creation_date, &moment), (&self.names.creator, &editor)];
        let noted = edited.into_iter().chain(made.into_iter().filter(|_| created));
        for (name, value) in noted {
            if let Some(kept) = attributes.get_mut(name) {
                *kept = value.clone();
            }
        }
    }

    fn found(&self, address: &Address) -> Result<i64, ItemError> {
        let object_id = match address {
            Address::ObjectId(id) => Some(*id).filter(|id| self.rows.contains_key(id)),
            Address::GlobalId(id) => self.object_id_of(id),
        };
        object_id.ok_or_else(ItemError::missing_object)
    }

    fn address_of(&self, sent: &SentFeature, use_global_ids: bool) -> Result<Address, ItemError> {
        if use_global_ids {
            return self.sent_global_id(sent).map(Address::GlobalId);
        }
        let object_id = sent.value(&self.names.object_id).and_then(Value::as_i64);
        object_id.map(Address::ObjectId).ok_or_else(ItemError::missing_object)
    }

    fn sent_global_id(&self, sent: &SentFeature) -> Result<String, ItemError> {
        let text = sent.value(&self.names.global_id).ok_or_else(ItemError::missing_global_id)?;
        text.as_str().and_then(global_id::normalized).ok_or_else(ItemError::empty_global_id)
    }
}

fn named(address: Option<Address>) -> (Option<i64>, Value) {
    match address {
        Some(Address::ObjectId(id)) => (Some(id), Value::Null),
        Some(Address::GlobalId(id)) => (None, Value::from(id)),
        None => (None, Value::Null),
    }
}

//! Reading a record's values.

use chrono::DateTime;
use databridge_bridge::Shown;
use databridge_model::{Fields, Key, Parked, Value};
use serde_json::Value as Json;

use crate::api::Resource;
use crate::declared::Declared;
use crate::kind::{Kind, id_of};

/// One record while it is read: values in canonical form, and what a person should know of those that have none.
pub(crate) struct RecordReader<'a> {
    declared: &'a Declared,
    resource: &'static Resource,
    revision: Option<i64>,
    pub(crate) fields: Fields,
    notices: Vec<(String, String)>,
}

impl<'a> RecordReader<'a> {
    pub(crate) fn new(kind: &'a impl Kind, json: &Json) -> Self {
        let updated_at = json.get("updated_at").and_then(Json::as_str);
        let revision = updated_at
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
            .map(|at| at.timestamp_millis());
        let (declared, resource) = (kind.declared(), kind.resource());
        Self { declared, resource, revision, fields: Fields::new(), notices: Vec::new() }
    }

    /// Takes a value in, if it is of the declared type.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        match self.declared.field_type(name).canonical(value) {
            Ok(value) => {
                self.fields.insert(name.to_owned(), value);
            }
            Err(error) => {
                let one = self.resource.singular;
                self.park(name, &format!("{error}, as \"{name}\" should be; correct the {one} in Clio"));
            }
        }
    }

    /// Takes a property in for a field, where the field is declared.
    pub(crate) fn take(&mut self, name: &str, property: Option<&Json>) {
        if !self.declared.has(name) {
            return;
        }
        let value = match property {
            Some(Json::Null) => Value::Null,
            Some(Json::String(text)) => Value::text(text.clone()),
            Some(Json::Bool(value)) => Value::Bool(*value),
            Some(Json::Number(number)) => Value::text(number.to_string()),
            Some(Json::Array(_) | Json::Object(_)) => {
                return self.park(name, "Clio shows something that is no single value");
            }
            None => {
                let reason = format!(
                    "Clio does not show it; tick {} in the developer hub and run `databridge connect`",
                    self.resource.permission
                );
                return self.park(name, &reason);
            }
        };
        self.set(name, value);
    }

    /// Leaves a field out, and says why.
    pub(crate) fn park(&mut self, name: &str, reason: &str) {
        self.notices.push((name.to_owned(), reason.to_owned()));
    }

    /// The record, and its notices.
    pub(crate) fn finish(
        self,
        id: String,
        parent: Option<u64>,
        handle: Json,
        notices: &mut Vec<Parked>,
    ) -> Shown {
        let Self { declared, revision, fields, notices: told, .. } = self;
        let key = fields.get(&declared.collection.key).and_then(|value| Key::parse(&value.to_plain()));
        notices.extend(told.into_iter().map(|(field, reason)| Parked {
            id: Some(id.clone()),
            key: key.clone(),
            ..declared.notice(Some(&field), reason)
        }));
        let parent = parent.map(|parent| parent.to_string());
        Shown { id, key, parent, revision, deleted: false, fields, made_by: None, handle }
    }
}

/// The etag of a record, quotes included.
pub(crate) fn etag_of(json: &Json) -> Option<String> {
    json.get("etag").and_then(Json::as_str).map(str::to_owned)
}

/// The value of an external property of a record ("External properties").
pub(crate) fn external_property(json: &Json, name: &str) -> Option<String> {
    named_property(json, name)?.get("value").and_then(Json::as_str).map(str::to_owned)
}

/// The id of an external property of a record.
pub(crate) fn external_property_id(json: &Json, name: &str) -> Option<u64> {
    id_of(named_property(json, name)?)
}

fn named_property<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    let properties = json.get("external_properties")?.as_array()?;
    properties.iter().find(|property| property.get("name").and_then(Json::as_str) == Some(name))
}

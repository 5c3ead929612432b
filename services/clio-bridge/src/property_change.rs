//! Changes of records whose fields are properties of the same name at Clio.

use std::collections::BTreeMap;

use databridge_model::{Fields, Value};
use serde_json::{Map, Value as Json, json};

use crate::declared::Declared;
use crate::push::Change;

/// What a push comes to.
#[derive(Debug, Default)]
pub(crate) struct PropertyChange {
    /// What is written for each field.
    fields: BTreeMap<String, Map<String, Json>>,
    parked: BTreeMap<String, String>,
}

impl PropertyChange {
    /// Works out the fields of a push. Clio lets only some of them be set.
    pub(crate) fn of(declared: &Declared, set: &Fields, settable: &[&str]) -> Self {
        let mut change = Self::default();
        for (name, value) in set {
            match declared.taken(name, value) {
                Ok(_) if !settable.contains(&name.as_str()) => {
                    let reason = format!("Clio sets \"{name}\" by itself; take it out of the route");
                    change.parked.insert(name.clone(), reason);
                }
                Ok(value) => change.put(name, name, property(value)),
                Err(reason) => {
                    change.parked.insert(name.clone(), reason);
                }
            }
        }
        change
    }

    /// Writes a property for the sake of a field.
    pub(crate) fn put(&mut self, field: &str, property: &str, value: Json) {
        self.fields.entry(field.to_owned()).or_default().insert(property.to_owned(), value);
    }

    /// Whether something is written for a field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Takes out what is written for a field, as if it had not been in the push.
    pub(crate) fn take(&mut self, field: &str) {
        self.fields.remove(field);
    }
}

impl Change for PropertyChange {
    fn parked(&self) -> &BTreeMap<String, String> {
        &self.parked
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Clio spells a property `start_at` or `Start at`.
    fn named_in(&self, refusal: &str) -> Vec<String> {
        let words = |text: &str| {
            let plain: String = text
                .chars()
                .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' })
                .collect();
            format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let refusal = words(refusal);
        let names = self.fields.iter().filter(|(name, properties)| {
            refusal.contains(&words(name)) || properties.keys().any(|name| refusal.contains(&words(name)))
        });
        names.map(|(name, _)| name.clone()).collect()
    }

    fn park(&mut self, name: &str, reason: &str) {
        self.fields.remove(name);
        self.parked.insert(name.to_owned(), reason.to_owned());
    }

    fn data(&self) -> Map<String, Json> {
        self.fields.values().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// A value as a property. A place is none of any record's here.
fn property(value: Value) -> Json {
    match value {
        Value::Null | Value::Point(_) => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Text(text) => json!(text),
    }
}

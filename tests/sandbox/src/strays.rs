//! What requests to Clio have beyond the table of [`crate::endpoints`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request, parameter or body key outside the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// The HTTP verb.
    pub method: String,
    /// The path below `/api/v4/`.
    pub path: String,
    /// `path`, `parameter` or `body`.
    pub what: String,
    /// The parameter or key; empty for a path.
    pub name: String,
}

/// All strays so far.
#[derive(Default)]
pub(crate) struct Strays {
    seen: Mutex<Vec<Stray>>,
}

impl Strays {
    fn seen(&self) -> MutexGuard<'_, Vec<Stray>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one.
    pub(crate) fn add(&self, method: &str, path: &str, what: &str, name: &str) {
        let stray = Stray {
            method: method.to_owned(),
            path: path.to_owned(),
            what: what.to_owned(),
            name: name.to_owned(),
        };
        self.seen().push(stray);
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> Vec<Stray> {
        self.seen().clone()
    }

    /// Forgets them.
    pub(crate) fn clear(&self) {
        self.seen().clear();
    }
}

/// Takes from a body's `data` every key outside the table and gives their dotted names.
pub(crate) fn drop_unknown(data: &mut Value, known: &[&str]) -> Vec<String> {
    let mut dropped = Vec::new();
    walk(data, "", known, &mut dropped);
    dropped
}

fn walk(value: &mut Value, path: &str, known: &[&str], dropped: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, path, known, dropped)),
        Value::Object(object) => {
            let names: Vec<String> = object.keys().cloned().collect();
            for name in names {
                let dotted = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let below = format!("{dotted}.");
                let is_known = known.iter().any(|known| *known == dotted || known.starts_with(&below));
                if !is_known {
                    object.remove(&name);
                    dropped.push(dotted);
                } else if let Some(inner) = object.get_mut(&name) {
                    walk(inner, &dotted, known, dropped);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::endpoints;

    #[test]
    fn keys_outside_the_table_are_dropped_and_told() {
        let (endpoint, _) = endpoints::find("POST", "matters").unwrap();
        let mut data = json!({
            "description": "Roof", "billing_method": "flat",
            "client": {"id": 1, "name": "x"},
            "custom_field_values": [{"custom_field": {"id": 2}, "value": "v", "note": 1}],
        });
        let dropped = drop_unknown(&mut data, &endpoint.body_keys());
        assert_eq!(dropped, ["billing_method", "client.name", "custom_field_values.note"]);
        assert_eq!(data["client"], json!({"id": 1}));
        assert_eq!(data["custom_field_values"][0], json!({"custom_field": {"id": 2}, "value": "v"}));
    }
}

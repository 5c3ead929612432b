//! The fields of a push as Clio takes them.

use std::collections::{BTreeMap, BTreeSet};

use databridge_model::{Fields, Value};
use serde_json::{Map, Value as Json, json};

use super::{DESCRIPTION, Matters};
use crate::found::Found;
use crate::push::Change;
use crate::settings::CustomFieldType;

/// What a push comes to: what can be written, and what cannot.
#[derive(Debug, Default)]
pub(crate) struct MatterChange {
    description: Option<String>,
    /// Items of `custom_field_values` by the fields' names.
    values: BTreeMap<String, Json>,
    /// Fields that Clio cannot take, with the reason.
    pub(crate) parked: BTreeMap<String, String>,
    /// What the catalogue does not know.
    pub(crate) unknown: BTreeSet<String>,
}

impl MatterChange {
    /// Works out the fields of a push. `value_ids` are the custom field values that the matter has.
    pub(crate) fn of(
        set: &Fields,
        value_ids: &BTreeMap<String, String>,
        matters: &Matters,
        found: &Found,
    ) -> Self {
        let mut change = Self::default();
        for (name, value) in set {
            if let Err(reason) = change.add(name, value, value_ids, matters, found) {
                change.parked.insert(name.clone(), reason);
            }
        }
        change
    }

    fn add(
        &mut self,
        name: &str,
        value: &Value,
        value_ids: &BTreeMap<String, String>,
        matters: &Matters,
        found: &Found,
    ) -> Result<(), String> {
        let value = matters.declared.taken(name, value)?;
        if name == DESCRIPTION {
            self.description = Some(match value {
                Value::Text(text) => text,
                _ => return Err("Clio needs a description, so it cannot be emptied".to_owned()),
            });
            return Ok(());
        }
        let Some(field) = found.custom_fields.get(name) else {
            self.unknown.insert(format!("custom field \"{name}\""));
            return Err(matters.gone(name));
        };
        let value_id = value_ids.get(name);
        let text = match (value, field.kind) {
            (Value::Null, _) => {
                // What has no value is empty already.
                if let Some(id) = value_id {
                    self.values.insert(name.to_owned(), json!({"id": id, "_destroy": true}));
                }
                return Ok(());
            }
            (Value::Text(label), CustomFieldType::Picklist) => match field.options.get(&label) {
                Some(option) => option.to_string(),
                None => {
                    self.unknown.insert(format!("option \"{label}\" of \"{name}\""));
                    return Err(format!(
                        "Clio has no option \"{label}\" for \"{name}\"; add it to the custom field in Clio, or choose \
                         another value"
                    ));
                }
            },
            (value @ Value::Point(_), _) => {
                return Err(format!("`{}` is a place, which no custom field holds", value.shortened()));
            }
            (value, _) => value.to_plain(),
        };
        // Clio declares every value a string; an existing value goes by its own id, a new one by the field's.
        let item = match value_id {
            Some(id) => json!({"id": id, "value": text}),
            None => json!({"custom_field": {"id": field.id}, "value": text}),
        };
        self.values.insert(name.to_owned(), item);
        Ok(())
    }
}

impl Change for MatterChange {
    fn parked(&self) -> &BTreeMap<String, String> {
        &self.parked
    }

    fn is_empty(&self) -> bool {
        self.description.is_none() && self.values.is_empty()
    }

    /// Clio quotes the names of custom fields.
    fn named_in(&self, refusal: &str) -> Vec<String> {
        let names = self.values.keys().map(String::as_str);
        let all = names.chain(self.description.as_ref().map(|_| DESCRIPTION));
        all.filter(|name| refusal.contains(&format!("\"{name}\""))).map(str::to_owned).collect()
    }

    fn park(&mut self, name: &str, reason: &str) {
        if name == DESCRIPTION {
            self.description = None;
        }
        self.values.remove(name);
        self.parked.insert(name.to_owned(), reason.to_owned());
    }

    fn data(&self) -> Map<String, Json> {
        let mut data = Map::new();
        if let Some(description) = &self.description {
            data.insert(DESCRIPTION.to_owned(), json!(description));
        }
        if !self.values.is_empty() {
            data.insert("custom_field_values".to_owned(), self.values.values().cloned().collect());
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn change(set: &[(&str, Value)], value_ids: &[(&str, &str)]) -> MatterChange {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let ids = value_ids.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect();
        MatterChange::of(&set, &ids, &samples::matters(), &samples::found())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn an_existing_value_goes_by_its_id_and_a_new_one_by_its_field() {
        let change = change(
            &[("Court Status", text("Stay")), ("GIS Object ID", text("5")), ("description", text("Roof"))],
            &[("Court Status", "picklist-6")],
        );
        assert_eq!(
            Json::Object(change.data()),
            json!({"description": "Roof", "custom_field_values": [
                {"id": "picklist-6", "value": "32"}, {"custom_field": {"id": 13}, "value": "5"}]})
        );
        assert!(change.parked.is_empty());
    }

    #[test]
    fn emptying_removes_the_value_and_does_nothing_where_there_is_none() {
        let removed = change(&[("Location", Value::Null)], &[("Location", "text_line-4")]);
        assert_eq!(removed.data()["custom_field_values"], json!([{"id": "text_line-4", "_destroy": true}]));
        assert!(change(&[("Location", Value::Null)], &[]).is_empty());
    }

    #[test]
    fn what_clio_cannot_take_is_parked_and_the_rest_stays() {
        let change = change(
            &[
                ("Court Status", text("Appeal")),
                ("Location", text("a street name that is much too long")),
                ("GIS Object ID", text("x")),
                ("Roof", text("x")),
                ("description", Value::Null),
                ("Civil Warrant", text("E-1")),
            ],
            &[],
        );
        let parked: Vec<_> = change.parked.keys().map(String::as_str).collect();
        assert_eq!(parked, ["Court Status", "GIS Object ID", "Location", "Roof", "description"]);
        assert_eq!(change.data()["custom_field_values"][0]["value"], "E-1");
        assert_eq!(change.unknown.len(), 1, "only the option is worth reading the custom fields again");
    }

    #[test]
    fn a_refusal_that_quotes_a_field_names_it() {
        let change = change(&[("Location", text("x")), ("Civil Warrant", text("y"))], &[]);
        assert_eq!(change.named_in("Custom field value for \"Location\" is too long"), ["Location"]);
        assert!(change.named_in("Location is too long").is_empty());
    }
}

//! Matters as Clio shows them, read as records.

use std::collections::{BTreeMap, BTreeSet};

use databridge_bridge::Shown;
use databridge_model::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{DESCRIPTION, Matters};
use crate::found::{Found, FoundField};
use crate::kind::{Reading, id_of, is_our_matter};
use crate::record::{RecordReader, etag_of};
use crate::settings::CustomFieldType;

/// What comes back with a push: opaque to all others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Handle {
    /// The etag, quotes included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// The ids of the custom field values by the fields' names. Clio's are text, `text_line-17`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) values: BTreeMap<String, String>,
}

/// What was read of a page, and what that says of the custom fields.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) reading: Reading,
    /// What the catalogue does not know: to be read again for.
    pub(crate) unknown: BTreeSet<String>,
    /// The custom fields that some record has a value of: these are there for certain.
    present: BTreeSet<String>,
}

impl Read {
    /// Whether a custom field of ours has no value on any of the records: either all are empty, or it was deleted since
    /// the catalogue was read.
    pub(crate) fn may_lack_a_field(&self, found: &Found) -> bool {
        !self.reading.records.is_empty()
            && found.custom_fields.keys().any(|name| !self.present.contains(name))
    }
}

impl Matters {
    /// Reads the matters of a page that are ours.
    pub(crate) fn read_all(&self, found: &Found, page: &[Json]) -> Read {
        let mut read = Read::default();
        for json in page {
            match self.read_one(found, json, &mut read) {
                Some(shown) => read.reading.records.push(shown),
                None => read.reading.foreign += 1,
            }
        }
        read
    }

    /// Reads a matter; `None` if it is not one of our group and practice area.
    fn read_one(&self, found: &Found, json: &Json, read: &mut Read) -> Option<Shown> {
        let id = id_of(json).filter(|_| is_our_matter(found, json))?.to_string();
        let record = RecordReader::new(self, json);
        let mut matter = Matter { matters: self, found, record, handle: Handle::default() };
        matter.handle.etag = etag_of(json);
        matter.read_description(json);
        let values = json.get("custom_field_values");
        matter.read_custom_fields(values, &mut read.unknown, &mut read.present);
        let handle = serde_json::to_value(matter.handle).unwrap_or_default();
        Some(matter.record.finish(id, None, handle, &mut read.reading.notices))
    }
}

/// One matter while it is read.
struct Matter<'a> {
    matters: &'a Matters,
    found: &'a Found,
    record: RecordReader<'a>,
    handle: Handle,
}

/// What was found of the custom field values, before fields without a value are taken as empty.
#[derive(Default)]
struct Seen {
    /// Fields that have a value, readable or not.
    names: BTreeSet<String>,
    /// A value that does not say of which field it is: then no field can be taken as empty.
    has_nameless: bool,
}

impl Matter<'_> {
    fn read_description(&mut self, json: &Json) {
        if !self.matters.declared.has(DESCRIPTION) {
            return;
        }
        match json.get(DESCRIPTION) {
            Some(Json::String(text)) => self.record.set(DESCRIPTION, Value::text(text.clone())),
            Some(Json::Null) => self.record.set(DESCRIPTION, Value::Null),
            _ => self
                .record
                .park(DESCRIPTION, "Clio does not show the description; tick Matters in the developer hub"),
        }
    }

    fn read_custom_fields(
        &mut self,
        values: Option<&Json>,
        unknown: &mut BTreeSet<String>,
        present: &mut BTreeSet<String>,
    ) {
        let mut seen = Seen::default();
        match values.and_then(Json::as_array) {
            Some(values) => {
                for value in values {
                    self.read_value(value, &mut seen, unknown);
                }
            }
            None => seen.has_nameless = true,
        }
        if seen.has_nameless {
            let reason = "Clio does not show the custom fields of this matter; tick Custom Fields in the developer hub \
                          and run `databridge connect`";
            self.record.park(self.matters.key(), reason);
            return;
        }
        let absent = self
            .matters
            .custom_fields()
            .filter(|name| !seen.names.contains(*name) && self.found.custom_fields.contains_key(*name));
        self.record.fields.extend(absent.map(|name| (name.to_owned(), Value::Null)));
        present.extend(seen.names);
    }

    /// Reads one custom field value ("CustomFieldValue"): its definition goes by id, where the id is not known by name.
    fn read_value(&mut self, json: &Json, seen: &mut Seen, unknown: &mut BTreeSet<String>) {
        let definition = json.get("custom_field").and_then(id_of);
        let shown_name = json.get("field_name").and_then(Json::as_str);
        let known = match (definition, shown_name) {
            (Some(id), _) => self.found.name_of(id),
            (None, Some(name)) => Some(name),
            (None, None) => {
                seen.has_nameless = true;
                return;
            }
        };
        let Some(name) = known.or(shown_name).filter(|name| self.is_ours(name)) else { return };
        let name = name.to_owned();
        let is_deleted = json.get("soft_deleted").and_then(Json::as_bool) == Some(true);
        let field = self.found.custom_fields.get(&name).filter(|_| known.is_some() && !is_deleted);
        let Some(field) = field else {
            // The field was deleted, or deleted and made anew under the same name.
            seen.names.insert(name.clone());
            unknown.insert(format!("custom field {} \"{name}\"", definition.unwrap_or_default()));
            self.record.fields.remove(&name);
            return;
        };
        if !seen.names.insert(name.clone()) {
            return;
        }
        if let Some(id) = json.get("id").and_then(Json::as_str) {
            self.handle.values.insert(name.clone(), id.to_owned());
        }
        match json.get("value") {
            None => self
                .record
                .park(&name, "Clio does not show the value; tick Custom Fields in the developer hub"),
            Some(value) => self.read_content(&name, field, value, unknown),
        }
    }

    fn read_content(&mut self, name: &str, field: &FoundField, value: &Json, unknown: &mut BTreeSet<String>) {
        let text = match value {
            Json::Null => return self.record.set(name, Value::Null),
            Json::String(text) => text.clone(),
            Json::Bool(_) | Json::Number(_) => value.to_string(),
            Json::Array(_) | Json::Object(_) => {
                return self.record.park(name, "Clio shows something that is no single value");
            }
        };
        let read = match field.kind {
            CustomFieldType::Picklist if text.is_empty() => Value::Null,
            CustomFieldType::Picklist => {
                let label = text.parse().ok().and_then(|id| field.label(id));
                let Some(label) = label else {
                    let option = Value::text(text).shortened();
                    unknown.insert(format!("option {option} of \"{name}\""));
                    let reason = format!(
                        "the matter shows option {option}, which Clio does not list for \"{name}\" (any more); choose \
                         another option for the matter in Clio"
                    );
                    return self.record.park(name, &reason);
                };
                Value::Text(label.to_owned())
            }
            CustomFieldType::Checkbox => match text.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::text(text),
            },
            _ => Value::text(text),
        };
        self.record.set(name, read);
    }

    fn is_ours(&self, name: &str) -> bool {
        name != DESCRIPTION && self.matters.declared.has(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use databridge_model::Key;

    use crate::samples;

    fn read_one(json: &Json) -> (Option<Shown>, Read) {
        let mut read = samples::matters().read_all(&samples::found(), std::slice::from_ref(json));
        (read.reading.records.pop(), read)
    }

    fn matter(values: &Json) -> Json {
        json!({
            "id": 7, "etag": "\"e\"", "updated_at": "2026-11-20T15:00:00Z", "description": "Roof",
            "group": {"id": 1}, "practice_area": {"id": 2}, "custom_field_values": values,
        })
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn values_are_read_by_name_and_options_by_label() {
        let (shown, read) = read_one(&matter(&json!([
            {"id": "text_line-5", "value": " E-1 ", "custom_field": {"id": 11}},
            {"id": "picklist-6", "value": "31", "custom_field": {"id": 12}},
            {"id": "numeric-8", "value": "012.50", "custom_field": {"id": 13}},
        ])));
        let shown = shown.unwrap();
        assert_eq!(shown.key, Key::parse("E-1"));
        assert_eq!(shown.revision, Some(1_795_186_800_000));
        assert_eq!(shown.fields["Court Status"], text("Hearing"));
        assert_eq!(shown.fields["GIS Object ID"], text("12.5"));
        assert_eq!(shown.fields["Location"], Value::Null, "a field without a value is empty");
        assert_eq!(
            shown.handle,
            json!({"etag": "\"e\"", "values": {
            "Civil Warrant": "text_line-5", "Court Status": "picklist-6", "GIS Object ID": "numeric-8"}})
        );
        assert!(read.reading.notices.is_empty() && read.unknown.is_empty(), "{read:?}");
    }

    #[test]
    fn nothing_of_a_matter_of_another_group_or_practice_area_is_read() {
        for (group, area) in [(json!({"id": 9}), json!({"id": 2})), (json!({"id": 1}), json!(null))] {
            let mut foreign =
                matter(&json!([{"id": "picklist-6", "value": "99", "custom_field": {"id": 12}}]));
            foreign["group"] = group;
            foreign["practice_area"] = area;
            let (shown, read) = read_one(&foreign);
            assert!(shown.is_none() && read.reading.notices.is_empty() && read.unknown.is_empty());
        }
    }

    #[test]
    fn an_unknown_option_leaves_out_its_field_only() {
        let (shown, read) = read_one(&matter(&json!([
            {"id": "text_line-5", "value": "E-1", "custom_field": {"id": 11}},
            {"id": "picklist-6", "value": "99", "custom_field": {"id": 12}},
        ])));
        let shown = shown.unwrap();
        assert!(!shown.fields.contains_key("Court Status") && shown.fields.contains_key("Location"));
        assert_eq!(read.unknown.len(), 1);
        assert_eq!(read.reading.notices[0].key, Key::parse("E-1"));
        assert!(read.reading.notices[0].reason.contains("option 99"), "{read:?}");
    }

    #[test]
    fn an_unknown_option_that_is_no_number_is_told_in_short() {
        let option = "2026-11-20".repeat(300);
        let (_, read) = read_one(&matter(&json!([
            {"id": "text_line-5", "value": "E-1", "custom_field": {"id": 11}},
            {"id": "picklist-6", "value": option, "custom_field": {"id": 12}},
        ])));
        let told = read.reading.notices.iter().map(|notice| &notice.reason).chain(&read.unknown);
        let longest = told.map(String::len).max().unwrap();
        assert!(longest < 300, "{longest}");
    }

    #[test]
    fn a_value_of_another_type_leaves_out_its_field_and_is_told() {
        let (shown, read) =
            read_one(&matter(&json!([{"id": "numeric-8", "value": "12,5", "custom_field": {"id": 13}}])));
        assert!(!shown.unwrap().fields.contains_key("GIS Object ID"));
        assert!(read.reading.notices[0].reason.starts_with("`12,5` is no decimal"), "{read:?}");
    }

    #[test]
    fn a_field_made_anew_under_its_name_is_not_taken_as_empty() {
        for value in [
            json!({"id": "text_line-5", "value": "x", "field_name": "Location", "custom_field": {"id": 77}}),
            json!({"id": "text_line-5", "value": "x", "soft_deleted": true, "custom_field": {"id": 14}}),
        ] {
            let (shown, read) = read_one(&matter(&json!([value])));
            assert!(!shown.unwrap().fields.contains_key("Location"));
            assert_eq!(read.unknown.len(), 1);
        }
    }

    #[test]
    fn values_that_clio_hides_are_not_taken_as_empty() {
        for values in [json!([{"id": "text_line-5"}]), Json::Null] {
            let (shown, read) = read_one(&matter(&values));
            let names: Vec<_> = shown.unwrap().fields.into_keys().collect();
            assert_eq!(names, ["description"]);
            assert!(read.reading.notices[0].reason.contains("tick Custom Fields"));
        }
    }

    #[test]
    fn a_value_without_an_id_and_a_place_without_a_value_are_read_and_written_as_they_can_be() {
        let (shown, read) = read_one(&matter(&json!([
            {"id": null, "value": "E-1", "custom_field": {"id": 11}},
            {"id": "picklist-6", "value": null, "custom_field": {"id": 12}},
            {"id": "numeric-8", "value": "", "custom_field": {"id": 13}},
        ])));
        let shown = shown.unwrap();
        assert_eq!(shown.key, Key::parse("E-1"));
        assert_eq!(
            (&shown.fields["Court Status"], &shown.fields["GIS Object ID"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            shown.handle["values"],
            json!({"Court Status": "picklist-6", "GIS Object ID": "numeric-8"}),
            "what has no id of its own goes by its field"
        );
        assert!(read.reading.notices.is_empty() && read.unknown.is_empty(), "{read:?}");
    }

    #[test]
    fn a_foreign_custom_field_is_passed_over() {
        let (shown, read) = read_one(&matter(&json!([
            {"id": "text_area-5", "value": "secret", "field_name": "Location Notes", "custom_field": {"id": 900}},
        ])));
        assert!(!format!("{shown:?}{read:?}").contains("secret"));
        assert!(read.unknown.is_empty());
    }
}

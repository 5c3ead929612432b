//! The bodies of the fuzz targets `clio_records`, `clio_texts` and `clio_answers`. Nothing of the product depends on
//! them.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

mod answers;
mod records;
mod texts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use databridge_config::ConfigFolder;
use databridge_model::Name;
use serde_json::json;

use crate::file::ClioFile;
use crate::found::Found;

pub use answers::clio_answers;
pub use records::clio_records;
pub use texts::clio_texts;

/// No text that is made of an answer is longer, for a person reads it.
const LONGEST_REASON: usize = 1500;

/// A small system file with every kind of record.
fn file() -> Option<&'static ClioFile> {
    static FILE: OnceLock<Option<ClioFile>> = OnceLock::new();
    let read = || {
        let system = json!({
            "system": "clio",
            "time_zone": "America/Chicago",
            "collections": {
                "matters": { "key": "Civil Warrant", "fields": {
                    "description": "text", "Civil Warrant": "text", "Court Status": "text", "GIS Object ID": "decimal",
                    "Location": { "type": "text", "max_length": 20 }, "Vacant": "bool", "Heard": "date",
                } },
                "notes": { "key": "id", "parent": "matters", "fields": {
                    "id": "text", "subject": "text", "detail": "text", "date": "date", "created_at": "instant",
                } },
                "calendar_entries": { "key": "id", "parent": "matters", "fields": {
                    "id": "text", "summary": "text", "description": "text", "location": "text", "start_at": "instant",
                    "end_at": "instant", "all_day": "bool",
                } },
                "documents": { "key": "GIS_ID", "parent": "matters", "fields": {
                    "GIS_ID": "text", "name": "text", "content_type": "text", "content": "ref",
                } },
            },
            "bridge": {
                "calendar": { "name": "Court" },
                "overlap_seconds": 120,
                "custom_fields_minutes": 60,
                "matters": { "group": "G", "practice_area": "P", "client": { "name": "C", "type": "Company" } },
                "custom_fields": {
                    "Civil Warrant": { "type": "text_line" },
                    "Court Status": { "type": "picklist", "options": ["Hearing", "Stay"] },
                    "GIS Object ID": { "type": "numeric" },
                    "Location": { "type": "text_line" },
                    "Vacant": { "type": "checkbox" },
                    "Heard": { "type": "date" },
                },
            },
        });
        let name = Name::parse("clio").ok()?;
        let systems = BTreeMap::from([(name, serde_json::from_value(system).ok()?)]);
        let (routes, schedules) = (BTreeMap::new(), BTreeMap::new());
        ClioFile::read(&ConfigFolder { path: PathBuf::new(), systems, routes, schedules }).ok()
    };
    FILE.get_or_init(read).as_ref()
}

/// What bootstrap found for it.
fn found() -> Option<&'static Found> {
    static FOUND: OnceLock<Option<Found>> = OnceLock::new();
    let read = || {
        serde_json::from_value(json!({
            "group_id": 1, "practice_area_id": 2, "client_id": 3, "calendar_id": 4, "read_at": "2027-01-15T08:00:00Z",
            "custom_fields": {
                "Civil Warrant": { "id": 11, "type": "text_line" },
                "Court Status": { "id": 12, "type": "picklist", "options": { "Hearing": 31, "Stay": 32 } },
                "GIS Object ID": { "id": 13, "type": "numeric" },
                "Location": { "id": 14, "type": "text_line" },
                "Vacant": { "id": 15, "type": "checkbox" },
                "Heard": { "id": 16, "type": "date" },
            },
        }))
        .ok()
    };
    FOUND.get_or_init(read).as_ref()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_fuzzed_with_can_be_read() {
        let file = super::file().expect("the system file");
        assert!(file.notes.is_some() && file.calendar_entries.is_some() && file.documents.is_some());
        assert_eq!(super::found().expect("what was found").custom_fields.len(), 6);
    }

    #[test]
    fn what_fuzzing_has_kept_of_clio_records_passes() {
        corpus::replay("clio_records", super::clio_records);
    }

    #[test]
    fn what_fuzzing_has_kept_of_clio_texts_passes() {
        corpus::replay("clio_texts", super::clio_texts);
    }

    #[test]
    fn what_fuzzing_has_kept_of_clio_answers_passes() {
        corpus::replay("clio_answers", super::clio_answers);
    }
}

//! What the unit tests share: a small system file and what was found for it.

use std::collections::BTreeMap;

use chrono::DateTime;

use crate::calendar_entries::CalendarEntries;
use crate::file::ClioFile;
use crate::found::{Found, FoundField};
use crate::matters::Matters;
use crate::notes::Notes;
use crate::settings::CustomFieldType;

pub(crate) fn matters() -> Matters {
    file().matters
}

pub(crate) fn notes() -> Notes {
    file().notes.unwrap()
}

pub(crate) fn calendar_entries() -> CalendarEntries {
    file().calendar_entries.unwrap()
}

pub(crate) fn file() -> ClioFile {
    let file = r#"
        system = "clio"
        time_zone = "America/Chicago"
        [collections.matters]
        key = "Civil Warrant"
        [collections.matters.fields]
        description = "text"
        "Civil Warrant" = "text"
        "Court Status" = "text"
        "GIS Object ID" = "decimal"
        "Location" = { type = "text", max_length = 20 }
        [collections.notes]
        key = "id"
        parent = "matters"
        fields = { id = "text", subject = "text", detail = "text", date = "date", created_at = "instant" }
        [collections.calendar_entries]
        key = "id"
        parent = "matters"
        [collections.calendar_entries.fields]
        id = "text"
        summary = "text"
        description = "text"
        location = "text"
        start_at = "instant"
        end_at = "instant"
        all_day = "bool"
        [bridge]
        calendar = { name = "Court" }
        overlap_seconds = 120
        custom_fields_minutes = 60
        matters = { group = "G", practice_area = "P", client = { name = "C", type = "Company" } }
        [bridge.custom_fields]
        "Civil Warrant" = { type = "text_line" }
        "Court Status" = { type = "picklist", options = ["Hearing", "Stay"] }
        "GIS Object ID" = { type = "numeric" }
        "Location" = { type = "text_line" }
    "#;
    let folder = tempfile::tempdir().unwrap();
    for name in ["systems", "routes"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("systems/clio.toml"), file).unwrap();
    ClioFile::read(&databridge_config::ConfigFolder::read(folder.path()).unwrap()).unwrap()
}

pub(crate) fn found() -> Found {
    let field = |id, kind| FoundField { id, kind, options: BTreeMap::new() };
    let options = [("Hearing".to_owned(), 31), ("Stay".to_owned(), 32)].into();
    Found {
        group_id: 1,
        practice_area_id: 2,
        client_id: 3,
        calendar_id: Some(4),
        custom_fields: [
            ("Civil Warrant".to_owned(), field(11, CustomFieldType::TextLine)),
            ("Court Status".to_owned(), FoundField { options, ..field(12, CustomFieldType::Picklist) }),
            ("GIS Object ID".to_owned(), field(13, CustomFieldType::Numeric)),
            ("Location".to_owned(), field(14, CustomFieldType::TextLine)),
        ]
        .into(),
        read_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    }
}

//! A litigation with all that belongs to it, the same on both sides.

use chrono::{DateTime, TimeDelta, Utc};
use sandbox::client::{GisAttachment, GisFeature};
use sandbox::clio::hand::{DocumentPage, EntryPage, MatterPage, NotePage, Property, VersionPage};
use serde_json::{Value, json};

use super::super::picture::Picture;
use super::Comparer;

pub(super) fn comparer() -> Comparer {
    Comparer::of_the_city()
}

fn now() -> DateTime<Utc> {
    "2026-11-20T15:00:00Z".parse().unwrap()
}

fn row(values: &Value, lon_lat: (f64, f64)) -> GisFeature {
    let attributes = values.as_object().unwrap().clone();
    GisFeature { attributes, lon: Some(lon_lat.0), lat: Some(lon_lat.1) }
}

/// A dismissed litigation that has a note, a court date, a file and a history.
pub(super) fn picture() -> Picture {
    let sitting: DateTime<Utc> = "2026-12-03T06:00:00Z".parse().unwrap();
    let litigation = row(
        &json!({ "OBJECTID": 5, "CivilWarrant": "E-1", "ADDRESS1": "12 Main St", "Court_Status": "Dismissed",
            "BoardUp_Notes": "Boarded", "NextCourtDate": sitting.timestamp_millis() }),
        (-90.05, 35.15),
    );
    let custom_fields = [
        ("Civil Warrant", "E-1"),
        ("GIS Object ID", "5"),
        ("GIS Longitude", "-90.05"),
        ("GIS Latitude", "35.15"),
        ("Location", "12 Main St"),
        ("Court Status", "Dismissed"),
        ("Next Court Date", "2026-12-03"),
        ("Dismiss Status", "Dismissed with costs"),
        ("Dismissed Condition", "Other"),
    ];
    let matter = MatterPage {
        id: 70,
        group: Some("NP Clinic".to_owned()),
        practice_area: None,
        client: "NP Clinic Client".to_owned(),
        display_number: "00001".to_owned(),
        description: "12 Main St".to_owned(),
        status: "Open".to_owned(),
        etag: "\"e\"".to_owned(),
        created_at: now(),
        updated_at: now(),
        custom_fields: custom_fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
            .collect(),
    };
    let entry = EntryPage {
        id: 80,
        calendar_id: 4,
        calendar: "NP Clinic Calendar".to_owned(),
        matter: Some(70),
        summary: "E-1".to_owned(),
        description: None,
        location: None,
        start_at: sitting,
        end_at: sitting + TimeDelta::minutes(30),
        all_day: true,
        recurrence_rule: None,
        external_properties: Vec::new(),
        etag: "\"e\"".to_owned(),
        created_at: now(),
        updated_at: now(),
    };
    let dismissal = row(
        &json!({ "OBJECTID": 1, "CivilWarrant": "E-1", "Status_1": "Dismissed",
            "DismissStatus": "Dismissed with costs", "DismissedCondition": "Other" }),
        (-90.05, 35.15),
    );
    Picture {
        now: now(),
        rows: vec![litigation],
        files: vec![file()],
        history: vec![dismissal],
        matters: vec![matter],
        notes: vec![note(90, "2026-11-01", "Earlier"), note(91, "2026-11-02", "Boarded")],
        entries: vec![entry],
        documents: vec![document(60)],
    }
}

fn file() -> GisAttachment {
    GisAttachment {
        object_id: 5,
        id: 17,
        global_id: "{0}".to_owned(),
        name: "front.jpg".to_owned(),
        content_type: "image/jpeg".to_owned(),
        size: 3,
        sha256: "abc".to_owned(),
    }
}

pub(super) fn note(id: i64, date: &str, detail: &str) -> NotePage {
    NotePage {
        id,
        matter: Some(70),
        contact: None,
        subject: Some("Board-up notes".to_owned()),
        detail: Some(detail.to_owned()),
        is_rich: false,
        date: date.parse().unwrap(),
        etag: "\"e\"".to_owned(),
        created_at: now(),
        updated_at: now(),
    }
}

pub(super) fn document(id: i64) -> DocumentPage {
    let version = VersionPage {
        id: 1,
        uuid: "u".to_owned(),
        filename: "front.jpg".to_owned(),
        content_type: "image/jpeg".to_owned(),
        fully_uploaded: true,
        size: Some(3),
        sha256: Some("abc".to_owned()),
    };
    DocumentPage {
        id,
        matter: Some(70),
        contact: None,
        name: "front.jpg".to_owned(),
        locked: false,
        deleted_at: None,
        external_properties: vec![Property::new("GIS_ID", "17")],
        versions: vec![version],
        etag: "\"e\"".to_owned(),
        created_at: now(),
        updated_at: now(),
    }
}

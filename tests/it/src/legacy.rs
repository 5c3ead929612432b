//! What the scripts that Data Bridge replaces leave: in Clio as they made it, not as it should be; and in their data
//! folder.

use std::collections::BTreeMap;
use std::f64::consts::FRAC_PI_4;
use std::path::Path;

use anyhow::Context;
use chrono::{DateTime, Utc};
use sandbox::client::{GisAttachment, GisFeature};
use sandbox::clio::hand::{
    MatterPage, NewDocument, NewEntry, NewMatter, NewNote, NotePage, Property, Upload,
};
use serde_json::{Value as Json, json};

use crate::town::text;

/// The radius of the sphere of Web Mercator, in metres.
const RADIUS: f64 = 6_378_137.0;

/// In what the layer told its places to the scripts, which asked for no spatial reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axes {
    /// Degrees.
    Degrees,
    /// Metres of Web Mercator.
    Metres,
}

/// The custom fields that the scripts filled from a row's field as it was.
const COPIED: [(&str, &str); 11] = [
    ("Civil Warrant", "CivilWarrant"),
    ("Incident Number", "INCIDENT_NUMBER"),
    ("Parcel ID", "PARCEL_ID"),
    ("City File Number", "Case_Number"),
    ("Subdistrict", "ce_name"),
    ("NPA Inspection Summary", "NPA_Inspect_Summary"),
    ("Location", "ADDRESS1"),
    ("Court Status", "Court_Status"),
    ("Property Owner", "Court_Property_Owner"),
    ("Defendent", "AntiNeglect_Plans_App_By"),
    ("GIS Object ID", "OBJECTID"),
];

/// The matter that the scripts made of a row: east stands in the field for north, and north in that for east.
pub fn matter_of(row: &GisFeature, axes: Axes) -> NewMatter {
    let copied = COPIED.iter().map(|(field, column)| (*field, text(row, column)));
    let place = row.lon.zip(row.lat).into_iter().flat_map(|(lon, lat)| {
        let (x, y) = match axes {
            Axes::Degrees => (lon, lat),
            Axes::Metres => {
                (RADIUS * lon.to_radians(), RADIUS * (FRAC_PI_4 + lat.to_radians() / 2.0).tan().ln())
            }
        };
        [("GIS Latitude", x.to_string()), ("GIS Longitude", y.to_string())]
    });
    let custom_fields = copied.chain(place).filter(|(_, value)| !value.is_empty());
    NewMatter {
        client: "NP Clinic Client".to_owned(),
        description: text(row, "ADDRESS1"),
        group: Some("NP Clinic".to_owned()),
        practice_area: Some("Neighborhood Preservation".to_owned()),
        custom_fields: custom_fields.map(|(field, value)| (field.to_owned(), Some(value))).collect(),
        ..NewMatter::default()
    }
}

/// The note of a row's board-up notes, by the first version; none where there are no notes.
pub fn note_of(row: &GisFeature, matter: i64) -> Option<NewNote> {
    let detail = text(row, "BoardUp_Notes");
    (!detail.is_empty()).then(|| NewNote { matter, detail, ..NewNote::default() })
}

/// The calendar entry of a row's court date, by the last version: it begins and ends in one moment. None where there is
/// no date.
pub fn entry_of(row: &GisFeature, matter: i64) -> Option<NewEntry> {
    let at = court_date(row)?;
    let entry = NewEntry::new("NP Clinic Calendar", &text(row, "AntiNeglect_Plans_App_By"), at, at);
    Some(NewEntry { description: Some(text(row, "BoardUp_Notes")), ..entry.on(matter) })
}

/// A row's court date.
pub fn court_date(row: &GisFeature) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(row.attributes.get("NextCourtDate")?.as_i64()?)
}

/// The document that the scripts made of an attachment.
pub fn document_of(attachment: &GisAttachment, matter: i64, upload: Upload) -> NewDocument {
    NewDocument {
        matter,
        name: attachment.name.clone(),
        content_type: Some(attachment.content_type.clone()),
        external_properties: vec![Property::new("GIS_ID", &attachment.id.to_string())],
        upload,
    }
}

/// The rows by their object ids.
pub fn by_object_id(rows: &[GisFeature]) -> anyhow::Result<BTreeMap<i64, &GisFeature>> {
    let id = |row: &GisFeature| row.attributes.get("OBJECTID").and_then(Json::as_i64);
    rows.iter().map(|row| Ok((id(row).context("a row without OBJECTID")?, row))).collect()
}

/// The data folder of the scripts, written as they write it.
#[derive(Debug)]
pub struct DataFolder(tempfile::TempDir);

/// The moment of a pull, which names the files of the queue.
const PULLED: &str = "2026-07-01T10:10:10+00:00";

impl DataFolder {
    /// A folder in which nothing waits.
    pub fn new() -> anyhow::Result<Self> {
        let folder = Self(tempfile::tempdir()?);
        folder.write("gis/log", PULLED)?;
        // After a migrate there is no offset.
        folder.write("clio/log", "2026-07-01T10:10:12.157939")?;
        Ok(folder)
    }

    /// Where it is, as the scripts had it in `BASE_DATA_DIR`.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.0.path().join("data").join(name);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        Ok(std::fs::write(path, text)?)
    }

    /// Litigations that wait to go to Clio.
    pub fn litigations(&self, rows: &[&GisFeature]) -> anyhow::Result<()> {
        self.queue("gis/queued/active_litigations", rows.iter().map(|row| litigation_line(row)))
    }

    /// Attachments that wait to go to Clio.
    pub fn attachments(&self, attachments: &[&GisAttachment]) -> anyhow::Result<()> {
        let line = |it: &&GisAttachment| {
            json!({
                "id": it.id, "litigation_object_id": it.object_id, "civil_warrant": null,
                "content_type": it.content_type, "size": it.size, "name": it.name,
            })
        };
        self.queue("gis/queued/attachments", attachments.iter().map(line))
    }

    /// Matters that wait to go to the map, by the first version.
    pub fn matters(&self, matters: &[&MatterPage]) -> anyhow::Result<()> {
        self.queue("clio/queued/matters", matters.iter().map(|matter| matter_line(matter)))
    }

    /// Notes that wait to go to the map, by the first version: beside each stands the last matter of the pull.
    pub fn notes(&self, notes: &[&NotePage], last: &MatterPage) -> anyhow::Result<()> {
        let line =
            |note: &&NotePage| json!({ "id": note.id, "matter": matter_line(last), "detail": note.detail });
        self.queue("clio/queued/notes", notes.iter().map(line))
    }

    fn queue(&self, folder: &str, lines: impl Iterator<Item = Json>) -> anyhow::Result<()> {
        let lines: Vec<_> = lines.map(|line| format!("{line}\n")).collect();
        self.write(&format!("{folder}/{PULLED}"), &lines.concat())
    }
}

fn litigation_line(row: &GisFeature) -> Json {
    let value = |column: &str| row.attributes.get(column).cloned().unwrap_or_default();
    json!({
        "object_id": value("OBJECTID"), "created": value("CREATION_DATE"), "updated": value("LAST_MODIFIED_DATE"),
        "incident_number": value("INCIDENT_NUMBER"), "parcel_id": value("PARCEL_ID"), "city_file_no": value("Case_Number"),
        "sub_district": value("ce_name"), "npa_inspect_summary": value("NPA_Inspect_Summary"),
        "court_status": value("Court_Status"), "location": value("ADDRESS1"), "next_court_date": value("NextCourtDate"),
        "property_owner": value("Court_Property_Owner"), "defendent": value("AntiNeglect_Plans_App_By"),
        "civil_warrant": value("CivilWarrant"), "latest_court_notes": value("BoardUp_Notes"),
        "geometry": { "x": row.lon, "y": row.lat }, "dismiss_status": null, "dismissed_condition": null,
    })
}

fn matter_line(matter: &MatterPage) -> Json {
    let set = matter.custom_fields.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let values = set.map(
        |(name, value)| json!({ "etag": "\"1\"", "field_name": name, "id": "text_line-1", "value": value }),
    );
    json!({
        "custom_field_values": values.collect::<Vec<_>>(), "etag": matter.etag, "id": matter.id,
        "updated_at": matter.updated_at,
    })
}

//! Notes on our matters ("Notes").

mod push;
pub(crate) mod rich_text;

use databridge_bridge::Shown;
use databridge_http::CallError;
use databridge_model::{FieldType, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};

use crate::api::{self, Resource};
use crate::declared::Declared;
use crate::found::Found;
use crate::kind::{Filters, Kind, Pushed, Reading, Work, id_of, matter_in};
use crate::mark::{mark_of, without_mark};
use crate::record::{RecordReader, etag_of};
use crate::whose::OurMatters;

const SUBJECT: &str = "subject";
const DETAIL: &str = "detail";

/// The fields, and the types that each may be declared with.
const FIELDS: [(&str, &[FieldType]); 5] = [
    ("id", &[FieldType::Text, FieldType::Ref, FieldType::Int]),
    (SUBJECT, &[FieldType::Text]),
    (DETAIL, &[FieldType::Text]),
    ("date", &[FieldType::Date]),
    ("created_at", &[FieldType::Instant]),
];

/// Those that can be set.
const SETTABLE: [&str; 3] = [SUBJECT, DETAIL, "date"];

/// The collection `notes`.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    declared: Declared,
}

impl Notes {
    /// The collection's name.
    pub(crate) const NAME: &str = "notes";

    /// As the system file has them; what is wrong there is told.
    pub(crate) fn new(declared: Declared, wrong: &mut Vec<String>) -> Self {
        wrong.extend(declared.problems("id", &FIELDS));
        Self { declared }
    }

    /// Reads a note; `None` if it is not one of ours.
    fn read_one(&self, ours: &OurMatters, json: &Json, reading: &mut Reading) -> Option<Shown> {
        let matter = ours.of(json).filter(|_| is_of_matter(json))?;
        let id = id_of(json)?.to_string();
        let mut record = RecordReader::new(self, json);
        record.set("id", Value::text(id.clone()));
        for name in ["date", "created_at"] {
            record.take(name, json.get(name));
        }
        let subject = json.get(SUBJECT).and_then(Json::as_str).map(|subject| json!(without_mark(subject)));
        record.take(SUBJECT, subject.as_ref().or(json.get(SUBJECT)));
        let is_rich = json.get("detail_text_type").and_then(Json::as_str) == Some(api::RICH_TEXT);
        let plain = json.get(DETAIL).and_then(Json::as_str).filter(|_| is_rich);
        let plain = plain.map(|detail| json!(rich_text::plain(detail)));
        record.take(DETAIL, plain.as_ref().or(json.get(DETAIL)));
        let handle = json!({ "etag": etag_of(json), "matter": matter });
        let shown = record.finish(id, Some(matter), handle, &mut reading.notices);
        let made_by = json.get(SUBJECT).and_then(Json::as_str).and_then(mark_of).map(str::to_owned);
        Some(Shown { made_by, ..shown })
    }
}

/// Whether a note is one on a matter, and not on a contact.
fn is_of_matter(json: &Json) -> bool {
    json.get("type").and_then(Json::as_str) == Some(api::NOTE_OF_MATTER)
}

impl Kind for Notes {
    fn declared(&self) -> &Declared {
        &self.declared
    }

    fn resource(&self) -> &'static Resource {
        &api::NOTES
    }

    /// Notes cannot be narrowed to a group: whose they are, each one's matter says.
    fn ours(&self, _found: &Found) -> Result<Filters, CallError> {
        Ok(Vec::new())
    }

    fn matter_of(&self, _found: &Found, json: &Json) -> Option<u64> {
        matter_in(json).filter(|_| is_of_matter(json))
    }

    fn read(&self, _found: &Found, ours: &OurMatters, page: &[Json]) -> Reading {
        let mut reading = Reading::of(page, |json, reading| self.read_one(ours, json, reading));
        reading.tell_of_doubles(self);
        reading
    }

    fn create<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed> {
        self.make(work).boxed()
    }

    fn update<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed> {
        self.set(work).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn note(detail: &str, kind: &str) -> Json {
        json!({
            "id": 7, "etag": "\"e\"", "type": "Matter", "subject": "Board up [DB litigation_notes.C-1.3]",
            "detail": detail, "detail_text_type": kind, "date": "2026-11-20",
            "created_at": "2026-11-20T09:00:00-06:00", "updated_at": "2026-11-20T15:00:00Z",
            "matter": {"id": 5},
        })
    }

    fn read(note: Json, ours: &[u64]) -> Reading {
        samples::notes().read(&samples::found(), &OurMatters::sample(ours), &[note])
    }

    #[test]
    fn a_note_is_shown_with_its_matter_without_its_mark_and_as_plain_text() {
        let shown = read(note("<div>a &amp; b</div>", "rich_text"), &[5]).records.remove(0);
        assert_eq!((shown.id.as_str(), shown.parent.as_deref()), ("7", Some("5")));
        assert_eq!(shown.key.map(|key| key.as_str().to_owned()).as_deref(), Some("7"));
        assert_eq!(shown.fields[SUBJECT], Value::text("Board up"));
        assert_eq!(shown.fields[DETAIL], Value::text("a & b"));
        assert_eq!(shown.fields["created_at"], Value::text("2026-11-20T15:00:00Z"));
        assert_eq!(shown.handle, json!({"etag": "\"e\"", "matter": 5}));
        let plain = read(note("a <b> c", "plain_text"), &[5]).records.remove(0);
        assert_eq!(plain.fields[DETAIL], Value::text("a <b> c"));
    }

    #[test]
    fn nothing_of_a_note_on_a_matter_of_others_is_read() {
        let notes = samples::notes();
        let mut foreign = note("privileged", "plain_text");
        foreign["date"] = json!("soon");
        let reading = read(foreign.clone(), &[6]);
        assert!(reading.records.is_empty() && reading.notices.is_empty());
        assert!(!format!("{reading:?}").contains("privileged"));
        assert_eq!(notes.matter_of(&samples::found(), &foreign), Some(5));
        for (name, value) in [("type", json!("Contact")), ("matter", Json::Null)] {
            let mut other = foreign.clone();
            other[name] = value;
            assert!(read(other.clone(), &[5]).records.is_empty());
            assert_eq!(notes.matter_of(&samples::found(), &other), None, "Clio is not asked in vain");
        }
    }
}

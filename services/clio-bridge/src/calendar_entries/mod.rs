//! Entries of our calendar that belong to our matters ("Calendar Entries").

mod push;
pub(crate) mod times;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use databridge_bridge::Shown;
use databridge_http::CallError;
use databridge_model::{FieldType, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::api::{self, Resource, filter};
use crate::calendar_entries::times::{OfficeHours, Times};
use crate::catalogue::not_ready;
use crate::declared::Declared;
use crate::found::Found;
use crate::kind::{Filters, Kind, Pushed, Reading, Work, id_of, matter_in};
use crate::record::{RecordReader, etag_of, external_property};
use crate::settings::CalendarSettings;
use crate::whose::OurMatters;

const SUMMARY: &str = "summary";
const START: &str = "start_at";
const END: &str = "end_at";
const ALL_DAY: &str = "all_day";

/// The fields, and the types that each may be declared with.
const FIELDS: [(&str, &[FieldType]); 7] = [
    ("id", &[FieldType::Text, FieldType::Ref, FieldType::Int]),
    (SUMMARY, &[FieldType::Text]),
    ("description", &[FieldType::Text]),
    ("location", &[FieldType::Text]),
    (START, &[FieldType::Instant]),
    (END, &[FieldType::Instant]),
    (ALL_DAY, &[FieldType::Bool]),
];

/// Those that can be set.
const SETTABLE: [&str; 6] = [SUMMARY, "description", "location", START, END, ALL_DAY];

/// What comes back with a push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Handle {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matter: Option<u64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    times: Option<Times>,
}

/// The collection `calendar_entries`.
#[derive(Clone, Debug)]
pub(crate) struct CalendarEntries {
    declared: Declared,
    hours: OfficeHours,
}

impl CalendarEntries {
    /// The collection's name.
    pub(crate) const NAME: &str = "calendar_entries";

    /// As the system file has them; what is wrong there is told.
    pub(crate) fn new(
        declared: Declared,
        calendar: Option<&CalendarSettings>,
        zone: Option<Tz>,
        wrong: &mut Vec<String>,
    ) -> Option<Self> {
        wrong.extend(declared.problems("id", &FIELDS));
        if calendar.is_none() {
            wrong.push(
                "[collections.calendar_entries] needs [bridge.calendar] with the calendar's name".to_owned(),
            );
        }
        if zone.is_none() {
            wrong.push(
                "[collections.calendar_entries] needs time_zone = \"<IANA name>\" at the top of the file"
                    .to_owned(),
            );
        }
        let length = TimeDelta::minutes(calendar?.minutes.into());
        Some(Self { declared, hours: OfficeHours { zone: zone?, length } })
    }

    /// Reads an entry; `None` if it is not one of our calendar and our matters, or recurs.
    fn read_one(
        &self,
        found: &Found,
        ours: &OurMatters,
        json: &Json,
        reading: &mut Reading,
    ) -> Option<Shown> {
        let matter = ours.of(json).filter(|_| is_in_our_calendar(found, json))?;
        let id = id_of(json)?.to_string();
        if json.get("recurrence_rule").and_then(Json::as_str).is_some_and(|rule| !rule.is_empty()) {
            let reason =
                "the entry recurs, and is carried nowhere; make an entry for each court date in Clio";
            let notice = self.declared.notice(None, reason.to_owned());
            reading.notices.push(databridge_model::Parked { id: Some(id), ..notice });
            return None;
        }
        let mut record = RecordReader::new(self, json);
        record.set("id", Value::text(id.clone()));
        for name in [SUMMARY, "description", "location", ALL_DAY] {
            record.take(name, json.get(name));
        }
        let times = self.times_of(json);
        match times {
            Some(times) => {
                for (name, at) in [(START, times.start), (END, times.end)] {
                    let at = Value::instant(at);
                    record.take(name, serde_json::to_value(at).ok().as_ref());
                }
            }
            None => {
                for name in [START, END] {
                    record.take(name, json.get(name));
                }
            }
        }
        let handle = Handle { etag: etag_of(json), matter: Some(matter), times };
        let handle = serde_json::to_value(handle).unwrap_or_default();
        let shown = record.finish(id, Some(matter), handle, &mut reading.notices);
        Some(Shown { made_by: external_property(json, api::PUSH_PROPERTY), ..shown })
    }

    fn times_of(&self, json: &Json) -> Option<Times> {
        let (start, end) = (json.get(START)?.as_str()?, json.get(END)?.as_str()?);
        let moment = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
        let all_day = json.get(ALL_DAY).and_then(Json::as_bool).unwrap_or_default();
        if !all_day {
            return Some(Times { start: moment(start)?, end: moment(end)?, all_day });
        }
        let begins = self.hours.day_begins(start)?;
        let end = moment(end)? + (begins - moment(start)?);
        Some(Times { start: begins, end, all_day })
    }
}

fn is_in_our_calendar(found: &Found, json: &Json) -> bool {
    let calendar = json.get("calendar_owner").and_then(id_of);
    calendar.is_some() && calendar == found.calendar_id
}

/// Our calendar, once bootstrap has found it.
fn calendar_of(found: &Found) -> Result<u64, CallError> {
    found.calendar_id.ok_or_else(|| {
        not_ready(
            "it is not known which calendar is ours; run `databridge bootstrap`, which finds or makes it",
        )
    })
}

impl Kind for CalendarEntries {
    fn declared(&self) -> &Declared {
        &self.declared
    }

    fn resource(&self) -> &'static Resource {
        &api::CALENDAR_ENTRIES
    }

    fn ours(&self, found: &Found) -> Result<Filters, CallError> {
        Ok(vec![(filter::CALENDAR, calendar_of(found)?.to_string())])
    }

    fn matter_of(&self, found: &Found, json: &Json) -> Option<u64> {
        matter_in(json).filter(|_| is_in_our_calendar(found, json))
    }

    fn read(&self, found: &Found, ours: &OurMatters, page: &[Json]) -> Reading {
        let mut reading = Reading::of(page, |json, reading| self.read_one(found, ours, json, reading));
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
    use databridge_model::Fields;
    use serde_json::json;

    use super::*;
    use crate::push::Change;
    use crate::samples;

    fn entry() -> Json {
        json!({
            "id": "7", "etag": "\"e\"", "summary": "Court", "description": null, "location": "Room 2",
            "start_at": "2026-11-20T09:00:00-06:00", "end_at": "2026-11-20T11:00:00-06:00", "all_day": false,
            "recurrence_rule": null, "updated_at": "2026-11-20T15:00:00Z", "calendar_owner": {"id": 4},
            "matter": {"id": 5},
        })
    }

    /// Read where matter 5 is ours.
    fn read(entry: Json) -> Reading {
        samples::calendar_entries().read(&samples::found(), &OurMatters::sample(&[5]), &[entry])
    }

    #[test]
    fn an_entry_is_shown_with_its_matter_and_its_times() {
        let shown = read(entry()).records.remove(0);
        assert_eq!((shown.id.as_str(), shown.parent.as_deref()), ("7", Some("5")));
        assert_eq!(shown.fields[START], Value::text("2026-11-20T15:00:00Z"));
        assert_eq!(shown.fields["description"], Value::Null);
        assert_eq!(
            shown.handle,
            json!({"etag": "\"e\"", "matter": 5, "start": "2026-11-20T15:00:00Z", "end": "2026-11-20T17:00:00Z",
                "all_day": false})
        );
    }

    #[test]
    fn entries_of_other_calendars_and_matters_are_not_read_and_one_that_recurs_is_told() {
        for (name, value, asked_of) in [
            ("calendar_owner", json!({"id": 9}), None),
            ("matter", Json::Null, None),
            ("matter", json!({"id": 6}), Some(6)),
        ] {
            let mut foreign = entry();
            foreign[name] = value;
            foreign["recurrence_rule"] = json!("FREQ=DAILY");
            assert_eq!(samples::calendar_entries().matter_of(&samples::found(), &foreign), asked_of);
            let reading = read(foreign);
            assert!(reading.records.is_empty() && reading.notices.is_empty(), "{reading:?}");
        }
        let mut recurring = entry();
        recurring["recurrence_rule"] = json!("FREQ=DAILY");
        let reading = read(recurring);
        assert_eq!((reading.records.len(), reading.notices.len()), (0, 1));
        assert_eq!(reading.notices[0].id.as_deref(), Some("7"));
    }

    #[test]
    fn a_new_start_takes_the_end_along_and_a_push_without_one_leaves_the_times() {
        let entries = samples::calendar_entries();
        let shown = read(entry()).records.remove(0);
        let handle: Handle = serde_json::from_value(shown.handle).unwrap();
        let moved = Fields::from([(START.to_owned(), Value::text("2026-11-23T15:00:00Z"))]);
        assert_eq!(
            Json::Object(entries.change(&moved, handle.times).data()),
            json!({"start_at": "2026-11-23T09:00:00-06:00", "end_at": "2026-11-23T11:00:00-06:00",
                "all_day": false})
        );
        let renamed = Fields::from([(SUMMARY.to_owned(), Value::text("Trial"))]);
        assert_eq!(Json::Object(entries.change(&renamed, handle.times).data()), json!({"summary": "Trial"}));
        let emptied = Fields::from([(START.to_owned(), Value::Null)]);
        assert!(entries.change(&emptied, handle.times).parked().contains_key(START));
    }
}

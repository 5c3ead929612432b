//! Pushes to calendar entries: each is one write. What a push made is known again by an external property.

use chrono::{DateTime, Utc};
use databridge_bridge::PushTask;
use databridge_model::{Fields, PushId, Value};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::times::Times;
use super::{ALL_DAY, CalendarEntries, END, Handle, SETTABLE, START, SUMMARY, calendar_of};
use crate::api::{self, filter};
use crate::clio::Clio;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, Pushed, Work};
use crate::mark::{attempts, property_value};
use crate::property_change::PropertyChange;
use crate::push::{Change, ChangeWrite, Settled, Stop, parent_of, target_of};
use crate::record::external_property;

impl CalendarEntries {
    /// Works out the fields of a push. When an entry begins, ends, and whether it is of a whole day, go together.
    pub(super) fn change(&self, set: &Fields, before: Option<Times>) -> PropertyChange {
        let mut change = PropertyChange::of(&self.declared, set, &SETTABLE);
        if !change.has(START) {
            return change;
        }
        let start = set.get(START).and_then(Value::as_text);
        let start = start.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let Some(start) = start.map(|at| at.with_timezone(&Utc)) else {
            change.park(START, "an entry needs a time at which it begins; delete it instead");
            return change;
        };
        let times = match before {
            Some(before) => self.hours.moved(before, start),
            None => self.hours.new_entry(start),
        };
        change.put(START, START, json!(self.hours.told(times.start)));
        if !change.has(END) {
            change.put(START, END, json!(self.hours.told(times.end)));
        }
        if !change.has(ALL_DAY) {
            change.put(START, ALL_DAY, json!(times.all_day));
        }
        change
    }

    /// Makes an entry.
    pub(super) async fn make(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let push = &task.push;
        let matter = parent_of(self, push)?;
        let Some(id) = &push.push else {
            let message = "a calendar entry can be made by a push with an id only";
            return Settled::refused(message, None).stop();
        };
        for needed in [SUMMARY, START] {
            if push.set.get(needed).is_none_or(Value::is_null) {
                let message = format!("Clio takes no calendar entry without \"{needed}\"");
                return Settled::refused(message, Some(needed)).stop();
            }
        }
        let found = clio.catalogue.current(errand).await?;
        let calendar = calendar_of(&found)?;
        if task.doubtful {
            self.must_be_new(clio, errand, task, id, &found).await?;
        }
        let mut change = self.change(&push.set, None);
        for needed in [SUMMARY, START] {
            if let Some(reason) = change.parked().get(needed) {
                return Settled::refused(reason, Some(needed)).stop();
            }
        }
        let to = ChangeWrite {
            method: Method::POST,
            url: clio.record_url(self, None),
            if_match: None,
            beside: Map::from_iter([
                ("calendar_owner".to_owned(), json!({ "id": calendar })),
                ("matter".to_owned(), json!({ "id": matter })),
                (
                    "external_properties".to_owned(),
                    json!([{ "name": api::PUSH_PROPERTY, "value": property_value(id) }]),
                ),
            ]),
            needed: &[SUMMARY, START],
        };
        let ours = clio.must_be_ours(errand, matter, &found).await?;
        let answer = clio.write_change(errand, &mut change, &to).await?;
        let settled = clio.written(errand, self, &answer, &found, &ours).await?;
        Ok(settled.with_parked(change.parked().clone()))
    }

    /// Stops if an earlier attempt made the entry.
    async fn must_be_new(
        &self,
        clio: &Clio,
        errand: &Errand,
        task: &PushTask,
        id: &PushId,
        found: &Found,
    ) -> Result<(), Stop> {
        let mut same: Vec<Json> = Vec::new();
        for attempt in attempts(task, id).into_iter().map(property_value) {
            let filters =
                [(filter::PROPERTY_NAME, api::PUSH_PROPERTY), (filter::PROPERTY_VALUE, attempt.as_str())];
            let all = clio.all_of_ours(errand, self, found, &filters).await?;
            // A filter that Clio ignored would show others, too.
            let is_marked =
                |json: &Json| external_property(json, api::PUSH_PROPERTY).as_ref() == Some(&attempt);
            same.extend(all.into_iter().filter(is_marked));
        }
        let same = self.understand(clio, errand, &same, found).await?.records;
        self.declared.only_one(same, "property DATABRIDGE_ID is of one push", None)
    }

    /// Sets fields of an entry.
    pub(super) async fn set(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let push = &task.push;
        let (id, target) = target_of(self, push)?;
        let found = clio.catalogue.current(errand).await?;
        let mut now = clio.look_before(errand, self, task, &found).await?;
        if times_in(&target.handle).is_none() && now.is_none() && push.set.contains_key(START) {
            // Where the entry ends is not known, and has to move along.
            now = Some(clio.read_one(errand, self, id, &found).await?);
        }
        let handle = now.as_ref().map_or(&target.handle, |shown| &shown.handle).clone();
        let change = self.change(&push.set, times_in(&handle));
        if let Some(shown) = now {
            self.declared.must_still_be(shown, &push.set, &push.expect, change.parked())?;
        }
        clio.patch(errand, self, (id, &handle), change, &found).await
    }
}

/// When an entry begins and ends, as its handle remembers it.
fn times_in(handle: &Json) -> Option<Times> {
    serde_json::from_value::<Handle>(handle.clone()).ok()?.times
}

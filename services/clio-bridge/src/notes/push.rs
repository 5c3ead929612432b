//! Pushes to notes: each is one write. What a push made is known again by the mark in its subject line.

use databridge_bridge::PushTask;
use databridge_model::{PushId, Value};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::{DETAIL, Notes, SETTABLE, SUBJECT};
use crate::api::{self, filter};
use crate::clio::Clio;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, Pushed, Work};
use crate::mark::{attempts, bears_mark, with_mark};
use crate::property_change::PropertyChange;
use crate::push::{Change, ChangeWrite, Settled, Stop, parent_of, target_of};

impl Notes {
    fn change(&self, task: &PushTask) -> PropertyChange {
        let mut change = PropertyChange::of(&self.declared, &task.push.set, &SETTABLE);
        if change.has(DETAIL) {
            // The text of a push is plain, whatever the note was.
            change.put(DETAIL, "detail_text_type", json!(api::PLAIN_TEXT));
        }
        change
    }

    /// Makes a note.
    pub(super) async fn make(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let push = &task.push;
        let matter = parent_of(self, push)?;
        let Some(id) = &push.push else {
            return Settled::refused("a note can be made by a push with an id only", None).stop();
        };
        let found = clio.catalogue.current(errand).await?;
        if task.doubtful {
            self.must_be_new(clio, errand, task, (matter, id), &found).await?;
        }
        let mut change = self.change(task);
        if let Some(reason) = change.parked().get(SUBJECT) {
            return Settled::refused(reason, Some(SUBJECT)).stop();
        }
        let subject = push.set.get(SUBJECT).and_then(Value::as_text);
        let most = self.declared.collection.field(SUBJECT).and_then(|decl| decl.max_length);
        change.put(SUBJECT, SUBJECT, json!(with_mark(subject, id, most)));
        let to = ChangeWrite {
            method: Method::POST,
            url: clio.record_url(self, None),
            if_match: None,
            beside: Map::from_iter([
                ("type".to_owned(), json!(api::NOTE_OF_MATTER)),
                ("matter".to_owned(), json!({ "id": matter })),
            ]),
            // Without its subject, which bears the mark, a note would not be found again.
            needed: &[SUBJECT],
        };
        let ours = clio.must_be_ours(errand, matter, &found).await?;
        let answer = clio.write_change(errand, &mut change, &to).await?;
        let settled = clio.written(errand, self, &answer, &found, &ours).await?;
        Ok(settled.with_parked(change.parked().clone()))
    }

    /// Stops if an earlier attempt made the note.
    async fn must_be_new(
        &self,
        clio: &Clio,
        errand: &Errand,
        task: &PushTask,
        (matter, id): (u64, &PushId),
        found: &Found,
    ) -> Result<(), Stop> {
        let matter = matter.to_string();
        let since = task.earlier.as_ref().map(|earlier| clio.look_back_from(earlier.begun));
        let mut filters = vec![(filter::MATTER, matter.as_str())];
        filters.extend(since.as_deref().map(|since| (filter::CREATED_SINCE, since)));
        let all = clio.client.all(errand, self.resource(), &filters).await?;
        let attempts = attempts(task, id);
        let bears_one = |json: &Json| {
            let subject = json.get(SUBJECT).and_then(Json::as_str).unwrap_or_default();
            attempts.iter().any(|push| bears_mark(subject, push))
        };
        let marked: Vec<_> = all.into_iter().filter(bears_one).collect();
        let same = self.understand(clio, errand, &marked, found).await?.records;
        self.declared.only_one(same, "subject bears the mark of one push", Some(SUBJECT))
    }

    /// Sets fields of a note.
    pub(super) async fn set(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let push = &task.push;
        let (id, target) = target_of(self, push)?;
        let found = clio.catalogue.current(errand).await?;
        let now = clio.look_before(errand, self, task, &found).await?;
        let handle = now.as_ref().map_or(&target.handle, |shown| &shown.handle).clone();
        let change = self.change(task);
        if let Some(shown) = now {
            self.declared.must_still_be(shown, &push.set, &push.expect, change.parked())?;
        }
        clio.patch(errand, self, (id, &handle), change, &found).await
    }
}

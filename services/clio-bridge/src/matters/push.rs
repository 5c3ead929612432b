//! Pushes to matters: each is one write, looked up before where there is a doubt.

use std::collections::BTreeMap;
use std::sync::Arc;

use databridge_model::{Fields, Key, OutcomeResult, Value};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::change::MatterChange;
use super::read::Handle;
use super::{DESCRIPTION, Matters};
use crate::api::filter;
use crate::clio::Clio;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, Pushed, Work};
use crate::push::{Change, ChangeWrite, Settled, Stop, target_of};
use crate::whose::OurMatters;

impl Matters {
    /// Makes a matter.
    pub(super) async fn make(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let set = &task.push.set;
        let key_field = self.key();
        let Some(key) = set.get(key_field).and_then(|value| Key::parse(&value.to_plain())) else {
            return Settled::refused(format!("a new matter needs \"{key_field}\", its key"), Some(key_field))
                .stop();
        };
        if set.get(DESCRIPTION).is_none_or(Value::is_null) {
            let message =
                "Clio takes no matter without a description; the route should give one for a new matter";
            return Settled::refused(message, Some(DESCRIPTION)).stop();
        }
        let found = clio.catalogue.current(errand).await?;
        if task.doubtful || task.push.absent_in.is_none() {
            self.must_be_new(clio, errand, &found, &key).await?;
        }
        let (mut change, found) = self.work_out(clio, errand, set, &BTreeMap::new(), found).await?;
        // A matter without its key would never be found again, so the key is not parked.
        for needed in [key_field, DESCRIPTION] {
            if let Some(reason) = change.parked().get(needed) {
                return Settled::refused(reason, Some(needed)).stop();
            }
        }
        let to = ChangeWrite {
            method: Method::POST,
            url: clio.record_url(self, None),
            if_match: None,
            beside: Map::from_iter([
                ("client".to_owned(), json!({"id": found.client_id})),
                ("group".to_owned(), json!({"id": found.group_id})),
                ("practice_area".to_owned(), json!({"id": found.practice_area_id})),
            ]),
            needed: &[key_field, DESCRIPTION],
        };
        let answer = clio.write_change(errand, &mut change, &to).await?;
        let settled = clio.written(errand, self, &answer, &found, &OurMatters::default()).await?;
        Ok(settled.with_parked(change.parked().clone()))
    }

    /// Stops if Clio has a matter of this key among ours.
    async fn must_be_new(&self, clio: &Clio, errand: &Errand, found: &Found, key: &Key) -> Result<(), Stop> {
        let key_field = self.key();
        let Some(field) = found.custom_fields.get(key_field) else {
            return Settled::refused(self.gone(key_field), Some(key_field)).stop();
        };
        let by_key = filter::custom_field(field.id);
        let all = clio.all_of_ours(errand, self, found, &[(&by_key, key.as_str())]).await?;
        let reading = self.understand(clio, errand, &all, found).await?;
        // Clio's own comparison may be coarser than ours.
        let same = reading.records.into_iter().filter(|shown| shown.key.as_ref() == Some(key)).collect();
        self.declared.only_one(same, &format!("\"{key_field}\" is `{key}`"), Some(key_field))
    }

    /// Sets fields of a matter.
    pub(super) async fn set(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let push = &task.push;
        let (id, target) = target_of(self, push)?;
        let found = clio.catalogue.current(errand).await?;
        let now = clio.look_before(errand, self, task, &found).await?;
        let handle = now.as_ref().map_or(&target.handle, |shown| &shown.handle).clone();
        let values = handle_of(&handle).values;
        let (change, found) = self.work_out(clio, errand, &push.set, &values, found).await?;
        if let Some(shown) = now {
            self.declared.must_still_be(shown, &push.set, &push.expect, change.parked())?;
        }
        let mut settled = clio.patch(errand, self, (id, &handle), change, &found).await?;
        // What shows no value and was not written may be empty, or a field that was deleted meanwhile: the next listing
        // tells.
        if let (OutcomeResult::Written, Some(shown)) = (settled.result, &mut settled.shown) {
            shown.fields.retain(|name, value| !value.is_null() || push.set.contains_key(name));
        }
        Ok(settled)
    }

    /// Works out what to write; where something is not known, reads the custom fields again, once.
    async fn work_out(
        &self,
        clio: &Clio,
        errand: &Errand,
        set: &Fields,
        value_ids: &BTreeMap<String, String>,
        found: Arc<Found>,
    ) -> Result<(MatterChange, Arc<Found>), Stop> {
        let change = MatterChange::of(set, value_ids, self, &found);
        if change.unknown.is_empty() {
            return Ok((change, found));
        }
        match clio.catalogue.explain(&change.unknown, errand).await? {
            Some(fresh) => Ok((MatterChange::of(set, value_ids, self, &fresh), fresh)),
            None => Ok((change, found)),
        }
    }
}

/// The handle that came with a matter; one that cannot be read is none.
fn handle_of(handle: &Json) -> Handle {
    serde_json::from_value(handle.clone()).unwrap_or_default()
}

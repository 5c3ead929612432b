//! Pushes to matters: each is one write, looked up before where there is a doubt.

use std::collections::BTreeMap;
use std::sync::Arc;

use databridge_bridge::{Effect, PushTask, Shown, effect_of_error};
use databridge_http::{Answer, CallError, ErrorClass};
use databridge_model::{Failure, FailureClass, Fields, Key, Op, OutcomeResult, PushRequest, Target, Value};
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::api::{self, filter, path};
use crate::change::{self, Change};
use crate::client::Write;
use crate::errand::Errand;
use crate::found::Found;
use crate::matter::{self, Handle, Reading};
use crate::pages::{ListBody, RecordBody};
use crate::settings::DESCRIPTION;
use crate::system::ClioSystem;

/// How a push can end before Clio has taken it.
enum Stop {
    /// A call failed.
    Call(CallError),
    /// It is answered.
    Settled(Box<Settled>),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// The answer to a push, without the count of its calls.
struct Settled {
    result: OutcomeResult,
    shown: Option<Shown>,
    parked: BTreeMap<String, String>,
    error: Option<Failure>,
}

impl Settled {
    fn new(result: OutcomeResult) -> Self {
        Self { result, shown: None, parked: BTreeMap::new(), error: None }
    }

    fn showing(result: OutcomeResult, shown: Shown) -> Self {
        Self { shown: Some(shown), ..Self::new(result) }
    }

    fn refused(message: impl Into<String>, field: Option<&str>) -> Self {
        let failure = Failure {
            class: FailureClass::Invalid,
            message: message.into(),
            field: field.map(str::to_owned),
        };
        Self { error: Some(failure), ..Self::new(OutcomeResult::Refused) }
    }

    fn with_parked(self, parked: BTreeMap<String, String>) -> Self {
        Self { parked, ..self }
    }

    fn stop<T>(self) -> Result<T, Stop> {
        Err(Stop::Settled(Box::new(self)))
    }
}

impl ClioSystem {
    /// Does one push.
    pub(crate) async fn push(&self, task: &PushTask) -> Effect {
        let errand = Errand::push(task.still_mine.clone());
        let done = match task.push.op {
            Op::Create => self.create(&errand, task).await,
            Op::Update => self.update(&errand, task).await,
            Op::Delete => self.delete(&errand, &task.push).await,
        };
        let Settled { result, shown, parked, error } = match done {
            Ok(settled) => settled,
            Err(Stop::Settled(settled)) => *settled,
            Err(Stop::Call(error)) => return effect_of_error(&error, errand.calls()),
        };
        Effect::Settled { result, shown, parked, error, calls: errand.calls() }
    }

    async fn create(&self, errand: &Errand, task: &PushTask) -> Result<Settled, Stop> {
        let set = &task.push.set;
        let key_field = self.matters.collection.key.as_str();
        let Some(key) = set.get(key_field).and_then(|value| Key::parse(&value.to_plain())) else {
            return Settled::refused(format!("a new matter needs \"{key_field}\", its key"), Some(key_field))
                .stop();
        };
        if set.get(DESCRIPTION).is_none_or(Value::is_null) {
            let message =
                "Clio takes no matter without a description; the route should give one for a new matter";
            return Settled::refused(message, Some(DESCRIPTION)).stop();
        }
        let found = self.catalogue.current(errand).await?;
        if task.doubtful || task.push.absent_in.is_none() {
            self.must_be_new(errand, &found, &key).await?;
        }
        let (mut change, found) = self.work_out(errand, set, &BTreeMap::new(), found).await?;
        // A matter without its key would never be found again, so the key is not parked.
        for needed in [key_field, DESCRIPTION] {
            if let Some(reason) = change.parked.get(needed) {
                return Settled::refused(reason, Some(needed)).stop();
            }
        }
        let url = self.client.url(path::MATTERS, &[(api::FIELDS, api::MATTER_FIELDS)]);
        let answer = loop {
            let mut data = change.data();
            data.insert("client".to_owned(), json!({"id": found.client_id}));
            data.insert("group".to_owned(), json!({"id": found.group_id}));
            data.insert("practice_area".to_owned(), json!({"id": found.practice_area_id}));
            let write = Write {
                method: Method::POST,
                url: url.clone(),
                if_match: None,
                data: Some(Json::Object(data)),
            };
            match self.client.write(errand, &write).await {
                Ok(answer) => break answer,
                Err(error) => park_or_stop(&mut change, error, &[key_field, DESCRIPTION])?,
            }
        };
        self.written(errand, &answer, &found, change).await
    }

    /// Stops if Clio has a matter of this key among ours.
    async fn must_be_new(&self, errand: &Errand, found: &Found, key: &Key) -> Result<(), Stop> {
        let key_field = &self.matters.collection.key;
        let Some(field) = found.custom_fields.get(key_field) else {
            return Settled::refused(change::gone(key_field, &self.matters), Some(key_field)).stop();
        };
        let by_key = filter::custom_field(field.id);
        let url = self.ours_url(found, &[(&by_key, key.as_str())], api::PAGE);
        let (body, _) = self.client.get::<ListBody>(errand, &url).await?;
        let reading = self.understand(errand, &body.data, found).await?;
        // Clio's own comparison may be coarser than ours.
        let mut same: Vec<_> =
            reading.records.into_iter().filter(|shown| shown.key.as_ref() == Some(key)).collect();
        match (same.pop(), same.as_slice()) {
            (None, _) => Ok(()),
            (Some(only), []) => Settled::showing(OutcomeResult::Exists, only).stop(),
            (Some(last), others) => {
                let ids: Vec<_> = others.iter().chain([&last]).map(|shown| shown.id.as_str()).collect();
                let message = format!(
                    "Clio has {} matters whose \"{key_field}\" is `{key}`: {}; merge or correct them in Clio",
                    ids.len(),
                    ids.join(" and ")
                );
                Settled::refused(message, Some(key_field)).stop()
            }
        }
    }

    async fn update(&self, errand: &Errand, task: &PushTask) -> Result<Settled, Stop> {
        let push = &task.push;
        let (id, target) = target_of(push)?;
        let found = self.catalogue.current(errand).await?;
        let now = if task.doubtful || handle_of(&target.handle).etag.is_none() {
            Some(self.read_one(errand, id, &found).await?)
        } else {
            None
        };
        let handle = handle_of(now.as_ref().map_or(&target.handle, |shown| &shown.handle));
        let (mut change, found) = self.work_out(errand, &push.set, &handle.values, found).await?;
        if let Some(shown) = now {
            self.must_still_be(shown, &push.set, &push.expect, &change.parked)?;
        }
        let url = self.client.url(&path::matter(id), &[(api::FIELDS, api::MATTER_FIELDS)]);
        loop {
            if change.is_empty() {
                return Ok(Settled::new(OutcomeResult::Unchanged).with_parked(change.parked));
            }
            let write = Write {
                method: Method::PATCH,
                url: url.clone(),
                if_match: handle.etag.as_deref(),
                data: Some(Json::Object(change.data())),
            };
            match self.client.write(errand, &write).await {
                Ok(answer) => {
                    let mut settled = self.written(errand, &answer, &found, change).await?;
                    // What shows no value and was not written may be empty, or a field that was deleted meanwhile: the
                    // next listing tells.
                    if let Some(shown) = &mut settled.shown {
                        shown.fields.retain(|name, value| !value.is_null() || push.set.contains_key(name));
                    }
                    return Ok(settled);
                }
                Err(error) if error.class == ErrorClass::Conflict => {
                    // The record comes with the answer where that works; it saves whoever decides a read.
                    return match self.read_one(errand, id, &found).await {
                        Ok(shown) => Ok(Settled::showing(OutcomeResult::Stale, shown)),
                        Err(stop @ Stop::Settled(_)) => Err(stop),
                        Err(Stop::Call(_)) => Err(error.into()),
                    };
                }
                Err(error) => park_or_stop(&mut change, error, &[])?,
            }
        }
    }

    async fn delete(&self, errand: &Errand, push: &PushRequest) -> Result<Settled, Stop> {
        let (id, _) = target_of(push)?;
        let found = self.catalogue.current(errand).await?;
        // A delete has no If-Match, and what is not ours must not be deleted: so it is looked at first.
        let shown = self.read_one(errand, id, &found).await?;
        if self.differs(&shown, &Fields::new(), &push.expect) {
            return Ok(Settled::showing(OutcomeResult::Stale, shown));
        }
        let url = self.client.url(&path::matter(id), &[]);
        let write = Write { method: Method::DELETE, url, if_match: None, data: None };
        self.client.write(errand, &write).await?;
        Ok(Settled::new(OutcomeResult::Written))
    }

    /// The matter as it is now; stops if it is gone, or not ours any more.
    async fn read_one(&self, errand: &Errand, id: u64, found: &Found) -> Result<Shown, Stop> {
        let url = self.client.url(&path::matter(id), &[(api::FIELDS, api::MATTER_FIELDS)]);
        let (RecordBody::<Json> { data }, _) = self.client.get(errand, &url).await?;
        let reading = self.understand(errand, std::slice::from_ref(&data), found).await?;
        match reading.records.into_iter().next() {
            Some(shown) => Ok(shown),
            None => Settled::new(OutcomeResult::Gone).stop(),
        }
    }

    /// Stops if the matter shows what is to be set already, or something that nobody expected.
    fn must_still_be(
        &self,
        shown: Shown,
        set: &Fields,
        expect: &Fields,
        parked: &BTreeMap<String, String>,
    ) -> Result<(), Stop> {
        let mut writable = set.iter().filter(|(name, _)| !parked.contains_key(*name));
        let result = if writable.all(|(name, value)| self.shows(&shown, name, value, expect.get(name))) {
            OutcomeResult::Unchanged
        } else if self.differs(&shown, set, expect) {
            OutcomeResult::Stale
        } else {
            return Ok(());
        };
        Settled::showing(result, shown).with_parked(parked.clone()).stop()
    }

    /// Whether a field shows neither what is expected nor what is to be set.
    fn differs(&self, shown: &Shown, set: &Fields, expect: &Fields) -> bool {
        expect.iter().any(|(name, expected)| {
            let kind = self.matters.collection.field_type(name);
            let is_expected = match (shown.fields.get(name), kind.canonical(expected.clone())) {
                (Some(now), Ok(expected)) => *now == expected,
                // What cannot be read or compared is no sign of an edit.
                _ => true,
            };
            !is_expected && !set.get(name).is_some_and(|value| self.shows(shown, name, value, Some(expected)))
        })
    }

    /// Whether a field shows this value, as it is or as Clio makes it by itself. What shows the old value still was not
    /// written, however alike the two are.
    fn shows(&self, shown: &Shown, name: &str, value: &Value, before: Option<&Value>) -> bool {
        let kind = self.matters.collection.field_type(name);
        let (Some(now), Ok(value)) = (shown.fields.get(name), kind.canonical(value.clone())) else {
            return false;
        };
        let before = before.and_then(|before| kind.canonical(before.clone()).ok());
        *now == value || before.is_some_and(|before| *now != before && kind.may_normalise(&value, now))
    }

    /// Works out what to write; where something is not known, reads the custom fields again, once.
    async fn work_out(
        &self,
        errand: &Errand,
        set: &Fields,
        value_ids: &BTreeMap<String, String>,
        found: Arc<Found>,
    ) -> Result<(Change, Arc<Found>), Stop> {
        let change = Change::of(set, value_ids, &self.matters, &found);
        if change.unknown.is_empty() {
            return Ok((change, found));
        }
        match self.catalogue.explain(&change.unknown, errand).await? {
            Some(fresh) => Ok((Change::of(set, value_ids, &self.matters, &fresh), fresh)),
            None => Ok((change, found)),
        }
    }

    /// The record in the answer to a write.
    async fn written(
        &self,
        errand: &Errand,
        answer: &Answer,
        found: &Found,
        change: Change,
    ) -> Result<Settled, Stop> {
        let RecordBody::<Json> { data } = answer.json(true)?;
        let mut reading = Reading::default();
        let mut shown = matter::read(&self.matters, found, &data, &mut reading);
        if !reading.unknown.is_empty() {
            // The write is done: a failure to understand all of the answer is none of the write.
            if let Ok(again) = self.understand(errand, std::slice::from_ref(&data), found).await {
                shown = again.records.into_iter().next();
            }
        }
        let Some(shown) = shown else {
            let message = "the answer does not show the matter that was written";
            return Err(answer.error(ErrorClass::Unknown, message).into());
        };
        Ok(Settled::showing(OutcomeResult::Written, shown).with_parked(change.parked))
    }
}

/// The target's id, which must be one of Clio's: it becomes part of an address.
fn target_of(push: &PushRequest) -> Result<(u64, &Target), Stop> {
    let Some(target) = &push.target else {
        return Settled::refused("it does not say which matter: `target` with its id is missing", None)
            .stop();
    };
    match target.id.parse() {
        Ok(id) => Ok((id, target)),
        Err(_) => Settled::refused(format!("`{}` is no id of a matter in Clio", target.id), None).stop(),
    }
}

/// The handle that came with a record; one that cannot be read is none.
fn handle_of(handle: &Json) -> Handle {
    serde_json::from_value(handle.clone()).unwrap_or_default()
}

/// After a refusal that names fields: takes them out, so that the others are written. Any other error stops.
fn park_or_stop(change: &mut Change, error: CallError, needed: &[&str]) -> Result<(), Stop> {
    if error.class != ErrorClass::Invalid {
        return Err(error.into());
    }
    let named = change.named_in(&error.message);
    let fatal = named.iter().find(|name| needed.contains(&name.as_str()));
    if named.is_empty() || fatal.is_some() {
        return Settled::refused(error.to_string(), fatal.map(String::as_str)).stop();
    }
    for name in named {
        change.park(&name, &error.message);
    }
    Ok(())
}

//! What all pushes have in common: how they end, the look before a write, the conditional write.

use std::collections::BTreeMap;

use databridge_bridge::{Effect, PushTask, Shown, effect_of_error};
use databridge_http::{Answer, CallError, ErrorClass};
use databridge_model::{Failure, FailureClass, Fields, Op, OutcomeResult, PushRequest, Target};
use reqwest::Method;
use serde_json::{Map, Value as Json};
use url::Url;

use crate::client::Write;
use crate::clio::{Clio, matter_in_handle};
use crate::declared::Declared;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, Work};
use crate::record::etag_of;

/// How a push can end before Clio has taken it.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A call failed.
    Call(CallError),
    /// Something else failed for the moment; whether the push was done is not known.
    Failed(Failure),
    /// It is answered.
    Settled(Box<Settled>),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// The answer to a push, without the count of its calls.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) result: OutcomeResult,
    pub(crate) shown: Option<Shown>,
    pub(crate) parked: BTreeMap<String, String>,
    pub(crate) error: Option<Failure>,
}

impl Settled {
    pub(crate) fn new(result: OutcomeResult) -> Self {
        Self { result, shown: None, parked: BTreeMap::new(), error: None }
    }

    pub(crate) fn showing(result: OutcomeResult, shown: Shown) -> Self {
        Self { shown: Some(shown), ..Self::new(result) }
    }

    pub(crate) fn refused(message: impl Into<String>, field: Option<&str>) -> Self {
        let failure = Failure {
            class: FailureClass::Invalid,
            message: message.into(),
            field: field.map(str::to_owned),
        };
        Self { error: Some(failure), ..Self::new(OutcomeResult::Refused) }
    }

    pub(crate) fn with_parked(self, parked: BTreeMap<String, String>) -> Self {
        Self { parked, ..self }
    }

    pub(crate) fn stop<T>(self) -> Result<T, Stop> {
        Err(Stop::Settled(Box::new(self)))
    }
}

/// The fields of a push as a kind of record takes them.
pub(crate) trait Change {
    /// Fields that cannot be taken, with the reason.
    fn parked(&self) -> &BTreeMap<String, String>;

    /// Nothing is left to be written.
    fn is_empty(&self) -> bool;

    /// The fields among what is written that a refusal names.
    fn named_in(&self, refusal: &str) -> Vec<String>;

    /// Takes a field out that Clio refuses.
    fn park(&mut self, name: &str, reason: &str);

    /// The body's `data` for a write of these fields.
    fn data(&self) -> Map<String, Json>;
}

/// A write of a change.
pub(crate) struct ChangeWrite<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) if_match: Option<&'a str>,
    /// What stands in the body beside the change.
    pub(crate) beside: Map<String, Json>,
    /// Fields without which nothing is written.
    pub(crate) needed: &'a [&'a str],
}

impl Clio {
    /// Does one push.
    pub(crate) async fn push(&self, kind: &dyn Kind, task: &PushTask) -> Effect {
        let errand = Errand::push(task, kind.patience());
        let work = Work { clio: self, errand: &errand, task };
        let done = match task.push.op {
            Op::Create => kind.create(work).await,
            Op::Update => kind.update(work).await,
            Op::Delete => self.delete(&errand, kind, &task.push).await,
        };
        let Settled { result, shown, parked, error } = match done {
            Ok(settled) => settled,
            Err(Stop::Settled(settled)) => *settled,
            Err(Stop::Failed(failure)) => return Effect::Failed(failure),
            Err(Stop::Call(error)) => {
                return match effect_of_error(&error, errand.calls()) {
                    Effect::NotNow(wait) if errand.has_written() => Effect::Halfway(wait),
                    effect => effect,
                };
            }
        };
        Effect::Settled { result, shown, parked, error, calls: errand.calls() }
    }

    /// The record as it is now, where that must be known before it is written: after a doubt, or without its handle.
    pub(crate) async fn look_before(
        &self,
        errand: &Errand,
        kind: &dyn Kind,
        task: &PushTask,
        found: &Found,
    ) -> Result<Option<Shown>, Stop> {
        let (id, target) = target_of(kind, &task.push)?;
        let handle = &target.handle;
        let is_known =
            etag_of(handle).is_some() && (!kind.hangs_on_matters() || matter_in_handle(handle).is_some());
        if task.doubtful || !is_known {
            return Ok(Some(self.read_one(errand, kind, id, found).await?));
        }
        Ok(None)
    }

    /// Writes a change; again without the fields that a refusal names, so that the others are written.
    pub(crate) async fn write_change(
        &self,
        errand: &Errand,
        change: &mut impl Change,
        to: &ChangeWrite<'_>,
    ) -> Result<Answer, Stop> {
        loop {
            let mut data = change.data();
            data.extend(to.beside.clone());
            let write = Write {
                method: to.method.clone(),
                url: to.url.clone(),
                if_match: to.if_match,
                data: Some(Json::Object(data)),
            };
            match self.client.write(errand, &write).await {
                Ok(answer) => return Ok(answer),
                Err(error) => park_or_stop(change, error, to.needed)?,
            }
            if change.is_empty() {
                return Settled::new(OutcomeResult::Unchanged).with_parked(change.parked().clone()).stop();
            }
        }
    }

    /// Changes a record if it still has the etag of the handle, and hangs on a matter of ours. What it shows otherwise
    /// comes with the answer. With the etag, the answer shows nothing but what was shown before and what is written now.
    pub(crate) async fn patch(
        &self,
        errand: &Errand,
        kind: &dyn Kind,
        (id, handle): (u64, &Json),
        mut change: impl Change,
        found: &Found,
    ) -> Result<Settled, Stop> {
        if change.is_empty() {
            return Ok(Settled::new(OutcomeResult::Unchanged).with_parked(change.parked().clone()));
        }
        let ours = self.must_hang_on_ours(errand, kind, handle, found).await?;
        let etag = etag_of(handle);
        let to = ChangeWrite {
            method: Method::PATCH,
            url: self.record_url(kind, Some(id)),
            if_match: etag.as_deref(),
            beside: Map::new(),
            needed: &[],
        };
        match self.write_change(errand, &mut change, &to).await {
            Ok(answer) => {
                let settled = self.written(errand, kind, &answer, found, &ours).await?;
                Ok(settled.with_parked(change.parked().clone()))
            }
            Err(Stop::Call(error)) if error.class == ErrorClass::Conflict => {
                // The record comes with the answer where that works; it saves whoever decides a read.
                match self.read_one(errand, kind, id, found).await {
                    Ok(shown) => Ok(Settled::showing(OutcomeResult::Stale, shown)),
                    Err(stop @ (Stop::Settled(_) | Stop::Failed(_))) => Err(stop),
                    Err(Stop::Call(_)) => Err(error.into()),
                }
            }
            Err(stop) => Err(stop),
        }
    }

    async fn delete(&self, errand: &Errand, kind: &dyn Kind, push: &PushRequest) -> Result<Settled, Stop> {
        let (id, _) = target_of(kind, push)?;
        let found = self.catalogue.current(errand).await?;
        // A delete has no If-Match, and what is not ours must not be deleted: so it is looked at first.
        let shown = self.read_one(errand, kind, id, &found).await?;
        if kind.declared().differs(&shown, &Fields::new(), &push.expect) {
            return Ok(Settled::showing(OutcomeResult::Stale, shown));
        }
        self.remove(errand, kind, id).await?;
        Ok(Settled::new(OutcomeResult::Written))
    }

    /// Deletes a record.
    pub(crate) async fn remove(&self, errand: &Errand, kind: &dyn Kind, id: u64) -> Result<(), CallError> {
        let url = self.client.url(&kind.resource().record(id), &[]);
        let write = Write { method: Method::DELETE, url, if_match: None, data: None };
        self.client.write(errand, &write).await.map(drop)
    }
}

impl Declared {
    /// Stops if there is a record already of what is to be made: the one that it is, or several, which a person must
    /// put in order.
    pub(crate) fn only_one(&self, mut same: Vec<Shown>, what: &str, field: Option<&str>) -> Result<(), Stop> {
        match (same.pop(), same.as_slice()) {
            (None, _) => Ok(()),
            (Some(only), []) => Settled::showing(OutcomeResult::Exists, only).stop(),
            (Some(last), others) => {
                let ids: Vec<_> = others.iter().chain([&last]).map(|shown| shown.id.as_str()).collect();
                let message = format!(
                    "Clio has {} {} whose {what}: {}; merge or correct them in Clio",
                    ids.len(),
                    self.name,
                    ids.join(" and ")
                );
                Settled::refused(message, field).stop()
            }
        }
    }

    /// Stops if the record shows what is to be set already, or something that nobody expected.
    pub(crate) fn must_still_be(
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
}

/// The target's id, which must be one of Clio's: it becomes part of an address.
pub(crate) fn target_of<'a>(kind: &dyn Kind, push: &'a PushRequest) -> Result<(u64, &'a Target), Stop> {
    let singular = kind.resource().singular;
    let Some(target) = &push.target else {
        let message = format!("it does not say which {singular}: `target` with its id is missing");
        return Settled::refused(message, None).stop();
    };
    match target.id.parse() {
        Ok(id) => Ok((id, target)),
        Err(_) => Settled::refused(format!("`{}` is no id of a {singular} in Clio", target.id), None).stop(),
    }
}

/// The id of the matter below which a record is to be made.
pub(crate) fn parent_of(kind: &dyn Kind, push: &PushRequest) -> Result<u64, Stop> {
    let singular = kind.resource().singular;
    match push.parent.as_deref().map(str::parse) {
        Some(Ok(id)) => Ok(id),
        Some(Err(_)) => {
            let parent = push.parent.as_deref().unwrap_or_default();
            Settled::refused(format!("`{parent}` is no id of a matter in Clio"), Some(PARENT)).stop()
        }
        None => {
            let message = format!("a new {singular} needs `parent`, the id of its matter");
            Settled::refused(message, Some(PARENT)).stop()
        }
    }
}

/// What a refusal names as the field at fault where it is the parent.
pub(crate) const PARENT: &str = "parent";

/// After a refusal that names fields: takes them out. Any other error stops.
fn park_or_stop(change: &mut impl Change, error: CallError, needed: &[&str]) -> Result<(), Stop> {
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

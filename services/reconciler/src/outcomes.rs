//! Taking in outcomes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use databridge_broker::{BucketError, Handler, Job, Verdict};
use databridge_config::Side;
use databridge_model::{Key, Outcome, OutcomeResult, Parked, ReadAfter, RunId, Value, subject};

use crate::decide::hash_of;
use crate::engine::{Engine, Trouble};
use crate::link::{Link, Outstanding, ParkedField, RefusedPush};
use crate::plan::RoutePlan;
use crate::read::{canonical, show_all};
use crate::runs::Count;

/// Deals with `outcome.>`.
#[derive(Debug)]
pub(crate) struct Outcomes {
    /// The engine.
    pub(crate) engine: Arc<Engine>,
    /// When the stream was made.
    pub(crate) stream_created: DateTime<Utc>,
}

impl Handler for Outcomes {
    fn stage(&self) -> &'static str {
        "outcome"
    }

    fn lane(&self, job: &Job) -> String {
        job.subject().rsplit('.').next().unwrap_or_default().to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        let outcome: Outcome = match job.read("an outcome") {
            Ok(outcome) => outcome,
            Err(error) => return Verdict::Dead(error.to_string()),
        };
        loop {
            match self.take_in(&outcome, job).await {
                Ok(()) => return Verdict::Done,
                Err(Trouble::Bucket(BucketError::Moved(_))) => {}
                Err(error) => return Verdict::Retry(error.to_string()),
            }
        }
    }

    async fn rested(&self) {
        self.engine.ask_for_rereads().await;
        self.engine.runs.moved.notify_one();
    }
}

impl Outcomes {
    async fn take_in(&self, outcome: &Outcome, job: &Job) -> Result<(), Trouble> {
        if outcome.push.is_of_person() {
            // It touches no base: the next pull shows it as that side's edit.
            return Ok(());
        }
        let engine = &self.engine;
        let name = outcome.push.link.as_str();
        let _lock = engine.links.lock(name).await;
        let Some(found) = engine.links.get(name).await? else {
            tracing::warn!(link = name, "An outcome names a link that is not there; it is left aside.");
            return Ok(());
        };
        let mut link = found.value;
        let plan = engine.plans.iter().find(|plan| *plan.name() == link.route);
        let side = subject::record_parts(job.subject(), 1).and_then(|(system, collection, _)| {
            plan?.side_of(&system.parse().ok()?, &collection.parse().ok()?)
        });
        let (Some(plan), Some(side)) = (plan, side) else {
            tracing::warn!(link = name, "No route of the config has this outcome's link; it is left aside.");
            return Ok(());
        };
        let Some(outstanding) =
            link.side(side).outstanding.clone().filter(|it| it.push.push.as_ref() == Some(&outcome.push))
        else {
            // A copy of an outcome that is known.
            return Ok(());
        };
        let run = outstanding.push.run;
        let mut told = Vec::new();
        self.apply(plan, side, &mut link, &outstanding, outcome, job.sequence(), &mut told);
        self.count(run, outcome);
        let reread = link.side(side).reread;
        let id = link.side(side).id.clone();
        if reread && let Some(id) = id {
            engine.links.save(name, &link, Some(found.revision)).await?;
            engine.want_reread(plan, side, run, [id]);
        } else if link.due {
            engine.links.save(name, &link, Some(found.revision)).await?;
        } else {
            engine.decide_and_save(plan, name, link.clone(), Some(found.revision), run).await?;
        }
        for parked in told {
            engine.tell_parked(run, &parked).await?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one step of one caller, split off to be read alone")]
    fn apply(
        &self,
        plan: &RoutePlan,
        side: Side,
        link: &mut Link,
        outstanding: &Outstanding,
        outcome: &Outcome,
        sequence: u64,
        told: &mut Vec<Parked>,
    ) {
        let key = link.key.clone();
        let state = link.side_mut(side);
        state.outstanding = None;
        state.last_outcome = Some(ReadAfter { sequence, stream_created: self.stream_created });
        for (field, reason) in &outcome.parked {
            let value = outstanding.push.set.get(field).cloned().unwrap_or_default();
            state.parked.insert(field.clone(), ParkedField { value, reason: reason.clone() });
            told.push(parked_of(plan, side, &key, state.id.as_ref(), Some(field), reason));
        }
        let reason = outcome.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
        match outcome.result {
            OutcomeResult::Written | OutcomeResult::Unchanged => {
                written(plan, side, link, outstanding, outcome);
            }
            OutcomeResult::Exists | OutcomeResult::Stale => {
                if outcome.shown.is_empty() && outcome.result == OutcomeResult::Stale {
                    state.reread = true;
                } else {
                    adopt(plan, side, link, outcome);
                }
            }
            OutcomeResult::Gone => {
                state.gone = true;
                let reason = format!(
                    "the record is not in {} any more; its partner in {} is left as it is",
                    plan.system(side),
                    plan.system(side.other())
                );
                told.push(parked_of(plan, side, &key, state.id.as_ref(), None, &reason));
            }
            OutcomeResult::Refused | OutcomeResult::Dead => {
                let field = outcome.error.as_ref().and_then(|error| error.field.clone());
                match field.filter(|field| outstanding.push.set.contains_key(field)) {
                    Some(field) => {
                        let value = outstanding.push.set.get(&field).cloned().unwrap_or_default();
                        told.push(parked_of(plan, side, &key, state.id.as_ref(), Some(&field), &reason));
                        state.parked.insert(field, ParkedField { value, reason });
                    }
                    None => {
                        told.push(parked_of(plan, side, &key, state.id.as_ref(), None, &reason));
                        state.refused = Some(RefusedPush { hash: hash_of(&outstanding.push.set), reason });
                    }
                }
            }
            OutcomeResult::Unknown => link.due = true,
        }
    }

    fn count(&self, run: Option<RunId>, outcome: &Outcome) {
        let what = match outcome.result {
            OutcomeResult::Written => Count::Written,
            OutcomeResult::Unchanged | OutcomeResult::Exists | OutcomeResult::Stale => Count::Unchanged,
            _ => Count::Failed,
        };
        self.engine.runs.count(run, what);
    }
}

/// The push is in: what was sent is the base of both sides, provisional where the system did not show it.
fn written(plan: &RoutePlan, side: Side, link: &mut Link, outstanding: &Outstanding, outcome: &Outcome) {
    let shown = canonical(plan, side, &outcome.shown);
    let state = link.side_mut(side);
    if outcome.id.is_some() {
        state.id.clone_from(&outcome.id);
    }
    state.gone = false;
    state.refused = None;
    if !outcome.handle.is_null() {
        state.handle = outcome.handle.clone();
    }
    state.revision = outcome.revision.or(state.revision);
    let taken = |field: &str| !outcome.parked.contains_key(field);
    for (field, sent) in outstanding.push.set.iter().filter(|(field, _)| taken(field)) {
        if plan.routed(side, &outstanding.push.set).contains_key(field) {
            let value = shown.get(field).cloned().unwrap_or_else(|| sent.clone());
            if outcome.revision.is_none() {
                state.provisional.insert(field.clone());
            } else {
                state.provisional.remove(field);
            }
            state.set_base(field, value.clone());
            state.show(field, value);
            state.parked.remove(field);
        }
    }
    let others = shown.into_iter().filter(|(field, _)| !outstanding.push.set.contains_key(field)).collect();
    show_all(plan, side, state, others);
    // The source's base is what it showed when the push was made; what it shows since is the next change.
    for field in &plan.fields {
        let (target, source) = (field.rule.on(side), field.rule.on(side.other()));
        let carried = outstanding.push.set.contains_key(target) && taken(target);
        let empty_create = outstanding.push.op == databridge_model::Op::Create
            && !outstanding.push.set.contains_key(target)
            && outstanding.from.get(source).is_some_and(Value::is_null);
        if (carried || empty_create)
            && let Some(value) = outstanding.from.get(source)
        {
            link.side_mut(side.other()).set_base(source, value.clone());
            if empty_create && link.side(side).shown(target).is_none() {
                link.side_mut(side).set_base(target, Value::Null);
            }
        }
    }
}

/// The record as the bridge found it just now counts as a read.
fn adopt(plan: &RoutePlan, side: Side, link: &mut Link, outcome: &Outcome) {
    let shown = canonical(plan, side, &outcome.shown);
    let state = link.side_mut(side);
    if outcome.id.is_some() {
        state.id.clone_from(&outcome.id);
    }
    state.gone = false;
    if !outcome.handle.is_null() {
        state.handle = outcome.handle.clone();
    }
    state.revision = outcome.revision.or(state.revision);
    show_all(plan, side, state, shown);
}

fn parked_of(
    plan: &RoutePlan,
    side: Side,
    key: &Key,
    id: Option<&String>,
    field: Option<&String>,
    reason: &str,
) -> Parked {
    Parked {
        system: plan.system(side).clone(),
        collection: plan.collection_name(side).clone(),
        id: id.cloned(),
        key: Some(key.clone()),
        field: field.cloned(),
        reason: reason.to_owned(),
    }
}

//! Taking an outcome into its side of a link.

use chrono::{DateTime, Utc};
use databridge_config::{RouteKind, Side};
use databridge_model::{Key, Op, Outcome, OutcomeResult, Parked, ReadAfter, Value};

use crate::decide::hash_of;
use crate::link::{Link, Outstanding, ParkedField, Purpose, RefusedPush};
use crate::plan::RoutePlan;
use crate::read::{canonical, show_all};
use crate::{event, gone, latest};

/// Takes in the outcome of the push that is under way on this side, which was stored at `at`. Gives what a person
/// should know of; `None` if it is the outcome of another push, which changes nothing.
pub fn conclude(
    plan: &RoutePlan,
    side: Side,
    link: &mut Link,
    outcome: &Outcome,
    at: ReadAfter,
    now: DateTime<Utc>,
) -> Option<Vec<Parked>> {
    let is_answered = |it: &mut Outstanding| it.push.push.as_ref() == Some(&outcome.push);
    let outstanding = link.side_mut(side).outstanding.take_if(is_answered)?;
    let told = take_in(plan, side, link, outcome, &outstanding, at);
    if side == Side::Right {
        let (op, sent) = (outstanding.push.op, &outstanding.push.set);
        match plan.kind() {
            RouteKind::Latest => latest::conclude(plan, link, op, outcome, sent, now),
            RouteKind::Event => event::conclude(plan, link, outcome, sent, &outstanding.from),
            RouteKind::Mirror | RouteKind::Child => {}
        }
    }
    Some(told)
}

fn take_in(
    plan: &RoutePlan,
    side: Side,
    link: &mut Link,
    outcome: &Outcome,
    outstanding: &Outstanding,
    at: ReadAfter,
) -> Vec<Parked> {
    let key = link.key.clone();
    let state = link.side_mut(side);
    state.last_outcome = Some(at);
    let mut told = Vec::new();
    for (field, reason) in &outcome.parked {
        let value = outstanding.push.set.get(field).cloned().unwrap_or_default();
        state.parked.insert(field.clone(), ParkedField { value, reason: reason.clone() });
        told.push(parked_of(plan, side, &key, state.id.as_ref(), Some(field), reason));
    }
    let reason = outcome.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
    match outcome.result {
        OutcomeResult::Written | OutcomeResult::Unchanged if outstanding.push.op == Op::Delete => {
            deleted(plan, side, link, outstanding);
        }
        OutcomeResult::Gone if outstanding.push.op == Op::Delete => deleted(plan, side, link, outstanding),
        OutcomeResult::Written | OutcomeResult::Unchanged => {
            written(plan, side, link, outstanding, outcome);
            if outstanding.purpose == Purpose::Gone {
                let source = link.side_mut(side.other());
                source.gone_told = source.gone;
            }
        }
        OutcomeResult::Exists | OutcomeResult::Stale => {
            adopt(plan, side, link, outcome, outstanding);
        }
        OutcomeResult::Gone if plan.kind() == RouteKind::Latest && side == Side::Right => {
            state.doubts.clear();
        }
        OutcomeResult::Gone => {
            state.gone = true;
            state.doubts.clear();
            let reason = gone::told(plan, side);
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
        OutcomeResult::Unknown if outstanding.push.op == Op::Create && plan.kind().has_several() => {
            // There is nothing to be read by an id. The next push looks first whether this one was done.
            link.due = true;
        }
        OutcomeResult::Unknown => {
            state.doubts.push(outstanding.clone());
            state.reread |= state.id.is_some();
            link.due = true;
        }
    }
    told
}

/// The record is deleted because of its partner. It is as if it had never been, so that the partner, once back, can
/// have a new one.
fn deleted(plan: &RoutePlan, side: Side, link: &mut Link, outstanding: &Outstanding) {
    if outstanding.purpose == Purpose::Gone {
        let source = link.side_mut(side.other());
        source.gone_told = source.gone;
        let last_outcome = link.side(side).last_outcome;
        *link.side_mut(side) = crate::link::SideState { last_outcome, ..Default::default() };
        return;
    }
    let state = link.side_mut(side);
    state.id = None;
    state.doubts.clear();
    for (field, value) in plan.routed(side, &outstanding.push.set) {
        state.set_base(&field, value.clone());
        state.show(&field, value);
    }
    for (field, value) in &outstanding.from {
        link.side_mut(side.other()).set_base(field, value.clone());
    }
}

/// The push is in: what was sent is the base of both sides, provisional where the system did not show it.
fn written(plan: &RoutePlan, side: Side, link: &mut Link, outstanding: &Outstanding, outcome: &Outcome) {
    let shown = canonical(plan, side, &outcome.shown);
    if !shown.is_empty() {
        link.resolve_doubts(plan, side, &shown);
    }
    let state = link.side_mut(side);
    if outcome.id.is_some() {
        state.id.clone_from(&outcome.id);
    }
    if outstanding.push.op == Op::Create {
        state.parent.clone_from(&outstanding.push.parent);
    }
    state.gone = false;
    state.refused = None;
    if !outcome.handle.is_null() {
        state.handle = outcome.handle.clone();
    }
    state.revision = outcome.revision.or(state.revision);
    let taken = |field: &str| outstanding.push.set.contains_key(field) && !outcome.parked.contains_key(field);
    for (field, sent) in plan.routed(side, &outstanding.push.set) {
        if !taken(&field) {
            continue;
        }
        let value = match shown.get(&field) {
            Some(value) if outcome.revision.is_some() => {
                state.provisional.remove(&field);
                value.clone()
            }
            value => {
                state.provisional.insert(field.clone());
                value.cloned().unwrap_or(sent)
            }
        };
        state.set_base(&field, value.clone());
        state.show(&field, value);
        state.parked.remove(&field);
    }
    let others = shown.into_iter().filter(|(field, _)| !taken(field)).collect();
    show_all(plan, side, state, others);
    // The source's base is what it showed when the push was made; what it shows since is the next change.
    for field in &plan.fields {
        let (target, source) = (field.rule.on(side), field.rule.on(side.other()));
        let carried = taken(target);
        let empty_create = outstanding.push.op == Op::Create
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

/// The record as the bridge found it just now counts as a read: where it shows what was to be written, an earlier attempt
/// has done that, or somebody else, and it is agreed on. One that it does not show is read again.
fn adopt(plan: &RoutePlan, side: Side, link: &mut Link, outcome: &Outcome, outstanding: &Outstanding) {
    let shown = canonical(plan, side, &outcome.shown);
    let state = link.side_mut(side);
    if outcome.id.is_some() {
        state.id.clone_from(&outcome.id);
    }
    if shown.is_empty() {
        // Without an id there is nothing to read: the next run tries again.
        let known = state.id.is_some();
        state.reread = known;
        link.due |= !known;
        return;
    }
    link.side_mut(side).doubts.push(outstanding.clone());
    link.resolve_doubts(plan, side, &shown);
    let state = link.side_mut(side);
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

#[cfg(test)]
mod tests;

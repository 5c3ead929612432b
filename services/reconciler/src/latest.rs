//! Routes on whose right there are several records, of which one stands for all: the newest note, the next court date.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use databridge_config::{Choose, RouteKind, Side};
use databridge_model::{FieldType, Fields, Op, Outcome, PullResult, Value};

use crate::decide::{agree, in_form_of_target};
use crate::link::{Child, Link};
use crate::plan::{FieldPlan, RoutePlan};
use crate::read::{Worth, canonical, is_before, show_all};

/// A text longer than this, in bytes, is kept of the chosen record only.
const LONG: usize = 1_000;

/// So many records are remembered beside the chosen one. What is further down the order comes back with the next
/// complete listing, should all of these be deleted.
const REMEMBERED: usize = 24;

/// Where there is no record on the right, its fields are empty.
pub(crate) fn none_there(plan: &RoutePlan, link: &Link) -> Option<&'static Value> {
    (plan.kind() == RouteKind::Latest && link.right.id.is_none()).then_some(&Value::Null)
}

/// Whether a value is a moment or day that is over, in a route that looks at what comes next.
pub(crate) fn is_past(plan: &RoutePlan, field: &FieldPlan, value: &Value, now: DateTime<Utc>) -> bool {
    matches!(plan.route.choose, Some(Choose::Next(_))) && !is_to_come(field, value, now)
}

fn is_to_come(field: &FieldPlan, value: &Value, now: DateTime<Utc>) -> bool {
    let Some(text) = value.as_text() else { return false };
    match (DateTime::parse_from_rfc3339(text), NaiveDate::parse_from_str(text, "%Y-%m-%d")) {
        (Ok(at), _) => at > now,
        (_, Ok(day)) => day >= now.with_timezone(&field.zone).date_naive(),
        _ => false,
    }
}

/// Whether the left shows what one of the older records says: it has not learned of the newest yet.
pub(crate) fn is_behind(plan: &RoutePlan, field: &FieldPlan, link: &Link, left: &Value) -> bool {
    let is_older = |id: &String| link.right.id.as_ref() != Some(id);
    let says = |child: &Child| child.fields.get(&field.rule.right).is_some_and(|it| agree(field, left, it));
    matches!(plan.route.choose, Some(Choose::Newest(_)))
        && link.children.iter().any(|(id, child)| is_older(id) && says(child))
}

/// What becomes of a value that goes to the right: the chosen record is changed, a new one made, or the chosen one
/// deleted. `None` if the route lets none of these be done.
pub(crate) fn op_on_right(plan: &RoutePlan, link: &Link, value: &Value, now: DateTime<Utc>) -> Option<Op> {
    let rule = &plan.route.right;
    let is_there = link.right.is_there();
    if value.is_null() {
        return (is_there && rule.update).then_some(Op::Delete);
    }
    let to_come = |value: &Value| {
        let field = plan.fields.first();
        field.is_some_and(|field| !is_past(plan, field, value, now))
    };
    if !to_come(value) {
        return None;
    }
    let changes = is_there
        && rule.update
        && match &plan.route.choose {
            Some(Choose::Next(name)) => link.right.shown(name).is_some_and(to_come),
            _ => true,
        };
    if changes { Some(Op::Update) } else { rule.create.then_some(Op::Create) }
}

/// What a new record gets beside the value: what the route says, and a day that makes it the newest.
pub(crate) fn create_extras(plan: &RoutePlan, link: &Link, now: DateTime<Utc>) -> BTreeMap<String, Value> {
    let mut extras = plan.create_extras(Side::Right, &link.left, &link.key);
    if let Some(Choose::Newest(names)) = &plan.route.choose
        && let Some(name) = names.first()
        && plan.right_type(name) == FieldType::Date
    {
        let today = now.with_timezone(&plan.zone).date_naive().to_string();
        let newest = link.right.shown(name).and_then(Value::as_text).unwrap_or_default();
        // Days in this form compare as texts.
        extras.insert(name.clone(), Value::text(today.as_str().max(newest)));
    }
    extras
}

/// What the record that stands for all says of the one on the left, in its fields.
pub(crate) fn says(plan: &RoutePlan, link: &Link) -> Fields {
    let fields = plan.fields.iter().filter(|_| link.right.is_there());
    let said = fields.filter(|field| field.rule.direction.goes_to(Side::Left)).filter_map(|field| {
        let value = link.right.shown(&field.rule.right)?;
        let value = in_form_of_target(field, Side::Left, value, &Value::Null).ok()?;
        (!value.is_null()).then(|| (field.rule.left.clone(), value))
    });
    said.collect()
}

/// Weighs a read of one of the records on the right, and takes it in if it is fresh.
pub(crate) fn take_in_child(
    plan: &RoutePlan,
    link: &mut Link,
    read: &PullResult,
    sequence: u64,
    now: DateTime<Utc>,
) -> Worth {
    let fields = canonical(plan, Side::Right, &read.fields);
    let known = link.children.get(&read.id);
    let at = databridge_model::ReadAfter { sequence, stream_created: read.read_after.stream_created };
    if let Some(pulled) = known.and_then(|child| child.pulled)
        && pulled.stream_created == at.stream_created
        && sequence <= pulled.sequence
    {
        return Worth::Nothing;
    }
    let nothing_new = known.is_some_and(|child| child.shows(&fields)) && !read.deleted;
    if is_before(&read.read_after, link.right.last_outcome.as_ref()) {
        return if nothing_new { Worth::Nothing } else { Worth::ReadAgain };
    }
    let is_target = |id: &str| {
        let pushes = link.right.outstanding.iter();
        pushes.filter_map(|it| it.push.target.as_ref()).any(|target| target.id == id)
    };
    if is_target(&read.id) {
        return if nothing_new { Worth::Nothing } else { Worth::ReadAgain };
    }
    if let (Some(child), Some(revision)) = (known, read.revision)
        && let Some(known_revision) = child.revision
        && !child.reread
    {
        if revision <= known_revision && !nothing_new {
            return Worth::ReadAgain;
        }
        if revision < known_revision {
            return Worth::Nothing;
        }
    }
    let is_known = |child: &Child| {
        !child.reread && !child.cut && child.handle == read.handle && child.made_by == read.made_by
    };
    if nothing_new && known.is_some_and(is_known) {
        return Worth::Nothing;
    }
    if read.deleted {
        if link.children.remove(&read.id).is_none() {
            return Worth::Nothing;
        }
    } else {
        if link.right.id.as_deref() == Some(read.id.as_str()) {
            link.resolve_doubts(plan, Side::Right, &fields);
        }
        let known = link.children.get(&read.id);
        let (paired, written) = known.map_or((false, false), |child| (child.paired, child.written));
        let child = Child {
            fields,
            cut: false,
            handle: read.handle.clone(),
            revision: read.revision,
            pulled: Some(at),
            reread: false,
            made_by: read.made_by.clone(),
            written,
            paired,
        };
        link.children.insert(read.id.clone(), child);
    }
    choose(plan, link, now);
    Worth::Taken
}

/// Whether a record is there only because the making of another was applied more than once: that other stands for both.
fn is_double(link: &Link, id: &str, child: &Child) -> bool {
    let rank = |id: &str, child: &Child| (child.written, number(id));
    child.made_by.is_some()
        && link.children.iter().any(|(other, it)| {
            other != id && it.made_by == child.made_by && rank(id, child) < rank(other, it)
        })
}

/// Lets the right side show the record that stands for all. Says when the choice has to be looked at again.
pub(crate) fn choose(plan: &RoutePlan, link: &mut Link, now: DateTime<Utc>) {
    let Some(rule) = &plan.route.choose else { return };
    let stands = |(id, child): &(&String, &Child)| !is_double(link, id, child);
    let mut ranked: Vec<_> = link.children.iter().filter(stands).collect();
    let says = |child: &Child| {
        child.cut
            || plan.fields.iter().any(|it| child.fields.get(&it.rule.right).is_some_and(|it| !it.is_null()))
    };
    // One that says nothing stands for nothing, however new it is.
    ranked.sort_by(|a, b| says(b.1).cmp(&says(a.1)).then_with(|| rank(rule, *b, *a, now)));
    let order: Vec<_> = ranked.into_iter().map(|(id, _)| id.clone()).collect();
    for id in order.iter().skip(REMEMBERED) {
        link.children.remove(id);
    }
    link.look_at = match rule {
        Choose::Next(name) => {
            let first = order.first().and_then(|id| link.children.get(id));
            first.and_then(|child| instant_of(&child.fields, name)).filter(|at| *at > now)
        }
        Choose::Newest(_) => None,
    };
    match order.first() {
        Some(id) => show_chosen(plan, link, id),
        None => {
            link.right.id = None;
            link.right.handle = serde_json::Value::Null;
            let names: Vec<_> = plan.fields.iter().map(|field| field.rule.right.clone()).collect();
            for name in names {
                if link.right.shown(&name).is_some() {
                    link.right.show(&name, Value::Null);
                }
            }
        }
    }
    let chosen = link.right.id.clone();
    for (id, child) in &mut link.children {
        if Some(id) != chosen.as_ref() {
            child.cut_long_texts();
        }
    }
}

fn show_chosen(plan: &RoutePlan, link: &mut Link, id: &str) {
    let Some(child) = link.children.get_mut(id) else { return };
    if child.cut {
        // Its text is not known any more: until it is read again, the one that was chosen stands.
        child.reread = true;
        return;
    }
    let (fields, handle, revision) = (child.fields.clone(), child.handle.clone(), child.revision);
    let state = &mut link.right;
    if state.id.as_deref() != Some(id) {
        // What another one was given to show is no promise of this one.
        state.provisional.clear();
        state.refused = None;
        state.parked.clear();
    }
    state.id = Some(id.to_owned());
    state.gone = false;
    state.handle = handle;
    state.revision = revision;
    show_all(plan, Side::Right, state, fields);
}

/// The order of two records: the one that stands for all is the greatest.
fn rank(rule: &Choose, a: (&String, &Child), b: (&String, &Child), now: DateTime<Utc>) -> Ordering {
    let by_id = || number(a.0).cmp(&number(b.0)).then_with(|| a.0.cmp(b.0));
    match rule {
        Choose::Newest(names) => {
            let by_fields = names.iter().map(|name| compare_values(&a.1.fields, &b.1.fields, name));
            by_fields.fold(Ordering::Equal, Ordering::then).then_with(by_id)
        }
        Choose::Next(name) => {
            let (first, second) = (instant_of(&a.1.fields, name), instant_of(&b.1.fields, name));
            let to_come = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at > now);
            match (to_come(first), to_come(second)) {
                (true, true) => second.cmp(&first),
                (false, false) => first.cmp(&second),
                (coming, other) => coming.cmp(&other),
            }
            .then_with(by_id)
        }
    }
}

fn compare_values(a: &Fields, b: &Fields, name: &str) -> Ordering {
    match (instant_of(a, name), instant_of(b, name)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => {
            let text = |fields: &Fields| fields.get(name).map(Value::to_plain).unwrap_or_default();
            match (text(a).parse::<f64>(), text(b).parse::<f64>()) {
                (Ok(a), Ok(b)) => a.total_cmp(&b),
                _ => text(a).cmp(&text(b)),
            }
        }
    }
}

fn instant_of(fields: &Fields, name: &str) -> Option<DateTime<Utc>> {
    let text = fields.get(name)?.as_text()?;
    Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc))
}

fn number(id: &str) -> u64 {
    id.parse().unwrap_or(0)
}

impl Child {
    /// Whether it is known to show just these values.
    fn shows(&self, fields: &Fields) -> bool {
        fields.iter().all(|(name, value)| match self.fields.get(name) {
            Some(known) => known == value,
            None => self.cut && is_long(value),
        })
    }

    fn cut_long_texts(&mut self) {
        let before = self.fields.len();
        self.fields.retain(|_, value| !is_long(value));
        self.cut |= self.fields.len() < before;
    }
}

fn is_long(value: &Value) -> bool {
    value.as_text().is_some_and(|text| text.len() > LONG)
}

/// Takes the outcome of a push to the right into the records that are there. The side itself has it already.
pub(crate) fn conclude(
    plan: &RoutePlan,
    link: &mut Link,
    op: Op,
    outcome: &Outcome,
    sent: &Fields,
    now: DateTime<Utc>,
) {
    let target = outcome.id.clone().or_else(|| link.right.id.clone());
    let Some(id) = target else { return };
    let is_done = outcome.result.is_done();
    match op {
        Op::Delete if is_done || outcome.result == databridge_model::OutcomeResult::Gone => {
            link.children.remove(&id);
        }
        _ if outcome.result == databridge_model::OutcomeResult::Gone => {
            link.children.remove(&id);
        }
        Op::Create | Op::Update if is_done || !outcome.shown.is_empty() => {
            let child = link.children.entry(id).or_default();
            if is_done {
                child.fields.extend(plan.routed(Side::Right, sent));
            }
            child.fields.extend(canonical(plan, Side::Right, &outcome.shown));
            child.cut = false;
            child.written |= is_done;
            if !outcome.handle.is_null() {
                child.handle = outcome.handle.clone();
            }
            child.revision = outcome.revision.or(child.revision);
        }
        _ => {}
    }
    choose(plan, link, now);
}

#[cfg(test)]
mod tests;

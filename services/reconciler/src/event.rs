//! Routes that make one record on the right for each transition of a record on the left: a row of history.

use databridge_config::{FieldOwner, Side, When};
use databridge_model::{Fields, Op, Outcome, PullResult, ReadAfter, Value};
use uuid::Uuid;

use crate::decide::{Decision, Wanted, agree, in_form_of_target};
use crate::link::{Child, Link};
use crate::plan::{FieldPlan, RoutePlan};
use crate::read::{Worth, canonical};

/// Where the keys of our rows come from (a random number, drawn once).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_52b1_8f6e_4c0a_9a51_3d2f_7be4_10c7);

/// How an event route stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing happened.
    Quiet,
    /// The record is seen for the first time: what rows there are must be known.
    First,
    /// The watched field has another value.
    Moved,
}

/// A record that is looked at for the first time may be known to its parent's link: what both sides agreed on, as
/// when we made it, is where it begins.
pub(crate) fn begin(plan: &RoutePlan, link: &mut Link, parent: &Link) {
    let (Some(when), Some(side)) = (&plan.route.when, plan.parent_side(Side::Left)) else { return };
    if let Some(agreed) = parent.side(side).base.get(&when.field) {
        link.left.set_base(&when.field, agreed.clone());
    }
}

/// Whether something is to be decided.
pub(crate) fn standing(plan: &RoutePlan, link: &Link) -> Standing {
    let Some(when) = &plan.route.when else { return Standing::Quiet };
    if link.right.outstanding.is_some() || link.left.gone {
        return Standing::Quiet;
    }
    match (link.left.base.get(&when.field), link.left.shown(&when.field)) {
        (_, None) => Standing::Quiet,
        (None, Some(_)) => Standing::First,
        (Some(base), Some(shown)) if base == shown => Standing::Quiet,
        (Some(_), Some(_)) => Standing::Moved,
    }
}

/// Whether the partner shows what the record does of the watched field, where the parent route joins it to one that the
/// row takes from the partner. A new day that a person typed beside the record has its hour when both agree.
pub(crate) fn is_settled(plan: &RoutePlan, parent: &RoutePlan, link: &Link, partner: &Fields) -> bool {
    let (Some(when), Some(side)) = (&plan.route.when, plan.parent_side(Side::Left)) else { return true };
    let shown = link.left.shown(&when.field).unwrap_or(&Value::Null);
    for rule in plan.fields.iter().map(|field| &field.rule).filter(|rule| rule.of == FieldOwner::Partner) {
        let beside = partner.get(&rule.left).unwrap_or(&Value::Null);
        let (left, right) = if side == Side::Right { (beside, shown) } else { (shown, beside) };
        let joins = |it: &&FieldPlan| it.rule.on(side) == when.field && it.rule.on(side.other()) == rule.left;
        if parent.fields.iter().filter(joins).any(|field| !agree(field, left, right)) {
            return false;
        }
    }
    true
}

/// Decides. `partner` is what the record's partner in the parent route shows.
pub(crate) fn decide(plan: &RoutePlan, link: &mut Link, link_name: &str, partner: &Fields) -> Decision {
    let mut decision = Decision::default();
    let Some(when) = &plan.route.when else { return decision };
    let standing = standing(plan, link);
    if standing == Standing::Quiet {
        return decision;
    }
    let counts = link.left.shown(&when.field).is_some_and(|value| is_event(when, value))
        && (standing == Standing::Moved || when.first_seen);
    let row = if counts { row_of(plan, link, partner, &mut decision) } else { Fields::new() };
    if counts && !is_there_already(plan, when, link, &row, standing) {
        let mut set: Fields = row.into_iter().filter(|(_, value)| !value.is_null()).collect();
        set.extend(plan.create_extras(Side::Right, &link.left, &link.key));
        let number = link.events + 1;
        let key = Uuid::new_v5(&NAMESPACE, format!("{link_name}#{number}").as_bytes());
        set.entry(plan.key_field(Side::Right).to_owned()).or_insert_with(|| Value::text(key.to_string()));
        let shown = link.left.shown(&when.field).cloned().unwrap_or_default();
        if link.right.refused.as_ref().is_some_and(|it| it.hash == crate::decide::hash_of(&set)) {
            return decision;
        }
        let from = Fields::from([(when.field.clone(), shown)]);
        decision.pushes.push(Wanted { set, from, ..Wanted::new(Side::Right, Op::Create) });
        return decision;
    }
    link.left.settle(&when.field);
    for child in link.children.values_mut() {
        child.paired = true;
    }
    decision
}

fn is_event(when: &When, value: &Value) -> bool {
    match &when.becomes {
        Some(wanted) => value.to_plain() == *wanted,
        None => !value.is_null(),
    }
}

/// The values of the new row.
fn row_of(plan: &RoutePlan, link: &Link, partner: &Fields, decision: &mut Decision) -> Fields {
    let mut row = Fields::new();
    for field in &plan.fields {
        let source = match field.rule.of {
            FieldOwner::Record => link.left.shown(&field.rule.left),
            FieldOwner::Partner => partner.get(&field.rule.left),
        };
        let Some(source) = source else { continue };
        match in_form_of_target(field, Side::Right, source, &Value::Null) {
            Ok(value) => {
                row.insert(field.rule.right.clone(), value);
            }
            Err(reason) => decision.parked.push((Side::Right, field.rule.right.clone(), reason)),
        }
    }
    row
}

/// Whether a row tells this event already, which no earlier event has for its own.
fn is_there_already(plan: &RoutePlan, when: &When, link: &Link, row: &Fields, standing: Standing) -> bool {
    let tells = |field: &&FieldPlan| field.rule.of == FieldOwner::Record && field.rule.left == when.field;
    let told = plan.fields.iter().find(tells).map(|field| field.rule.right.clone());
    let Some(name) = when.same.clone().or(told) else { return false };
    let Some(value) = row.get(&name).filter(|value| !value.is_null()) else { return false };
    link.children
        .values()
        .any(|child| (standing == Standing::First || !child.paired) && child.fields.get(&name) == Some(value))
}

/// Takes in a row.
pub(crate) fn take_in_row(plan: &RoutePlan, link: &mut Link, read: &PullResult, sequence: u64) -> Worth {
    let at = ReadAfter { sequence, stream_created: read.read_after.stream_created };
    if read.deleted {
        return if link.children.remove(&read.id).is_some() { Worth::Taken } else { Worth::Nothing };
    }
    let fields = canonical(plan, Side::Right, &read.fields);
    match link.children.get_mut(&read.id) {
        Some(known) if known.fields == fields => Worth::Nothing,
        Some(known) => {
            known.fields = fields;
            known.pulled = Some(at);
            Worth::Taken
        }
        None => {
            link.children.insert(read.id.clone(), Child { fields, pulled: Some(at), ..Child::default() });
            Worth::Taken
        }
    }
}

/// The event has its row.
pub(crate) fn conclude(plan: &RoutePlan, link: &mut Link, outcome: &Outcome, sent: &Fields, from: &Fields) {
    if !outcome.result.is_done() {
        return;
    }
    link.events += 1;
    if let Some(id) = &outcome.id {
        let child = link.children.entry(id.clone()).or_default();
        child.fields.extend(plan.routed(Side::Right, sent));
        child.paired = true;
    }
    for (field, value) in from {
        link.left.set_base(field, value.clone());
    }
    // The right side of such a link is no record: what was written stands among the rows.
    let state = crate::link::SideState { last_outcome: link.right.last_outcome, ..Default::default() };
    link.right = state;
}

#[cfg(test)]
mod tests;

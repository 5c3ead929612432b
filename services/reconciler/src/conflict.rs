//! Conflicts: both sides changed one field. The loser is kept, with all that a person needs to bring it back.

use chrono::{DateTime, Utc};
use databridge_config::Side;
use databridge_model::subject::{self, Lane};
use databridge_model::{
    Conflict, ConflictRecord, Fields, Op, OtherValue, PushRequest, Target, Value, WonBecause,
};

use crate::decide::in_form_of_target;
use crate::link::Link;
use crate::plan::{FieldPlan, RoutePlan};

/// How many conflicts a link remembers.
const REMEMBERED: usize = 20;

/// A conflict in a field, as it was decided.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    /// The field.
    pub(crate) field: &'a FieldPlan,
    /// The side that loses.
    pub(crate) lost: Side,
    /// What is to be done on that side.
    pub(crate) op: Op,
    /// The value that wins, in that side's form.
    pub(crate) winner: &'a Value,
    /// Why it wins.
    pub(crate) why: WonBecause,
}

/// Notes a conflict in the link. Gives its record; `None` where it was known: decided again after a stale push, it is
/// told once.
pub(crate) fn note(
    plan: &RoutePlan,
    link: &mut Link,
    link_name: &str,
    found: Found<'_>,
    now: DateTime<Utc>,
) -> Option<ConflictRecord> {
    let name = found.field.rule.on(found.lost);
    let loser = link.side(found.lost);
    let conflict = Conflict {
        link: link_name.to_owned(),
        won: plan.system(found.lost.other()).clone(),
        lost: plan.system(found.lost).clone(),
        field: name.to_owned(),
        base: loser.base.get(name).cloned().unwrap_or_default(),
        winner: found.winner.clone(),
        loser: loser.shown(name).cloned().unwrap_or_default(),
        at: now,
    };
    let same = |known: &Conflict| Conflict { at: now, ..known.clone() } == conflict;
    if link.conflicts.iter().any(same) {
        return None;
    }
    link.conflicts.push(conflict.clone());
    let surplus = link.conflicts.len().saturating_sub(REMEMBERED);
    link.conflicts.drain(..surplus);
    let other = other_value(plan, link, &found, &conflict.loser);
    Some(ConflictRecord { conflict, key: link.key.clone(), why: found.why, run: None, other, settled: None })
}

/// How the value that lost is brought back: it is typed again where it was typed first, over the value that won. Where
/// that has become a new record, or none, it is typed on the other side instead.
fn other_value(plan: &RoutePlan, link: &Link, found: &Found<'_>, loser: &Value) -> OtherValue {
    let (won, lost) = (plan.system(found.lost.other()), plan.system(found.lost));
    let (winning_field, losing_field) =
        (found.field.rule.on(found.lost.other()), found.field.rule.on(found.lost));
    let shown = link.side(found.lost.other()).shown(winning_field).cloned().unwrap_or_default();
    if !found.field.rule.direction.goes_to(found.lost.other()) {
        return OtherValue::Impossible(format!(
            "the route carries `{losing_field}` from {won} to {lost} only; set `{winning_field}` in {won}"
        ));
    }
    if loser.is_null() && !found.field.rule.empty.clears(found.lost.other()) {
        return OtherValue::Impossible(format!(
            "by the route an empty value does not go over; empty `{winning_field}` in {won} yourself, and \
             `{losing_field}` in {lost}"
        ));
    }
    if found.op == Op::Update {
        return push_to(plan, link, found.lost, losing_field, loser.clone(), found.winner.clone());
    }
    match in_form_of_target(found.field, found.lost.other(), loser, &shown) {
        Ok(value) => push_to(plan, link, found.lost.other(), winning_field, value, shown),
        Err(reason) => OtherValue::Impossible(reason),
    }
}

/// A person's push that sets one field which shows `expected`.
fn push_to(
    plan: &RoutePlan,
    link: &Link,
    side: Side,
    field: &str,
    value: Value,
    expected: Value,
) -> OtherValue {
    let (system, collection) = (plan.system(side), plan.collection_name(side));
    let Some(id) = link.side(side).id.clone() else {
        return OtherValue::Impossible(format!("{system} has no record of {} any more", link.key));
    };
    let of = |value: Value| Fields::from([(field.to_owned(), value)]);
    let push = PushRequest {
        push: None,
        op: Op::Update,
        // The handle changes with every write: the bridge reads what it needs.
        target: Some(Target { id, handle: serde_json::Value::Null }),
        set: of(value),
        parent: None,
        source: None,
        expect: of(expected),
        absent_in: None,
        run: None,
        why: "somebody chose the value that had lost a conflict".to_owned(),
    };
    let subject = subject::push(Lane::Live, system, collection, &link.key.token());
    OtherValue::Push { subject, push: Box::new(push) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Decision;
    use crate::samples::{agreed, decided, fields, met, show};

    /// What the only conflict of a decision says of the other value.
    fn other(decision: &Decision) -> (&OtherValue, WonBecause) {
        let [record] = decision.conflicts.as_slice() else { panic!("{:?}", decision.conflicts) };
        (&record.other, record.why)
    }

    #[test]
    fn the_value_that_lost_is_typed_again_where_it_was_typed_over_the_one_that_won() {
        let mut link = agreed(&[("owner", "Ann")], &[("Owner", "Ann")]);
        show(&mut link, Side::Left, &[("owner", "L")]);
        show(&mut link, Side::Right, &[("Owner", "R")]);
        let decision = decided(&mut link);
        let (OtherValue::Push { subject, push }, WonBecause::Owner) = other(&decision) else {
            panic!("{decision:?}")
        };
        assert_eq!(subject, "push.live.office.matters.E-1");
        assert_eq!(push.target.as_ref().map(|it| it.id.as_str()), Some("1"));
        assert_eq!((&push.set, &push.expect), (&fields(&[("Owner", "R")]), &fields(&[("Owner", "L")])));
        assert_eq!((push.op, &push.push, push.run), (Op::Update, &None, None), "it is a person's");
    }

    #[test]
    fn what_a_route_carries_one_way_is_changed_at_its_source_only() {
        let mut link = met(&[("number", "7")], &[("Number", "8")]);
        link.left.show("number", Value::Int(7));
        let decision = decided(&mut link);
        let (OtherValue::Impossible(why), WonBecause::OneWay) = other(&decision) else {
            panic!("{decision:?}")
        };
        assert!(why.contains("from map to office only") && why.contains("`number` in map"), "{why}");
    }

    #[test]
    fn an_owner_without_a_value_loses_where_no_empty_value_may_win() {
        let mut link = agreed(&[("owner", "Ann")], &[("Owner", "Ann")]);
        show(&mut link, Side::Left, &[("owner", "")]);
        show(&mut link, Side::Right, &[("Owner", "R")]);
        let decision = decided(&mut link);
        let (OtherValue::Impossible(why), WonBecause::OwnerIsEmpty) = other(&decision) else {
            panic!("{decision:?}")
        };
        assert!(why.contains("empty `Owner` in office yourself"), "{why}");
    }
}

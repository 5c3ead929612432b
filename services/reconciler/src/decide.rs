//! The three-way compare: what must be pushed so that both sides of a link agree.
//!
//! It is a function of the link alone: what each side shows, and what it showed when both agreed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use databridge_config::{EmptyRule, LengthRule, Side};
use databridge_model::{Conflict, Fields, Op, Value};
use sha2::{Digest, Sha256};

use crate::link::{Link, ParkedField, SideState};
use crate::plan::{FieldPlan, RoutePlan};

/// What is to be pushed to one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The side that gets it.
    pub side: Side,
    /// Create or update.
    pub op: Op,
    /// The values.
    pub set: Fields,
    /// What the side shows now for each of them.
    pub expect: Fields,
    /// What the other side shows for each of them.
    pub from: Fields,
    /// Which of them are conflicts.
    pub conflicts: BTreeSet<String>,
}

/// What a decision comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// At most one push a side.
    pub pushes: Vec<Wanted>,
    /// Conflicts that were not known before.
    pub conflicts: Vec<Conflict>,
    /// Fields parked just now: the side that cannot take them, the field, the reason.
    pub parked: Vec<(Side, String, String)>,
}

/// How many conflicts a link remembers.
const CONFLICTS_KEPT: usize = 20;

/// Compares and decides. Bases of fields that agree are brought up to date in the link; pushes are only proposed.
///
/// A side with a push under way gets no other: its turn comes with the outcome.
pub fn decide(plan: &RoutePlan, link: &mut Link, link_name: &str, now: DateTime<Utc>) -> Decision {
    let mut decision = Decision::default();
    if link.is_doubled() {
        return decision;
    }
    for side in Side::BOTH {
        if creates(plan, link, side) {
            decision.pushes.extend(create(plan, link, side, &mut decision.parked));
        }
    }
    if !(link.left.is_there() && link.right.is_there()) {
        return decision;
    }
    let mut wanted = BTreeMap::new();
    for field in &plan.fields {
        let Some(flow) = compare(field, link) else { continue };
        let Some(value) = takeable(field, link, flow, &mut decision.parked) else { continue };
        if flow.conflict {
            note_conflict(plan, link, link_name, field, flow, &value, now, &mut decision.conflicts);
        }
        if link.side(flow.to).outstanding.is_some() {
            continue;
        }
        let push = wanted.entry(flow.to).or_insert_with(|| Wanted {
            side: flow.to,
            op: Op::Update,
            set: Fields::new(),
            expect: Fields::new(),
            from: Fields::new(),
            conflicts: BTreeSet::new(),
        });
        let name = field.rule.on(flow.to).to_owned();
        let (target, source) = (link.side(flow.to), link.side(flow.to.other()));
        push.expect.insert(name.clone(), target.shown(&name).cloned().unwrap_or_default());
        push.from.insert(
            field.rule.on(flow.to.other()).to_owned(),
            source.shown(field.rule.on(flow.to.other())).cloned().unwrap_or_default(),
        );
        if flow.conflict {
            push.conflicts.insert(name.clone());
        }
        push.set.insert(name, value);
    }
    decision.pushes.extend(wanted.into_values().filter(|push| !is_refused(link.side(push.side), &push.set)));
    decision
}

/// The hash by which a refused push is known again.
pub fn hash_of(set: &Fields) -> String {
    let text = serde_json::to_string(set).unwrap_or_default();
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn is_refused(side: &SideState, set: &Fields) -> bool {
    side.refused.as_ref().is_some_and(|refused| refused.hash == hash_of(set))
}

/// Whether the record is missing on this side, is wanted there, and may be made now.
fn creates(plan: &RoutePlan, link: &Link, side: Side) -> bool {
    let (this, other) = (link.side(side), link.side(side.other()));
    plan.route.side(side).create
        && this.id.is_none()
        && !this.gone
        && this.outstanding.is_none()
        && other.is_there()
}

fn create(
    plan: &RoutePlan,
    link: &mut Link,
    side: Side,
    parked: &mut Vec<(Side, String, String)>,
) -> Option<Wanted> {
    let mut set = Fields::new();
    let mut from = Fields::new();
    for field in plan.fields.iter().filter(|field| field.rule.direction.goes_to(side)) {
        let source_name = field.rule.on(side.other());
        let Some(source) = link.side(side.other()).shown(source_name).cloned() else { continue };
        let flow = Flow { to: side, conflict: false };
        let Some(value) = takeable(field, link, flow, parked) else { continue };
        from.insert(source_name.to_owned(), source);
        if !value.is_null() {
            set.insert(field.rule.on(side).to_owned(), value);
        }
    }
    for (name, value) in plan.create_extras(side, link.side(side.other()), &link.key) {
        set.insert(name, value);
    }
    // A record without its key could never be found again.
    let has_key = set.contains_key(&plan.route.side(side).key);
    (has_key && !is_refused(link.side(side), &set)).then(|| Wanted {
        side,
        op: Op::Create,
        set,
        expect: Fields::new(),
        from,
        conflicts: BTreeSet::new(),
    })
}

/// A difference that has to go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flow {
    to: Side,
    conflict: bool,
}

/// Which way a field's difference goes, if it goes. Where both agree, or a difference is to stay, the bases follow.
fn compare(field: &FieldPlan, link: &mut Link) -> Option<Flow> {
    let (left_name, right_name) = (field.rule.left.as_str(), field.rule.right.as_str());
    let (left, right) = (link.left.shown(left_name)?.clone(), link.right.shown(right_name)?.clone());
    if agree(field, &left, &right) {
        link.left.settle(left_name);
        link.right.settle(right_name);
        return None;
    }
    let goes = |side: Side| field.rule.direction.goes_to(side);
    let value_of = |side: Side| if side == Side::Left { &left } else { &right };
    let never_agreed = !link.left.base.contains_key(left_name) || !link.right.base.contains_key(right_name);
    let changed = (link.left.has_changed(left_name), link.right.has_changed(right_name));
    let flow = match changed {
        _ if never_agreed => match (left.is_null(), right.is_null()) {
            // One empty is filled.
            (false, true) => Some(Flow { to: Side::Right, conflict: false }),
            (true, false) => Some(Flow { to: Side::Left, conflict: false }),
            _ => Some(Flow {
                to: winner(field, &left, &right).other(),
                conflict: goes(Side::Left) && goes(Side::Right),
            }),
        },
        (true, true) => Some(Flow { to: winner(field, &left, &right).other(), conflict: true }),
        (true, false) => Some(Flow { to: Side::Right, conflict: false }),
        (false, true) => Some(Flow { to: Side::Left, conflict: false }),
        // A difference that was let stand before.
        (false, false) => None,
    };
    let flow = flow.filter(|flow| {
        let emptied = value_of(flow.to.other()).is_null() && field.rule.empty == EmptyRule::Keeps;
        goes(flow.to) && !emptied
    });
    if flow.is_none() {
        // It may not go over, so it stands as it is, until either side changes again.
        link.left.settle(left_name);
        link.right.settle(right_name);
    }
    flow
}

/// Who wins a conflict: the owner, unless only the other has a value and the route lets no empty value win.
fn winner(field: &FieldPlan, left: &Value, right: &Value) -> Side {
    let owner = if field.rule.direction.goes_to(Side::Left) && field.rule.direction.goes_to(Side::Right) {
        field.rule.wins
    } else if field.rule.direction.goes_to(Side::Right) {
        Side::Left
    } else {
        Side::Right
    };
    let value = if owner == Side::Left { left } else { right };
    let both_ways = field.rule.direction == databridge_config::Direction::Both;
    if value.is_null() && field.rule.empty == EmptyRule::Keeps && both_ways { owner.other() } else { owner }
}

/// Whether two values are one, as far as the route can tell.
fn agree(field: &FieldPlan, left: &Value, right: &Value) -> bool {
    let to_right = field.rule.direction.goes_to(Side::Right);
    let (value, decl, wanted) =
        if to_right { (left, &field.right, right) } else { (right, &field.left, left) };
    field.rule.convert.apply(value, &decl.kind).is_ok_and(|converted| {
        converted == *wanted
            || (field.rule.too_long == LengthRule::Truncate && cut(&converted, decl.max_length) == *wanted)
    })
}

/// The value that goes over, in the target's form; `None` if the target cannot take it, and the field is parked.
fn takeable(
    field: &FieldPlan,
    link: &mut Link,
    flow: Flow,
    parked: &mut Vec<(Side, String, String)>,
) -> Option<Value> {
    let name = field.rule.on(flow.to);
    let decl = field.on(flow.to);
    let source = link.side(flow.to.other()).shown(field.rule.on(flow.to.other()))?.clone();
    let problem = match field.rule.convert.apply(&source, &decl.kind) {
        Ok(value) => {
            let length = value.as_text().map_or(0, |text| text.chars().count());
            match decl.max_length {
                Some(most) if length > most && field.rule.too_long == LengthRule::Truncate => {
                    return Some(cut(&value, Some(most)));
                }
                Some(most) if length > most => format!(
                    "the text has {length} characters and `{name}` takes {most}; shorten it at its source, or set \
                     too_long = \"truncate\" in the route"
                ),
                _ => {
                    if link.side(flow.to).parked.get(name).is_some_and(|parked| parked.value == value) {
                        return None;
                    }
                    link.side_mut(flow.to).parked.remove(name);
                    return Some(value);
                }
            }
        }
        Err(error) => format!("{error}, which `{name}` needs; mend the value at its source"),
    };
    let known = link.side(flow.to).parked.get(name).is_some_and(|known| known.value == source);
    if !known {
        let entry = ParkedField { value: source, reason: problem.clone() };
        link.side_mut(flow.to).parked.insert(name.to_owned(), entry);
        parked.push((flow.to, name.to_owned(), problem));
    }
    None
}

fn cut(value: &Value, most: Option<usize>) -> Value {
    match (value, most) {
        (Value::Text(text), Some(most)) => Value::text(text.chars().take(most).collect::<String>()),
        _ => value.clone(),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "a conflict's record needs all of them, and it is made in one place"
)]
fn note_conflict(
    plan: &RoutePlan,
    link: &mut Link,
    link_name: &str,
    field: &FieldPlan,
    flow: Flow,
    winner: &Value,
    now: DateTime<Utc>,
    conflicts: &mut Vec<Conflict>,
) {
    let name = field.rule.on(flow.to);
    let loser = link.side(flow.to);
    let conflict = Conflict {
        link: link_name.to_owned(),
        won: plan.system(flow.to.other()).clone(),
        lost: plan.system(flow.to).clone(),
        field: name.to_owned(),
        base: loser.base.get(name).cloned().unwrap_or_default(),
        winner: winner.clone(),
        loser: loser.shown(name).cloned().unwrap_or_default(),
        at: now,
    };
    // The same conflict, decided again after a stale push, is told once.
    let same = |known: &Conflict| Conflict { at: now, ..known.clone() } == conflict;
    if !link.conflicts.iter().any(same) {
        link.conflicts.push(conflict.clone());
        let surplus = link.conflicts.len().saturating_sub(CONFLICTS_KEPT);
        link.conflicts.drain(..surplus);
        conflicts.push(conflict);
    }
}

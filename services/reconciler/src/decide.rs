//! The three-way compare: what must be pushed so that both sides of a link agree.
//!
//! It is a function of the link alone: what each side shows, and what it showed when both agreed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use databridge_config::{LengthRule, RouteKind, Side};
use databridge_model::{ConflictRecord, Fields, Op, Value, WonBecause};
use sha2::{Digest, Sha256};

use crate::conflict::{self, Found};
use crate::link::{Link, ParkedField, Purpose, SideState};
use crate::plan::{FieldPlan, RoutePlan};
use crate::{gone, latest};

/// What is to be pushed to one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The side that gets it.
    pub side: Side,
    /// Create, update or delete.
    pub op: Op,
    /// The values.
    pub set: Fields,
    /// What the side shows now for each of them.
    pub expect: Fields,
    /// What the other side shows for each of them.
    pub from: Fields,
    /// Which of them are conflicts.
    pub conflicts: BTreeSet<String>,
    /// What it is for.
    pub purpose: Purpose,
}

impl Wanted {
    /// A push that sets nothing yet.
    pub(crate) fn new(side: Side, op: Op) -> Self {
        Self {
            side,
            op,
            set: Fields::new(),
            expect: Fields::new(),
            from: Fields::new(),
            conflicts: BTreeSet::new(),
            purpose: Purpose::Fields,
        }
    }
}

/// What a decision comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// At most one push a side.
    pub pushes: Vec<Wanted>,
    /// Conflicts that were not known before.
    pub conflicts: Vec<ConflictRecord>,
    /// Fields parked just now: the side that cannot take them, the field, the reason.
    pub parked: Vec<(Side, String, String)>,
}

/// Compares and decides. Bases of fields that agree are brought up to date in the link; pushes are only proposed.
///
/// A side with a push under way gets no other: its turn comes with the outcome.
pub fn decide(plan: &RoutePlan, link: &mut Link, link_name: &str, now: DateTime<Utc>) -> Decision {
    decide_with(plan, link, link_name, now, &Given::new())
}

/// What a new record of a side is given beside this route's own fields.
pub(crate) type Given = BTreeMap<Side, Fields>;

/// As [`decide`]; a new record gets what is given it.
pub(crate) fn decide_with(
    plan: &RoutePlan,
    link: &mut Link,
    link_name: &str,
    now: DateTime<Utc>,
    given: &Given,
) -> Decision {
    let mut decision = Decision::default();
    if link.waits_for_a_word() {
        return decision;
    }
    match plan.kind() {
        RouteKind::Mirror | RouteKind::Child => {
            for side in Side::BOTH {
                if creates(plan, link, side) {
                    let given = given.get(&side);
                    decision.pushes.extend(create(plan, link, side, given, &mut decision.parked));
                }
                decision.pushes.extend(gone::push(plan, link, side, now));
            }
            if !(link.left.is_there() && link.right.is_there()) {
                return decision;
            }
        }
        RouteKind::Latest if link.left.is_there() => {}
        RouteKind::Latest | RouteKind::Event => return decision,
    }
    // Two rules may look at one field, so all are compared before anything is settled.
    let compared: Vec<_> = plan.fields.iter().map(|field| (field, compare(plan, field, link, now))).collect();
    let mut wanted = BTreeMap::new();
    let mut awaited = BTreeSet::new();
    for (field, comparison) in &compared {
        let both = Side::BOTH.map(|side| (side, field.rule.on(side)));
        let flow = match comparison {
            Comparison::Differs(flow) => *flow,
            Comparison::UnderWay => {
                awaited.extend(both);
                continue;
            }
            _ => continue,
        };
        let Some(value) = takeable(field, link, flow, &mut decision.parked) else { continue };
        let Some(op) = op_of(plan, link, flow, &value, now) else { continue };
        awaited.extend(both);
        let is_taken = decision.pushes.iter().any(|push| push.side == flow.to);
        if is_taken || link.side(flow.to).outstanding.is_some() {
            continue;
        }
        if let Some(why) = flow.conflict {
            let found = Found { field, lost: flow.to, op, winner: &value, why };
            decision.conflicts.extend(conflict::note(plan, link, link_name, found, now));
        }
        let push = wanted.entry(flow.to).or_insert_with(|| Wanted::new(flow.to, op));
        let name = field.rule.on(flow.to).to_owned();
        let (target, source) = (link.side(flow.to), link.side(flow.to.other()));
        if op != Op::Create {
            push.expect.insert(name.clone(), target.shown(&name).cloned().unwrap_or_default());
        }
        push.from.insert(
            field.rule.on(flow.to.other()).to_owned(),
            source.shown(field.rule.on(flow.to.other())).cloned().unwrap_or_default(),
        );
        if flow.conflict.is_some() {
            push.conflicts.insert(name.clone());
        }
        push.set.insert(name, value);
    }
    for (field, comparison) in &compared {
        settle(field, link, *comparison, &awaited);
    }
    for mut push in wanted.into_values() {
        if push.op == Op::Create {
            push.set.extend(latest::create_extras(plan, link, now));
        }
        if !is_refused(link.side(push.side), &push.set) {
            decision.pushes.push(push);
        }
    }
    decision
}

/// What a difference comes to on the side that it goes to; `None` if it may not be done there.
fn op_of(plan: &RoutePlan, link: &Link, flow: Flow, value: &Value, now: DateTime<Utc>) -> Option<Op> {
    if plan.kind() == RouteKind::Latest && flow.to == Side::Right {
        latest::op_on_right(plan, link, value, now)
    } else {
        Some(Op::Update)
    }
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
pub(crate) fn creates(plan: &RoutePlan, link: &Link, side: Side) -> bool {
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
    given: Option<&Fields>,
    parked: &mut Vec<(Side, String, String)>,
) -> Option<Wanted> {
    let mut set = Fields::new();
    let mut from = Fields::new();
    for field in plan.fields.iter().filter(|field| field.rule.direction.goes_to(side)) {
        let source_name = field.rule.on(side.other());
        let Some(source) = link.side(side.other()).shown(source_name).cloned() else { continue };
        let flow = Flow::to(side);
        let Some(value) = takeable(field, link, flow, parked) else { continue };
        from.insert(source_name.to_owned(), source);
        if !value.is_null() {
            set.insert(field.rule.on(side).to_owned(), value);
        }
    }
    for (name, value) in plan.create_extras(side, link.side(side.other()), &link.key) {
        set.insert(name, value);
    }
    for (name, value) in given.into_iter().flatten() {
        set.entry(name.clone()).or_insert_with(|| value.clone());
    }
    // A record without its key could never be found again.
    let has_key = set.contains_key(plan.key_field(side));
    (has_key && !is_refused(link.side(side), &set)).then(|| Wanted {
        set,
        from,
        ..Wanted::new(side, Op::Create)
    })
}

/// A difference that has to go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flow {
    to: Side,
    /// Both sides have changed, and why the other one wins.
    conflict: Option<WonBecause>,
}

impl Flow {
    fn to(side: Side) -> Self {
        Self { to: side, conflict: None }
    }
}

/// How the two sides of a field stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// One of them never showed it.
    Unknown,
    /// A push that is under way or in doubt carries it: what its side shows is not known until that is settled.
    UnderWay,
    /// They show the same.
    Agrees,
    /// The difference goes over.
    Differs(Flow),
    /// This side was emptied, and the other keeps what it has.
    Keeps(Side),
    /// The difference may not go over, or was let stand before.
    Stands,
}

/// Compares what both sides show of a field with what they showed when both agreed.
fn compare(plan: &RoutePlan, field: &FieldPlan, link: &Link, now: DateTime<Utc>) -> Comparison {
    let (left_name, right_name) = (field.rule.left.as_str(), field.rule.right.as_str());
    let shown_right = link.right.shown(right_name).or_else(|| latest::none_there(plan, link));
    let (Some(left), Some(right)) = (link.left.shown(left_name), shown_right) else {
        return Comparison::Unknown;
    };
    let carries = |side: Side| {
        let state = link.side(side);
        let mut pushes = state.outstanding.iter().chain(&state.doubts);
        pushes.any(|it| it.push.set.contains_key(field.rule.on(side)))
    };
    if Side::BOTH.into_iter().any(carries) {
        return Comparison::UnderWay;
    }
    if agree(field, left, right) {
        return Comparison::Agrees;
    }
    let goes = |side: Side| field.rule.direction.goes_to(side);
    let value_of = |side: Side| if side == Side::Left { left } else { right };
    let flow = match (link.left.base.get(left_name), link.right.base.get(right_name)) {
        (Some(left_base), Some(right_base)) => {
            // What agrees with the other side's base is no change of this rule's, even if it is one of another's.
            let changed = (
                link.left.has_changed(left_name) && !agree(field, left, right_base),
                link.right.has_changed(right_name) && !agree(field, left_base, right),
            );
            match changed {
                (true, true) => contest(field, left, right),
                (true, false) => Flow::to(Side::Right),
                (false, true) => Flow::to(Side::Left),
                (false, false) => return Comparison::Stands,
            }
        }
        // They never agreed: one empty is filled.
        _ => match (left.is_null(), right.is_null()) {
            (false, true) => Flow::to(Side::Right),
            (true, false) => Flow::to(Side::Left),
            _ => match (latest::is_past(plan, field, left, now), latest::is_past(plan, field, right, now)) {
                (false, true) => Flow::to(Side::Right),
                (true, false) => Flow::to(Side::Left),
                (true, true) => return Comparison::Stands,
                (false, false) if latest::is_behind(plan, field, link, left) => Flow::to(Side::Left),
                (false, false) => contest(field, left, right),
            },
        },
    };
    if !goes(flow.to) {
        Comparison::Stands
    } else if value_of(flow.to.other()).is_null() && !field.rule.empty.clears(flow.to) {
        Comparison::Keeps(flow.to.other())
    } else {
        Comparison::Differs(flow)
    }
}

/// Makes the base of what needs no push. A field that a push of another rule is to carry keeps its base until then,
/// and so does a side whose change may not go over: overwritten later, it is a conflict and not forgotten.
fn settle(field: &FieldPlan, link: &mut Link, comparison: Comparison, awaited: &BTreeSet<(Side, &str)>) {
    let settled = match comparison {
        Comparison::Agrees => Side::BOTH.to_vec(),
        Comparison::Keeps(side) => vec![side],
        _ => return,
    };
    for side in Side::BOTH {
        let name = field.rule.on(side);
        if settled.contains(&side) && !awaited.contains(&(side, name)) {
            link.side_mut(side).settle(name);
        }
        if field.rule.direction.goes_to(side) {
            link.side_mut(side).parked.remove(name);
        }
    }
}

/// A conflict. The owner wins, unless only the other has a value and the route lets no empty value win.
fn contest(field: &FieldPlan, left: &Value, right: &Value) -> Flow {
    let goes = |to: Side| field.rule.direction.goes_to(to);
    let (winner, why) = match (goes(Side::Left), goes(Side::Right)) {
        (true, true) => (field.rule.wins, WonBecause::Owner),
        (_, true) => (Side::Left, WonBecause::OneWay),
        _ => (Side::Right, WonBecause::OneWay),
    };
    let value = if winner == Side::Left { left } else { right };
    if value.is_null() && !field.rule.empty.clears(winner.other()) && why == WonBecause::Owner {
        return Flow { to: winner, conflict: Some(WonBecause::OwnerIsEmpty) };
    }
    Flow { to: winner.other(), conflict: Some(why) }
}

/// Whether two values are one, as far as the route can tell: one is what the other becomes on its way over.
pub(crate) fn agree(field: &FieldPlan, left: &Value, right: &Value) -> bool {
    Side::BOTH.into_iter().filter(|to| field.rule.direction.goes_to(*to)).any(|to| {
        let (value, wanted) = if to == Side::Right { (left, right) } else { (right, left) };
        let decl = field.on(to);
        field.convert(value, to, wanted).is_ok_and(|converted| {
            converted == *wanted
                || (field.rule.too_long == LengthRule::Truncate
                    && cut(&converted, decl.max_length) == *wanted)
        })
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
    let source = link.side(flow.to.other()).shown(field.rule.on(flow.to.other()))?.clone();
    let state = link.side_mut(flow.to);
    let current = state.shown(name).cloned().unwrap_or_default();
    let known = state.parked.get(name).map(|known| &known.value);
    match in_form_of_target(field, flow.to, &source, &current) {
        Ok(value) if known == Some(&value) => None,
        Ok(value) => {
            state.parked.remove(name);
            Some(value)
        }
        Err(_) if known == Some(&source) => None,
        Err(reason) => {
            state.parked.insert(name.to_owned(), ParkedField { value: source, reason: reason.clone() });
            parked.push((flow.to, name.to_owned(), reason));
            None
        }
    }
}

/// The value as the target takes it, or why it cannot.
pub(crate) fn in_form_of_target(
    field: &FieldPlan,
    to: Side,
    source: &Value,
    current: &Value,
) -> Result<Value, String> {
    let (name, decl) = (field.rule.on(to), field.on(to));
    let value = field
        .convert(source, to, current)
        .map_err(|error| format!("{error}, which `{name}` needs; mend the value at its source"))?;
    let length = value.as_text().map_or(0, |text| text.chars().count());
    match decl.max_length {
        Some(most) if length > most && field.rule.too_long == LengthRule::Truncate => {
            Ok(cut(&value, Some(most)))
        }
        Some(most) if length > most => Err(format!(
            "the text has {length} characters and `{name}` takes {most}; shorten it at its source, or set \
             too_long = \"truncate\" in the route"
        )),
        _ => Ok(value),
    }
}

fn cut(value: &Value, most: Option<usize>) -> Value {
    match (value, most) {
        (Value::Text(text), Some(most)) => Value::text(text.chars().take(most).collect::<String>()),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests;

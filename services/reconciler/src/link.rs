//! Links: the durable pairs that a route has joined.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use databridge_config::Side;
use databridge_model::subject::Lane;
use databridge_model::{Conflict, ConflictRecord, Fields, Key, Name, PushRequest, ReadAfter, RunId, Value};
use serde::{Deserialize, Serialize};

use crate::plan::{ParentRef, RoutePlan};

/// A record and its partner, as the bucket `links` keeps them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The route that joined them.
    pub route: Name,
    /// The match key, as it is now. The link's name is made of the first one and never changes.
    pub key: Key,
    /// The number of the last push.
    pub counter: u64,
    /// The left side.
    pub left: SideState,
    /// The right side.
    pub right: SideState,
    /// The run whose complete listing a create waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits_listing: Option<RunId>,
    /// The link of the parent route that must have a record on the other side before one is made below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits_parent: Option<ParentRef>,
    /// The link whose partner this one has taken over; that one has still to give it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_over: Option<String>,
    /// The records on the right by their ids, of routes that have several there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, Child>,
    /// When the choice among them changes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<DateTime<Utc>>,
    /// The links below this one that are making a record just now, by its collection, where several routes could.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub making: BTreeMap<String, String>,
    /// How many events have had their record made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events: u64,
    /// Something could not be done; the next run looks again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due: bool,
    /// A person has taken the pair apart: nothing is carried over, here and below it, until one puts it together again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Apart>,
    /// The last conflicts, with the losers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// How many conflicts there were in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflict_count: u64,
    /// The records of conflicts, by their numbers, that may not be in the bucket `conflicts` yet: they are put there before
    /// anything is overwritten, and taken out here when the link is decided next.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub untold: BTreeMap<u64, ConflictRecord>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// That a person has taken a pair apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// When.
    pub at: DateTime<Utc>,
    /// Who, as the machine says: `name@host`.
    pub by: String,
}

/// One of several records on the right.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// What it shows of the fields that the route looks at. Long texts are kept of the chosen one only.
    pub fields: Fields,
    /// A long text of it is not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Opaque to us; the bridge wants it back.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub handle: serde_json::Value,
    /// The revision of the last read that was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The PULL sequence of the last read that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled: Option<ReadAfter>,
    /// It is to be read again by its id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reread: bool,
    /// The push that made it, where its system keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// We have written it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub written: bool,
    /// It is the record of an event that is past.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paired: bool,
}

/// One side of a link.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all pairs of them occur")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideState {
    /// The system's id of the record; absent until one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id of its parent in the same system, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Opaque to us; the bridge wants it back.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub handle: serde_json::Value,
    /// What this side showed for each routed field when both last agreed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub base: Fields,
    /// What it shows now, where that is not its base.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drift: Fields,
    /// Fields whose base is what we wrote, not yet what the side has shown since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub provisional: BTreeSet<String>,
    /// The revision of the last read that was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The PULL sequence of the last read that was decided, with the time that tells its incarnation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled: Option<ReadAfter>,
    /// The last outcome of this side: a read from before it is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<ReadAfter>,
    /// The push that is under way; never more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outstanding: Option<Outstanding>,
    /// Pushes of which nobody knows whether they were done, oldest first. The next sure look at the record tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Outstanding>,
    /// The record is to be read again by its id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reread: bool,
    /// Fields that the side cannot take, with the value it could not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parked: BTreeMap<String, ParkedField>,
    /// What the side refused whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedPush>,
    /// Other records of this side with the same key, each with the run that last saw it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rivals: BTreeMap<String, Option<RunId>>,
    /// Other records of this side with the same key, of which a person has said that they are not meant.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub set_aside: BTreeSet<String>,
    /// It is sure that there are several: nothing is pushed until a person has mended it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubled: bool,
    /// The record is not there any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// Its partner has been marked or deleted because of that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone_told: bool,
    /// The run that last saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_in: Option<RunId>,
    /// The run in which another record took the place of the one that was there, as after a layer was published anew:
    /// the records below it may have new ids, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_in: Option<RunId>,
}

/// A push under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outstanding {
    /// The push as it was sent: after a crash it is sent again, which the bridge answers without repeating it.
    pub push: PushRequest,
    /// Whether it went by the bulk lane.
    pub bulk: bool,
    /// What the other side showed for each field when the push was made.
    pub from: Fields,
    /// The fields whose difference was a conflict.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub conflicts: BTreeSet<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Purpose::is_fields")]
    pub purpose: Purpose,
}

/// What a push is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To make the fields of both sides agree.
    #[default]
    Fields,
    /// To tell that the partner is gone, or is back.
    Gone,
}

impl Purpose {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_fields(&self) -> bool {
        *self == Self::Fields
    }
}

impl Outstanding {
    /// The lane it went by.
    pub fn lane(&self) -> Lane {
        if self.bulk { Lane::Bulk } else { Lane::Live }
    }
}

/// A field that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParkedField {
    /// The value that the side cannot take; another value is tried again.
    pub value: Value,
    /// Why.
    pub reason: String,
}

/// A push that a side refused whole: the same content is not pushed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPush {
    /// The hash of what was to be set.
    pub hash: String,
    /// Why.
    pub reason: String,
}

impl Link {
    /// A link of which nothing is known yet.
    pub fn new(route: Name, key: Key) -> Self {
        Self {
            route,
            key,
            counter: 0,
            left: SideState::default(),
            right: SideState::default(),
            awaits_listing: None,
            awaits_parent: None,
            takes_over: None,
            children: BTreeMap::new(),
            look_at: None,
            making: BTreeMap::new(),
            events: 0,
            due: false,
            apart: None,
            conflicts: Vec::new(),
            conflict_count: 0,
            untold: BTreeMap::new(),
        }
    }

    /// A side.
    pub fn side(&self, side: Side) -> &SideState {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// A side, to change it.
    pub fn side_mut(&mut self, side: Side) -> &mut SideState {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// What a side surely shows now tells which of the pushes in doubt were done: what those wrote is no person's edit.
    pub fn resolve_doubts(&mut self, plan: &RoutePlan, side: Side, shown: &Fields) {
        let doubts = std::mem::take(&mut self.side_mut(side).doubts);
        let state = self.side(side);
        let wrote = |doubt: &Outstanding, field: &String| {
            let (Some(sent), Some(value)) = (doubt.push.set.get(field), shown.get(field)) else {
                return false;
            };
            let is_new = state.shown(field) != Some(value);
            sent == value || (is_new && plan.collection(side).field_type(field).may_normalise(sent, value))
        };
        let done: Vec<BTreeSet<String>> = doubts
            .iter()
            .map(|doubt| shown.keys().filter(|field| wrote(doubt, field)).cloned().collect())
            .collect();
        for (field, value) in shown {
            let last = doubts.iter().zip(&done).rev().find(|(_, done)| done.contains(field));
            let Some((doubt, done)) = last else { continue };
            self.side_mut(side).set_base(field, value.clone());
            for rule in plan.fields.iter().map(|field| &field.rule).filter(|rule| rule.on(side) == field) {
                let source = rule.on(side.other());
                // A value of which several fields are made has gone over when all of them are in.
                let is_whole = plan.fields.iter().map(|field| &field.rule).all(|it| {
                    it.on(side.other()) != source
                        || !doubt.push.set.contains_key(it.on(side))
                        || done.contains(it.on(side))
                });
                if let Some(value) = doubt.from.get(source).filter(|_| is_whole) {
                    self.side_mut(side.other()).set_base(source, value.clone());
                }
            }
        }
    }

    /// The records of a side that are to be read again.
    pub fn to_reread(&self, side: Side) -> Vec<String> {
        let state = self.side(side);
        let own = state.id.iter().chain(state.rivals.keys()).filter(|_| state.reread).cloned();
        let children = self.children.iter().filter(|(_, child)| side == Side::Right && child.reread);
        let mut ids: Vec<_> = own.chain(children.map(|(id, _)| id.clone())).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Whether a push is under way on either side.
    pub fn is_under_way(&self) -> bool {
        self.left.outstanding.is_some() || self.right.outstanding.is_some()
    }

    /// Whether nothing may be pushed because a side has several records of the key.
    pub fn is_doubled(&self) -> bool {
        self.left.doubled || self.right.doubled
    }

    /// Whether nothing may be pushed before a person has said a word.
    pub fn waits_for_a_word(&self) -> bool {
        self.is_doubled() || self.apart.is_some()
    }
}

impl SideState {
    /// What the side shows for a field; `None` if it never showed it.
    pub fn shown(&self, field: &str) -> Option<&Value> {
        self.drift.get(field).or_else(|| self.base.get(field))
    }

    /// Whether the side shows something else than when both agreed, or both never did.
    pub fn has_changed(&self, field: &str) -> bool {
        self.drift.contains_key(field) || !self.base.contains_key(field)
    }

    /// Takes in what the side shows for a field.
    pub fn show(&mut self, field: &str, value: Value) {
        if self.base.get(field) == Some(&value) {
            self.drift.remove(field);
        } else {
            self.drift.insert(field.to_owned(), value);
        }
    }

    /// Makes a value the base, without changing what the side shows.
    pub fn set_base(&mut self, field: &str, value: Value) {
        let shown = self.shown(field).cloned();
        self.base.insert(field.to_owned(), value);
        if let Some(shown) = shown {
            self.show(field, shown);
        }
    }

    /// Makes what the side shows the base.
    pub fn settle(&mut self, field: &str) {
        if let Some(value) = self.drift.remove(field) {
            self.base.insert(field.to_owned(), value);
        }
    }

    /// Whether the side shows just these values already.
    pub fn shows(&self, fields: &Fields) -> bool {
        fields.iter().all(|(field, value)| self.shown(field) == Some(value))
    }

    /// Whether a record of this side is known to be there.
    pub fn is_there(&self) -> bool {
        self.id.is_some() && !self.gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_goes_back_to_the_base_is_no_change() {
        let mut side = SideState::default();
        side.show("a", Value::text("1"));
        assert!(side.has_changed("a"), "no base yet");
        side.settle("a");
        assert!(!side.has_changed("a"));
        side.show("a", Value::text("2"));
        assert!(side.has_changed("a"));
        side.show("a", Value::text("1"));
        assert!(!side.has_changed("a"));
    }

    #[test]
    fn a_new_base_does_not_change_what_is_shown() {
        let mut side = SideState::default();
        side.show("a", Value::text("1"));
        side.settle("a");
        side.show("a", Value::text("3"));
        side.set_base("a", Value::text("2"));
        assert_eq!(side.shown("a"), Some(&Value::text("3")));
        assert!(side.has_changed("a"));
        side.set_base("a", Value::text("3"));
        assert!(!side.has_changed("a"));
    }
}

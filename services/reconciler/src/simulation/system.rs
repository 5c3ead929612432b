//! An outside system with its bridge.

use std::collections::{BTreeMap, VecDeque};

use databridge_config::Side;
use databridge_model::{
    FieldType, Fields, Key, Op, Outcome, OutcomeResult, Point, PullResult, PushRequest, Value,
};
use serde_json::json;

use super::trimmed;
use crate::plan::RoutePlan;
use crate::samples;

/// What goes wrong with a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The bridge dies before it writes.
    DiesBefore,
    /// The bridge dies after it wrote.
    DiesAfter,
    /// Whether it was written is never known; it was.
    UnknownDone,
    /// Whether it was written is never known; it was not.
    UnknownUndone,
    /// A record that moved is not shown.
    Blind,
}

/// One record in a system, and what its bridge has under way.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct OutsideSystem {
    pub(super) exists: bool,
    pub(super) values: Fields,
    /// The fields and values that people typed here.
    pub(super) people: Vec<(String, Value)>,
    queue: VecDeque<PushRequest>,
    version: i64,
    tells_revisions: bool,
    /// Refuses a write of a record that moved at all, trims texts, and has no option `bad`.
    is_office: bool,
    intent: bool,
    applied: Option<Outcome>,
    done: Option<Outcome>,
    in_flight: VecDeque<PullResult>,
}

/// What a person may type in a field of this type.
pub(super) fn typable(kind: &FieldType) -> Vec<Value> {
    match kind {
        FieldType::Int => vec![Value::Null, Value::Int(1), Value::Int(2)],
        FieldType::Point => {
            let at = |lon, lat| Value::Point(Point::rounded(lon, lat));
            vec![Value::Null, at(1.0, 5.0), at(1.0, 6.0), at(2.0, 6.0)]
        }
        _ => ["", "a", "b", "c ", "bad", "too long for it", "too long to keep"]
            .map(|text| if text.is_empty() { Value::Null } else { Value::Text(text.to_owned()) })
            .into(),
    }
}

impl OutsideSystem {
    /// It compares just the fields that are written, and tells nothing of the record after a write.
    pub(super) fn map(tells_revisions: bool) -> Self {
        Self {
            exists: false,
            values: Fields::new(),
            people: Vec::new(),
            queue: VecDeque::new(),
            version: 0,
            tells_revisions,
            is_office: false,
            intent: false,
            applied: None,
            done: None,
            in_flight: VecDeque::new(),
        }
    }

    /// It takes a write of the version that the bridge knows only, and shows the record after it.
    pub(super) fn office() -> Self {
        Self { is_office: true, ..Self::map(true) }
    }

    pub(super) fn edit(&mut self, name: &str, value: Value) {
        let value = self.own_form(value);
        self.people.push((name.to_owned(), value.clone()));
        self.values.insert(name.to_owned(), value);
        self.version += 1;
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.done.is_none() && self.in_flight.is_empty()
    }

    fn own_form(&self, value: Value) -> Value {
        if self.is_office { trimmed(value) } else { value }
    }

    fn handle(&self) -> serde_json::Value {
        if self.is_office { json!({"etag": self.version}) } else { json!({"row": 1}) }
    }

    /// Revisions are coarse: two edits may share one.
    fn revision(&self) -> Option<i64> {
        self.tells_revisions.then_some(self.version / 2)
    }

    pub(super) fn read(&mut self, plan: &RoutePlan, side: Side, outcomes: usize) {
        if self.exists {
            self.in_flight.push_back(PullResult {
                system: plan.system(side).clone(),
                collection: plan.collection_name(side).clone(),
                id: "1".to_owned(),
                key: Key::parse("E-1"),
                parent: None,
                revision: self.revision(),
                deleted: false,
                fields: self.values.clone(),
                made_by: None,
                handle: self.handle(),
                run: None,
                read_after: samples::after(outcomes as u64),
            });
        }
    }

    pub(super) fn publish(&mut self) -> Option<PullResult> {
        self.in_flight.pop_front()
    }

    /// A push that waits already is not stored once more.
    pub(super) fn send(&mut self, push: PushRequest) {
        if !self.queue.contains(&push) {
            self.queue.push_back(push);
        }
    }

    /// Takes the next push up. Gives what it wrote.
    pub(super) fn take_push(&mut self, fault: Fault) -> Fields {
        let Some(push) = self.queue.front().cloned().filter(|_| self.done.is_none()) else {
            return Fields::new();
        };
        let id = push.push.clone().unwrap();
        if let Some(last) = self.applied.as_ref().filter(|last| last.push.counter >= id.counter) {
            self.done = Some(Outcome { push: id, ..last.clone() });
            return Fields::new();
        }
        let doubtful = std::mem::replace(&mut self.intent, true);
        if matches!(fault, Fault::DiesBefore | Fault::UnknownUndone) {
            if fault == Fault::UnknownUndone {
                self.done = Some(samples::outcome(&id, OutcomeResult::Unknown, &[]));
            }
            return Fields::new();
        }
        let (outcome, written) = self.apply(&push, doubtful, fault == Fault::Blind);
        match fault {
            Fault::DiesAfter => {}
            Fault::UnknownDone => self.done = Some(samples::outcome(&id, OutcomeResult::Unknown, &[])),
            _ => self.done = Some(outcome),
        }
        written
    }

    fn apply(&mut self, push: &PushRequest, doubtful: bool, blind: bool) -> (Outcome, Fields) {
        let mut parked = BTreeMap::new();
        let mut wanted = Fields::new();
        for (name, value) in &push.set {
            if self.is_office && *value == Value::text("bad") {
                parked.insert(name.clone(), "there is no option `bad`".to_owned());
            } else {
                wanted.insert(name.clone(), value.clone());
            }
        }
        let mut outcome = samples::outcome(push.push.as_ref().unwrap(), OutcomeResult::Written, &[]);
        outcome.parked = parked;
        if push.op == Op::Create {
            if self.exists {
                outcome.result = OutcomeResult::Exists;
                return (self.shown(outcome), Fields::new());
            }
            self.exists = true;
            return self.written(outcome, wanted);
        }
        let now = |name: &String| self.values.get(name).cloned().unwrap_or_default();
        let is_there = |(name, value): (&String, &Value)| {
            now(name) == *value || (doubtful && now(name) == self.own_form(value.clone()))
        };
        let as_expected = |(name, value): (&String, &Value)| now(name) == *value;
        let etag = push.target.as_ref().map(|target| target.handle.clone());
        let moved = if self.is_office && !doubtful {
            etag != Some(self.handle())
        } else {
            wanted.iter().any(|(name, value)| {
                !is_there((name, value)) && !as_expected((name, push.expect.get(name).unwrap()))
            })
        };
        if wanted.is_empty() || (wanted.iter().all(is_there) && (doubtful || !self.is_office)) {
            outcome.result = OutcomeResult::Unchanged;
            let shows = !wanted.is_empty();
            return (if shows { self.shown(outcome) } else { outcome }, Fields::new());
        }
        if moved {
            outcome.result = OutcomeResult::Stale;
            return (if blind { outcome } else { self.shown(outcome) }, Fields::new());
        }
        self.written(outcome, wanted)
    }

    fn shown(&self, outcome: Outcome) -> Outcome {
        Outcome { revision: self.revision(), handle: self.handle(), shown: self.values.clone(), ..outcome }
    }

    fn written(&mut self, outcome: Outcome, wanted: Fields) -> (Outcome, Fields) {
        self.version += 1;
        for (name, value) in wanted.clone() {
            let value = self.own_form(value);
            self.values.insert(name, value);
        }
        if self.is_office {
            return (self.shown(outcome), wanted);
        }
        // The map tells that it is done, and not what the row shows or when it was edited.
        let mut shown = self.values.clone();
        shown.extend(wanted.clone());
        (Outcome { handle: self.handle(), shown, ..outcome }, wanted)
    }

    /// The outcome is stored; the push is acknowledged, or comes again all the same.
    pub(super) fn tell(&mut self, again: bool) -> Option<Outcome> {
        let outcome = self.done.take()?;
        self.applied = Some(outcome.clone());
        self.intent = outcome.result == OutcomeResult::Unknown;
        if !again {
            self.queue.pop_front();
        }
        Some(outcome)
    }
}

//! A small world for property tests: two systems that people edit, their bridges, the streams between, and a
//! reconciler's link; with reads that come late, twice or stale, and crashes at every seam.

mod properties;
mod system;

use std::collections::{BTreeMap, BTreeSet};

use databridge_config::{Direction, EmptyRule, LengthRule, Side};
use databridge_model::{Fields, Outcome, PullResult, Value};

use self::system::{Fault, OutsideSystem};
use crate::conclude::conclude;
use crate::decide::decide;
use crate::link::Link;
use crate::plan::{FieldPlan, RoutePlan};
use crate::read::{Worth, take_in};
use crate::samples;

const LINK: &str = "case_matter.E-1";

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A person edits a field: the side, which field, which value.
    Edit(Side, usize, usize),
    /// A bridge reads the record.
    Read(Side),
    /// What it read reaches the stream.
    Publish(Side),
    /// The reconciler gets the next read; true: it dies, or NATS fails, after the link is written.
    TakeRead(bool),
    /// It gets a read once more.
    TakeReadAgain(usize),
    /// A bridge takes up a push.
    Push(Side, Fault),
    /// A bridge publishes the outcome; true: the push comes once more all the same.
    Tell(Side, bool),
    /// The reconciler gets the next outcome.
    TakeOutcome(bool),
    /// It gets an outcome once more.
    TakeOutcomeAgain(usize),
    /// What it wants read again is read.
    ReadAgain,
    /// The reconciler starts anew.
    Restart,
}

#[derive(Clone, Debug)]
struct World {
    plan: RoutePlan,
    left: OutsideSystem,
    right: OutsideSystem,
    pulls: Vec<PullResult>,
    next_pull: usize,
    outcomes: Vec<(Side, Outcome)>,
    next_outcome: usize,
    link: Option<Link>,
    rereads: BTreeSet<Side>,
    /// What people typed, in the form of each side that it may reach.
    typed: BTreeMap<(Side, String), Vec<Value>>,
    pushes: usize,
    /// People type in fields whose values go the other way, too.
    errs: bool,
}

impl World {
    /// A record on the left, without a partner or with one that is the same.
    fn new(paired: bool, left_tells_revisions: bool) -> Self {
        let mut world = Self {
            plan: samples::plan(),
            left: OutsideSystem::map(left_tells_revisions),
            right: OutsideSystem::office(),
            pulls: Vec::new(),
            next_pull: 0,
            outcomes: Vec::new(),
            next_outcome: 0,
            link: None,
            rereads: BTreeSet::new(),
            typed: BTreeMap::new(),
            pushes: 0,
            errs: true,
        };
        let names = |side: Side| {
            let fields = world.plan.fields.iter().map(|field| field.rule.on(side).to_owned());
            fields.map(|name| (name, Value::Null)).collect::<Fields>()
        };
        (world.left.values, world.right.values) = (names(Side::Left), names(Side::Right));
        world.left.exists = true;
        world.type_in(Side::Left, "warrant", &Value::text("E-1"));
        if paired {
            world.right.exists = true;
            world.type_in(Side::Right, "Warrant", &Value::text("E-1"));
        }
        world
    }

    fn system(&mut self, side: Side) -> &mut OutsideSystem {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// A person's edit. What it may become on the other side is noted.
    fn type_in(&mut self, side: Side, name: &str, value: &Value) {
        self.system(side).edit(name, value.clone());
        let mut note = |side: Side, name: &str, value: Value| {
            self.typed.entry((side, name.to_owned())).or_default().push(value);
        };
        note(side, name, value.clone());
        for field in self.plan.fields.iter().filter(|field| field.rule.on(side) == name) {
            let other = side.other();
            if field.rule.direction.goes_to(other) {
                for form in forms(field, other, value) {
                    note(other, field.rule.on(other), form);
                }
                note(side, name, trimmed(value.clone()));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Edit(side, field, value) => self.edit(*side, *field, *value),
            Step::Read(side) => {
                let (outcomes, plan) = (self.outcomes.len(), self.plan.clone());
                self.system(*side).read(&plan, *side, outcomes);
            }
            Step::Publish(side) => {
                if let Some(read) = self.system(*side).publish() {
                    self.pulls.push(read);
                }
            }
            Step::TakeRead(fails) => {
                if self.next_pull < self.pulls.len() {
                    self.take_read(self.next_pull, *fails);
                    self.next_pull += usize::from(!fails);
                }
            }
            Step::TakeReadAgain(index) => {
                if self.next_pull > 0 {
                    self.take_read(index % self.next_pull, false);
                }
            }
            Step::Push(side, fault) => {
                let done = self.system(*side).take_push(*fault);
                self.check_written(*side, &done);
            }
            Step::Tell(side, again) => {
                if let Some(outcome) = self.system(*side).tell(*again) {
                    self.outcomes.push((*side, outcome));
                }
            }
            Step::TakeOutcome(fails) => {
                if self.next_outcome < self.outcomes.len() {
                    self.take_outcome(self.next_outcome, *fails);
                    self.next_outcome += usize::from(!fails);
                }
            }
            Step::TakeOutcomeAgain(index) => {
                if self.next_outcome > 0 {
                    self.take_outcome(index % self.next_outcome, false);
                }
            }
            Step::ReadAgain => {
                for side in std::mem::take(&mut self.rereads) {
                    let (outcomes, plan) = (self.outcomes.len(), self.plan.clone());
                    self.system(side).read(&plan, side, outcomes);
                }
            }
            Step::Restart => self.restart(),
        }
    }

    fn edit(&mut self, side: Side, field: usize, value: usize) {
        let editable = |field: &&FieldPlan| {
            field.rule.left != "warrant" && (self.errs || field.rule.direction.goes_to(side.other()))
        };
        let rules: Vec<_> = self.plan.fields.iter().filter(editable).collect();
        let field = rules[field % rules.len()];
        let (name, limit) = (field.rule.on(side).to_owned(), field.on(side).max_length);
        let kind = field.on(side).kind.clone();
        let has = |value: &Value| fits(value, limit) && (side == Side::Left || *value != Value::text("bad"));
        let values: Vec<_> = system::typable(&kind).into_iter().filter(has).collect();
        let value = values[value % values.len()].clone();
        let system = self.system(side);
        if system.exists && system.values.get(&name) != Some(&value) {
            self.type_in(side, &name, &value);
        }
    }

    /// What the handler of pull results does.
    fn take_read(&mut self, index: usize, fails: bool) {
        let read = self.pulls[index].clone();
        let side = self.plan.side_of(&read.system, &read.collection).unwrap();
        let mut link = self.link.clone().unwrap_or_else(samples::new_link);
        let before = link.clone();
        match take_in(&self.plan, &mut link, side, &read, index as u64 + 1) {
            Worth::Nothing => {
                self.send_again();
                let mut probe = before.clone();
                let decision = decide(&self.plan, &mut probe, LINK, samples::now());
                if before.due || probe != before || !decision.pushes.is_empty() {
                    self.decide_and_save(before, fails);
                }
            }
            Worth::ReadAgain => {
                link.side_mut(side).reread = true;
                if link.side(side).outstanding.is_none() {
                    self.rereads.insert(side);
                }
                self.link = Some(link);
            }
            Worth::Taken => self.decide_and_save(link, fails),
        }
    }

    /// What the handler of outcomes does.
    fn take_outcome(&mut self, index: usize, fails: bool) {
        let (side, outcome) = self.outcomes[index].clone();
        let mut link = self.link.clone().unwrap();
        let at = samples::after(index as u64 + 1);
        if conclude(&self.plan, side, &mut link, &outcome, at, samples::now()).is_none() {
            self.send_again();
        } else if link.side(side).reread && link.side(side).id.is_some() {
            self.rereads.insert(side);
            self.link = Some(link);
        } else if link.due {
            self.link = Some(link);
        } else {
            self.decide_and_save(link, fails);
        }
    }

    fn decide_and_save(&mut self, mut link: Link, fails: bool) {
        link.due = false;
        let decision = decide(&self.plan, &mut link, LINK, samples::now());
        let mut to_send = Vec::new();
        for wanted in &decision.pushes {
            self.check_overwrites(&link, wanted);
            assert!(link.side(wanted.side).outstanding.is_none(), "two pushes under way on one side");
            samples::send(&mut link, wanted);
            to_send.push(wanted.side);
        }
        self.pushes += to_send.len();
        self.link = Some(link.clone());
        let again = decide(&self.plan, &mut link, LINK, samples::now());
        assert_eq!(again, crate::decide::Decision::default(), "deciding again gives something new");
        assert_eq!(self.link.as_ref(), Some(&link), "deciding again changes the link");
        if !fails {
            for side in to_send {
                self.send(side);
            }
        }
    }

    fn send(&mut self, side: Side) {
        let outstanding = self.link.as_ref().and_then(|link| link.side(side).outstanding.clone());
        if let Some(push) = outstanding.map(|outstanding| outstanding.push) {
            self.system(side).send(push);
        }
    }

    fn send_again(&mut self) {
        for side in Side::BOTH {
            self.send(side);
        }
    }

    fn restart(&mut self) {
        self.rereads.clear();
        self.send_again();
        for side in Side::BOTH {
            let waits = self
                .link
                .as_ref()
                .is_some_and(|link| link.side(side).reread && link.side(side).outstanding.is_none());
            if waits {
                self.rereads.insert(side);
            }
        }
    }

    /// No push overwrites what is not agreed on, unless that is a known conflict.
    fn check_overwrites(&self, link: &Link, wanted: &crate::decide::Wanted) {
        let (target, source) = (link.side(wanted.side), link.side(wanted.side.other()));
        for (name, expected) in wanted.expect.iter().filter(|(_, value)| !value.is_null()) {
            let known = target.base.get(name) == Some(expected)
                || link.conflicts.iter().any(|it| it.field == *name && it.loser == *expected);
            // What the other side showed when both agreed was agreed on, too.
            let agreed = self.plan.fields.iter().filter(|it| it.rule.on(wanted.side) == name).any(|it| {
                let source = source.base.get(it.rule.on(wanted.side.other()));
                source.is_some_and(|source| {
                    forms(it, wanted.side, source).contains(expected)
                        || forms(it, wanted.side.other(), expected).contains(source)
                })
            });
            assert!(known || agreed, "{name} loses {expected:?} without a trace\n{link:#?}");
        }
    }

    /// Nothing is written but what somebody typed.
    fn check_written(&self, side: Side, written: &Fields) {
        for (name, value) in written.iter().filter(|(name, _)| *name != "title") {
            let typed = self.typed.get(&(side, name.clone()));
            assert!(
                value.is_null() || typed.is_some_and(|typed| typed.contains(value)),
                "nobody typed {value:?} for {name} of the {side:?}"
            );
        }
    }

    /// Everything that is under way comes to its end; false if it never does.
    fn drain(&mut self) -> bool {
        for _ in 0..1_000 {
            let is_quiet = |system: &OutsideSystem| system.is_quiet();
            if is_quiet(&self.left)
                && is_quiet(&self.right)
                && self.next_pull == self.pulls.len()
                && self.next_outcome == self.outcomes.len()
                && self.rereads.is_empty()
            {
                return true;
            }
            for side in Side::BOTH {
                self.step(&Step::Publish(side));
                self.step(&Step::Push(side, Fault::None));
                self.step(&Step::Tell(side, false));
            }
            self.step(&Step::TakeRead(false));
            self.step(&Step::TakeOutcome(false));
            self.step(&Step::ReadAgain);
        }
        false
    }

    /// A complete sync of both sides.
    fn sync(&mut self) {
        if let Some(link) = self.link.clone().filter(|link| link.due) {
            self.decide_and_save(link, false);
        }
        for side in Side::BOTH {
            self.step(&Step::Read(side));
        }
        assert!(self.drain(), "it never comes to rest\n{:#?}", self.link);
    }

    /// The fields whose difference no rule explains.
    fn unexplained(&self) -> Vec<String> {
        let link = self.link.as_ref().unwrap();
        let differs = |field: &&FieldPlan| {
            let rule = &field.rule;
            let (left, right) = (&self.left.values[&rule.left], &self.right.values[&rule.right]);
            let goes = |to: Side| rule.direction.goes_to(to);
            let one = (goes(Side::Right) && forms(field, Side::Right, left).contains(right))
                || (goes(Side::Left) && forms(field, Side::Left, right).contains(left));
            let parked =
                Side::BOTH.iter().any(|to| goes(*to) && link.side(*to).parked.contains_key(rule.on(*to)));
            let kept = rule.empty == EmptyRule::Keeps && (left.is_null() || right.is_null());
            let typed_there = |side: Side, value: &Value| {
                self.system_of(side).people.contains(&(rule.on(side).to_owned(), value.clone()))
            };
            let stands = match rule.direction {
                Direction::Both => false,
                Direction::ToRight => typed_there(Side::Right, right),
                Direction::ToLeft => typed_there(Side::Left, left),
            };
            !(one || parked || kept || stands)
        };
        let told = |field: &FieldPlan| {
            let (left, right) = (&self.left.values[&field.rule.left], &self.right.values[&field.rule.right]);
            format!("{}: {left:?} and {right:?}", field.rule.left)
        };
        self.plan.fields.iter().filter(differs).map(told).collect()
    }

    fn system_of(&self, side: Side) -> &OutsideSystem {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

/// What a value may become on its way to a side.
fn forms(field: &FieldPlan, to: Side, value: &Value) -> Vec<Value> {
    let Ok(value) = field.convert(value, to, &Value::Null) else { return Vec::new() };
    let mut forms = vec![value.clone(), trimmed(value.clone())];
    if field.rule.too_long == LengthRule::Truncate
        && let (Some(most), Value::Text(text)) = (field.on(to).max_length, &value)
    {
        let cut = Value::text(text.chars().take(most).collect::<String>());
        forms.extend([trimmed(cut.clone()), cut]);
    }
    forms
}

fn trimmed(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::text(text.trim()),
        other => other,
    }
}

fn fits(value: &Value, limit: Option<usize>) -> bool {
    value.as_text().is_none_or(|text| limit.is_none_or(|limit| text.chars().count() <= limit))
}

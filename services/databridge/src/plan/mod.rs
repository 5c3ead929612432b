//! What a sync or a migrate would do, without doing it: counted, with findings, samples, calls and time.

mod findings;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use databridge_config::ConfigFolder;
use databridge_model::{Fields, Op, SystemName, WouldPush};
use serde::Serialize;

use crate::follow::Story;

pub use self::findings::{ConflictGroup, Doubled, Findings, Group};

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// What was planned: `migrate gis`, `sync clio`.
    pub title: String,
    /// What was read of each collection and would be pushed to it, as `clio.matters`.
    pub collections: BTreeMap<String, Pushes>,
    /// What each system would be asked.
    pub systems: BTreeMap<SystemName, Calls>,
    /// What is out of the ordinary in what is there, and what would be done about it.
    pub findings: Findings,
    /// What waits for a person.
    pub parked: usize,
    /// Records that were read.
    pub records: u64,
}

/// What would be pushed to a collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pushes {
    /// Records read of it.
    pub read: u64,
    /// Records made.
    pub creates: u64,
    /// Pushes that change records. Two routes may each change something in one record.
    pub updates: u64,
    /// Records deleted.
    pub deletes: u64,
}

/// What a system would be asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calls {
    /// Calls that read: as many as the plan itself took.
    pub reads: u64,
    /// Calls that write.
    pub writes: u64,
    /// Contents that are fetched and sent beside these calls.
    pub contents: u64,
    /// Calls a minute that the system takes.
    pub calls_per_minute: Option<u32>,
    /// Whether the system itself has said so, and not just its file.
    pub limit_is_told: bool,
    /// How long all calls take at that limit, in seconds.
    pub seconds: Option<u64>,
}

impl Plan {
    /// Counts what a dry run told.
    pub fn of(title: &str, story: &Story, config: &ConfigFolder) -> Self {
        let pushes = distinct(&story.would_push);
        let mut plan = Self {
            title: title.to_owned(),
            findings: Findings::of(&pushes, story, config),
            parked: story.parked.len(),
            records: story.summary.records,
            ..Self::default()
        };
        for listed in &story.listed {
            let place = format!("{}.{}", listed.system, listed.collection);
            plan.collections.entry(place).or_default().read += listed.records;
            let calls = plan.systems.entry(listed.system.clone()).or_default();
            calls.reads += listed.pages;
            calls.calls_per_minute = listed.calls_per_minute.or(calls.calls_per_minute);
        }
        let mut costs = BTreeMap::new();
        for push in &pushes {
            let counts = plan.collections.entry(format!("{}.{}", push.system, push.collection)).or_default();
            *match push.op {
                Op::Create => &mut counts.creates,
                Op::Update => &mut counts.updates,
                Op::Delete => &mut counts.deletes,
            } += 1;
            costs.insert((&push.system, &push.collection), counts.clone());
            let carries = findings::content_of(push, config).is_some_and(|content| !content.set.is_null());
            plan.systems.entry(push.system.clone()).or_default().contents += u64::from(carries);
        }
        for ((system, collection), counts) in costs {
            let declared = config.systems.get(system).and_then(|file| file.collections.get(collection));
            let cost = declared.map(|it| it.cost).unwrap_or_default();
            plan.systems.entry(system.clone()).or_default().writes +=
                cost.of(counts.creates, counts.updates, counts.deletes);
        }
        for (system, calls) in &mut plan.systems {
            calls.limit_is_told = calls.calls_per_minute.is_some();
            let of_file = config.systems.get(system).and_then(|file| file.calls_per_minute);
            calls.calls_per_minute = calls.calls_per_minute.or(of_file);
            let all = calls.reads + calls.writes;
            calls.seconds = calls.calls_per_minute.map(|limit| all * 60 / u64::from(limit.max(1)));
        }
        plan
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.collections.values().all(|it| it.creates + it.updates + it.deletes == 0)
    }
}

/// The pushes, without those that set in a record what another has set there by then: such a one finds nothing to write.
fn distinct(pushes: &[WouldPush]) -> Vec<&WouldPush> {
    let mut set: BTreeMap<String, Fields> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let is_news = |push: &&WouldPush| {
        if push.op != Op::Update {
            return true;
        }
        let record = format!("{}.{}.{:?}", push.system, push.collection, push.key);
        let before = set.entry(record.clone()).or_default();
        let says_more = push.set.iter().any(|(field, value)| before.get(field) != Some(value));
        before.extend(push.set.clone());
        taken.insert(record) || says_more
    };
    pushes.iter().filter(is_news).collect()
}

#[cfg(test)]
mod tests;

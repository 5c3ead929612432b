//! What a sync or a migrate would do, without doing it: counted, with samples, calls and time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use databridge_config::ConfigFolder;
use databridge_model::{CollectionName, Key, Op, Parked, SystemName, WouldPush};
use indicatif::{HumanCount, HumanDuration};
use serde::Serialize;

use crate::follow::Story;
use crate::report;

/// So many samples of each kind are shown.
const SAMPLES: usize = 3;

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// What would be pushed to each collection, as `clio.matters`.
    pub collections: BTreeMap<String, Pushes>,
    /// What each system would be asked, beside reading.
    pub systems: BTreeMap<SystemName, Calls>,
    /// Fields that both sides changed.
    pub conflicts: usize,
    /// What waits for a person.
    pub parked: usize,
    /// Records that were read.
    pub records: u64,
}

/// What would be pushed to a collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pushes {
    /// Records made.
    pub creates: u64,
    /// Records changed.
    pub updates: u64,
    /// Records deleted.
    pub deletes: u64,
}

/// What a system would be asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calls {
    /// Calls that write.
    pub writes: u64,
    /// Calls a minute that the system takes, as its file says.
    pub calls_per_minute: Option<u32>,
    /// How long they take at that limit, in seconds.
    pub seconds: Option<u64>,
}

impl Plan {
    /// Counts what a dry run told.
    pub fn of(story: &Story, config: &ConfigFolder) -> Self {
        let mut plan = Self {
            conflicts: story.conflicts.len(),
            parked: story.parked.len(),
            records: story.summary.records,
            ..Self::default()
        };
        let mut by_place: BTreeMap<(&SystemName, &CollectionName), Pushes> = BTreeMap::new();
        for push in &story.would_push {
            let pushes = by_place.entry((&push.system, &push.collection)).or_default();
            *match push.op {
                Op::Create => &mut pushes.creates,
                Op::Update => &mut pushes.updates,
                Op::Delete => &mut pushes.deletes,
            } += 1;
        }
        for ((system, collection), pushes) in by_place {
            let file = config.systems.get(system);
            let cost =
                file.and_then(|it| it.collections.get(collection)).map(|it| it.cost).unwrap_or_default();
            let calls = plan.systems.entry(system.clone()).or_default();
            calls.writes += cost.of(pushes.creates, pushes.updates, pushes.deletes);
            calls.calls_per_minute = file.and_then(|it| it.calls_per_minute);
            plan.collections.insert(format!("{system}.{collection}"), pushes);
        }
        for calls in plan.systems.values_mut() {
            calls.seconds = calls.calls_per_minute.map(|limit| calls.writes * 60 / u64::from(limit.max(1)));
        }
        plan
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.collections.is_empty()
    }

    /// The plan in words: a table, samples, what waits for a person, and what it takes.
    pub fn text(&self, story: &Story) -> String {
        let mut text = String::new();
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!("{} records were read; nothing was written.", HumanCount(self.records)));
        if self.is_empty() {
            line("Both sides are as the routes want them: nothing would be written.".to_owned());
        } else {
            line(String::new());
            line(format!("{:<28}{:>10}{:>10}{:>10}", "", "create", "update", "delete"));
            for (name, it) in &self.collections {
                let [creates, updates, deletes] =
                    [it.creates, it.updates, it.deletes].map(|count| HumanCount(count).to_string());
                line(format!("{name:<28}{creates:>10}{updates:>10}{deletes:>10}"));
            }
            line(String::new());
            for (system, calls) in &self.systems {
                line(format!("{system}: {}", calls.text()));
            }
            line(String::new());
            for sample in samples(&story.would_push) {
                line(format!("  {}", report::would(sample)));
            }
        }
        for conflict in story.conflicts.iter().take(report::LISTED) {
            line(format!("  conflict: {}", report::conflict(conflict)));
        }
        line_of_more(&mut line, "conflicts", story.conflicts.len());
        for group in by_reason(&story.parked) {
            line(format!("  waits for a person: {group}"));
        }
        text
    }
}

fn line_of_more(line: &mut impl FnMut(String), what: &str, count: usize) {
    if count > report::LISTED {
        line(format!("  and {} more {what}", HumanCount((count - report::LISTED) as u64)));
    }
}

impl Calls {
    fn text(&self) -> String {
        let writes = HumanCount(self.writes);
        let one = if self.writes == 1 { "call" } else { "calls" };
        match (self.calls_per_minute, self.seconds) {
            (Some(limit), Some(seconds)) => format!(
                "{writes} {one} that write, {} at {limit} a minute",
                HumanDuration(Duration::from_secs(seconds))
            ),
            _ => format!("{writes} {one} that write"),
        }
    }
}

/// The first of each kind of push to each collection.
fn samples(pushes: &[WouldPush]) -> Vec<&WouldPush> {
    let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
    let first = |push: &&WouldPush| {
        let kind = (format!("{}.{}", push.system, push.collection), format!("{:?}", push.op));
        let count = taken.entry(kind).or_default();
        *count += 1;
        *count <= SAMPLES
    };
    pushes.iter().filter(first).collect()
}

/// What waits, the same reason once with the number of its records.
fn by_reason(parked: &[Parked]) -> Vec<String> {
    let mut reasons: BTreeMap<(String, &str, Option<&String>), BTreeSet<&str>> = BTreeMap::new();
    for it in parked {
        let place = format!("{}.{}", it.system, it.collection);
        let who = it.key.as_ref().map(Key::as_str).or(it.id.as_deref()).unwrap_or("?");
        reasons.entry((place, it.reason.as_str(), it.field.as_ref())).or_default().insert(who);
    }
    let line = |((place, reason, field), who): ((String, &str, Option<&String>), BTreeSet<&str>)| {
        let first = who.iter().take(SAMPLES).copied().collect::<Vec<_>>().join(", ");
        let more = who.len().saturating_sub(SAMPLES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let field = field.map(|field| format!(", {field}")).unwrap_or_default();
        format!("{place} {first}{more}{field}: {reason}")
    };
    reasons.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use databridge_model::Fields;

    use super::*;

    fn config() -> ConfigFolder {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");
        ConfigFolder::read(std::path::Path::new(folder)).unwrap()
    }

    fn push(place: &str, op: Op, number: u32) -> WouldPush {
        let (system, collection) = place.split_once('.').unwrap();
        WouldPush {
            system: system.parse().unwrap(),
            collection: collection.parse().unwrap(),
            key: Key::parse(&format!("C-{number}")),
            op,
            set: Fields::new(),
            expect: Fields::new(),
        }
    }

    fn story() -> Story {
        let matters = (0..100).map(|number| push("clio.matters", Op::Create, number));
        let documents = (0..50).map(|number| push("clio.documents", Op::Create, number));
        let rows = (0..250).map(|number| push("gis.active_litigations", Op::Update, number));
        Story { would_push: matters.chain(documents).chain(rows).collect(), ..Story::default() }
    }

    #[test]
    fn a_document_costs_two_calls_and_a_batch_of_rows_one() {
        let plan = Plan::of(&story(), &config());
        let calls = |system: &str| plan.systems[&system.parse::<SystemName>().unwrap()].clone();
        assert_eq!(calls("clio").writes, 100 + 2 * 50);
        assert_eq!(calls("gis").writes, 2);
        assert_eq!(plan.collections["clio.matters"].creates, 100);
    }

    #[test]
    fn the_time_is_that_of_the_limit_in_the_systems_file() {
        let clio: SystemName = "clio".parse().unwrap();
        assert_eq!(Plan::of(&story(), &config()).systems[&clio].seconds, Some(240));
    }

    #[test]
    fn a_few_of_each_kind_are_shown() {
        let story = story();
        let text = Plan::of(&story, &config()).text(&story);
        assert_eq!(text.matches("create clio.matters").count(), SAMPLES, "{text}");
        assert!(text.contains("4 minutes at 50 a minute"), "{text}");
    }

    #[test]
    fn where_nothing_would_be_done_it_says_so() {
        let story = Story::default();
        assert!(Plan::of(&story, &config()).text(&story).contains("nothing would be written"));
    }

    #[test]
    fn one_reason_is_told_once_with_the_number_of_its_records() {
        let parked = |number: u32| Parked {
            system: "gis".parse().unwrap(),
            collection: "active_litigations".parse().unwrap(),
            id: Some(number.to_string()),
            key: None,
            field: None,
            reason: "the record has no key".to_owned(),
        };
        let told = by_reason(&(0..7).map(parked).collect::<Vec<_>>());
        assert_eq!(told, ["gis.active_litigations 0, 1, 2 and 4 more: the record has no key"]);
    }
}

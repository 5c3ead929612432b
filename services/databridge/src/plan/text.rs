//! A plan in words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use databridge_model::{Key, Parked, WouldPush};
use indicatif::{HumanCount, HumanDuration};

use super::{Calls, ConflictGroup, Doubled, Findings, Group, Plan};
use crate::follow::Story;
use crate::report;

/// So many samples of each kind are shown.
pub(super) const SAMPLES: usize = 3;

impl Plan {
    /// The plan in words: a table, what was found, samples, what waits for a person, and what it takes.
    pub fn text(&self, story: &Story) -> String {
        let mut lines =
            vec![format!("{}: {} records were read; nothing was written.", self.title, count(self.records))];
        if self.is_empty() {
            lines.push("Both sides are as the routes want them: nothing would be written.".to_owned());
        } else {
            lines.extend(self.table());
            for (system, calls) in &self.systems {
                lines.push(format!("{system}: {}", calls.text()));
            }
            lines.push(String::new());
        }
        lines.extend(self.findings.lines().into_iter().map(|line| format!("  {line}")));
        lines.extend(samples(&story.would_push).into_iter().map(|push| format!("  {}", report::would(push))));
        for group in by_reason(&story.parked, &self.findings.doubled) {
            lines.push(format!("  waits for a person: {group}"));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn table(&self) -> Vec<String> {
        let mut lines = vec![
            String::new(),
            format!("{:<28}{:>10}{:>10}{:>10}{:>10}", "", "read", "create", "update", "delete"),
        ];
        for (name, it) in &self.collections {
            let [read, creates, updates, deletes] =
                [it.read, it.creates, it.updates, it.deletes].map(|number| count(number).to_string());
            lines.push(format!("{name:<28}{read:>10}{creates:>10}{updates:>10}{deletes:>10}"));
        }
        lines.push(String::new());
        lines
    }
}

impl Calls {
    pub(super) fn text(&self) -> String {
        let all = report::counted(self.reads + self.writes, "call");
        let of_them = format!("{} that read, {} that write", count(self.reads), count(self.writes));
        let time = match (self.calls_per_minute, self.seconds) {
            (Some(limit), Some(seconds)) => {
                let by = if self.limit_is_told { "as it says now" } else { "as its file says" };
                format!(", {} at {limit} a minute, {by}", HumanDuration(Duration::from_secs(seconds)))
            }
            _ => String::new(),
        };
        let beside = match self.contents {
            0 => String::new(),
            some => format!("; beside them the bytes of {} go over", report::counted(some, "content")),
        };
        format!("{all} ({of_them}){time}{beside}")
    }
}

impl Findings {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut each = |groups: &[Group], what: &dyn Fn(&Group) -> String| {
            lines.extend(groups.iter().map(|group| group.line(&what(group))));
        };
        each(&self.exchanged, &|it| {
            let fields = it.fields.join(" and ");
            format!("{} the values of {fields} exchanged; each is put right", it.has())
        });
        each(&self.no_degrees, &|it| {
            let fields = it.fields.join(" and ");
            format!(
                "{} no degrees in {fields} but numbers of another kind; each gets the degrees of its place",
                it.has()
            )
        });
        each(&self.other_content, &|it| {
            let whose = if it.records.len() == 1 { "its" } else { "their" };
            format!("{} other bytes than {whose} source; each gets those of its source", it.has())
        });
        each(&self.no_content, &|it| {
            let was = if it.records.len() == 1 { "was" } else { "were" };
            format!("{was} begun and {} no bytes; each is finished", it.has())
        });
        each(&self.filled, &|it| format!("{} {} empty, which is filled", it.has(), it.fields.join(" and ")));
        each(&self.replaced, &|it| {
            format!("{} another {} now, which is replaced", it.has(), it.fields.join(" and "))
        });
        each(&self.emptied, &|it| format!("{} {}, which is emptied", it.has(), it.fields.join(" and ")));
        lines.extend(self.doubled.iter().take(report::LISTED).map(Doubled::line));
        if let Some(more) = self.doubled.len().checked_sub(report::LISTED).filter(|more| *more > 0) {
            lines.push(format!("and {} more keys that several records have", count(more as u64)));
        }
        lines.extend(self.conflicts.iter().map(ConflictGroup::line));
        lines
    }
}

impl Group {
    /// How many, what, and which are the first of them.
    fn line(&self, what: &str) -> String {
        let number = count(self.records.len() as u64);
        let first = first(self.records.iter().map(String::as_str));
        format!("{}: {number} {what} ({first})", self.collection)
    }

    fn has(&self) -> &'static str {
        if self.records.len() == 1 { "has" } else { "have" }
    }
}

impl Doubled {
    fn line(&self) -> String {
        let ids: Vec<_> = self.ids.iter().map(String::as_str).collect();
        format!(
            "{}: {} records have the key {} (ids {}); none of them is touched until one has it alone: give the others \
             their own, or delete them",
            self.collection,
            ids.len(),
            self.key,
            ids.join(", ")
        )
    }
}

impl ConflictGroup {
    fn line(&self) -> String {
        let samples = self.conflicts.iter().take(SAMPLES).map(|it| {
            let key = it.link.split_once('.').map_or(it.link.as_str(), |(_, key)| key);
            format!("{key} `{}` over `{}`", it.winner.shortened(), it.loser.shortened())
        });
        let more = self.conflicts.len().saturating_sub(SAMPLES);
        let more = if more > 0 { format!(" and {} more", count(more as u64)) } else { String::new() };
        format!(
            "{}: {} in {}: {} wins: {}{more}",
            self.collection,
            report::counted(self.conflicts.len() as u64, "conflict"),
            self.field,
            self.won,
            samples.collect::<Vec<_>>().join("; ")
        )
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

/// What waits, the same reason once with the number of its records; without those told as doubled.
pub(super) fn by_reason(parked: &[Parked], doubled: &[Doubled]) -> Vec<String> {
    let mut reasons: BTreeMap<(String, &str, Option<&String>), BTreeSet<&str>> = BTreeMap::new();
    for it in parked {
        let place = format!("{}.{}", it.system, it.collection);
        if doubled.iter().any(|double| double.collection == place && Some(&double.key) == it.key.as_ref()) {
            continue;
        }
        // What holds for a whole collection has neither key nor id.
        let who = it.key.as_ref().map(Key::as_str).or(it.id.as_deref()).unwrap_or_default();
        reasons.entry((place, it.reason.as_str(), it.field.as_ref())).or_default().insert(who);
    }
    let line = |((place, reason, field), who): ((String, &str, Option<&String>), BTreeSet<&str>)| {
        let field = field.map(|field| format!(", {field}")).unwrap_or_default();
        let place = format!("{place} {}", first(who.into_iter()));
        format!("{}{field}: {reason}", place.trim_end())
    };
    reasons.into_iter().map(line).collect()
}

/// The first few, and the number of the others.
fn first<'a>(all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = all.len().saturating_sub(SAMPLES);
    let more = if more > 0 { format!(" and {} more", count(more as u64)) } else { String::new() };
    format!("{}{more}", all.take(SAMPLES).collect::<Vec<_>>().join(", "))
}

fn count(number: u64) -> HumanCount {
    HumanCount(number)
}

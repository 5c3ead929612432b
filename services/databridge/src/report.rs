//! What a run came to, in words.

use databridge_model::{Key, Op, Parked, RunSummary, UnderWay, Waiting};
use indicatif::HumanCount;

use crate::follow::Story;
use crate::say::say;

/// How many of a kind are listed before the rest is only counted.
pub(crate) const LISTED: usize = 20;

/// Prints a run's story; whether all went well.
pub fn print(title: &str, story: &Story) -> bool {
    let s = &story.summary;
    say!("{title}: {}", counts(s));
    list("would write", story.would_push.iter().map(would));
    list("conflict", story.conflicts.iter().map(conflict));
    list("waits for a person", story.parked.iter().map(parked));
    for error in &s.errors {
        say!("  broke off: {error}");
    }
    s.errors.is_empty() && s.failed == 0
}

/// A conflict in one line.
pub(crate) fn conflict(c: &databridge_model::Conflict) -> String {
    format!(
        "{} {}: {} wins with `{}` over `{}`",
        c.link,
        c.field,
        c.won,
        c.winner.shortened(),
        c.loser.shortened()
    )
}

/// What a run did, in one line: what is nought is not told.
pub fn counts(summary: &RunSummary) -> String {
    let s = summary;
    let mut told = vec![format!("{} {} read", HumanCount(s.records), one_or_many(s.records, "record"))];
    if s.pushes == 0 && s.under_way.is_empty() {
        told.push("nothing to write".to_owned());
    }
    for (count, what) in [
        (s.written, "written"),
        (s.unchanged, "as wanted already"),
        (s.failed, "failed"),
        (s.conflicts, one_or_many(s.conflicts, "conflict").as_str()),
    ] {
        if count > 0 {
            told.push(format!("{} {what}", HumanCount(count)));
        }
    }
    told.extend(s.under_way.iter().map(under_way));
    match s.parked {
        0 => {}
        1 => told.push("1 waits for a person".to_owned()),
        several => told.push(format!("{} wait for a person", HumanCount(several))),
    }
    told.join(", ")
}

/// Records that another run has under way, in one line.
fn under_way(under_way: &UnderWay) -> String {
    let from = match under_way.run {
        Some(run) => format!("from an earlier run (run {run})"),
        None => "already, from no run".to_owned(),
    };
    format!("{} under way {from}", HumanCount(under_way.records))
}

/// What waits, and for what, in one line.
pub fn waiting(waiting: &Waiting) -> String {
    let pushes = match waiting.pushes {
        0 => return format!("{} waits to be read: {}", waiting.system, waiting.reason),
        1 => "1 push".to_owned(),
        several => format!("{} pushes", HumanCount(several)),
    };
    let wait = if waiting.pushes == 1 { "waits" } else { "wait" };
    format!("{pushes} to {} {wait}: {}", waiting.system, waiting.reason)
}

/// An error and its causes in one line. Many errors tell their cause in their own text: what is told is not repeated.
pub fn error(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// A number and what there is of it: `1 call`, `2 calls`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{} {}", HumanCount(count), one_or_many(count, what))
}

fn one_or_many(count: u64, what: &str) -> String {
    if count == 1 { what.to_owned() } else { format!("{what}s") }
}

/// A parked record in one line.
pub fn parked(parked: &Parked) -> String {
    let who = match (&parked.key, &parked.id) {
        (Some(key), _) => format!(" {key}"),
        (None, Some(id)) => format!(" id {id}"),
        // It is the whole collection's.
        (None, None) => String::new(),
    };
    let field = parked.field.as_ref().map(|field| format!(", {field}")).unwrap_or_default();
    format!("{}.{}{who}{field}: {}", parked.system, parked.collection, parked.reason)
}

pub(crate) fn would(push: &databridge_model::WouldPush) -> String {
    let what = match push.op {
        Op::Create => "create",
        Op::Update => "update",
        Op::Delete => "delete",
    };
    let set = push.set.iter().map(|(field, value)| format!("{field} = `{}`", value.shortened()));
    format!(
        "{what} {}.{} {}: {}",
        push.system,
        push.collection,
        push.key.as_ref().map_or("", Key::as_str),
        set.collect::<Vec<_>>().join(", ")
    )
}

/// Prints lines of a kind, the first of them and the number of the others.
pub(crate) fn list(what: &str, lines: impl ExactSizeIterator<Item = String>) {
    let count = lines.len();
    for line in lines.take(LISTED) {
        say!("  {what}: {line}");
    }
    if count > LISTED {
        say!("  {what}: {} more", HumanCount((count - LISTED) as u64));
    }
}

#[cfg(test)]
mod tests {
    use databridge_model::RunId;

    use super::*;

    fn under_way_for(run: Option<u64>, records: u64) -> UnderWay {
        UnderWay { run: run.map(RunId), records }
    }

    #[test]
    fn of_records_that_are_under_way_it_is_not_said_that_there_is_nothing_to_write() {
        let nothing = RunSummary { records: 60, ..RunSummary::default() };
        assert_eq!(counts(&nothing), "60 records read, nothing to write");
        let all = RunSummary { under_way: vec![under_way_for(Some(12), 60)], ..nothing };
        assert_eq!(counts(&all), "60 records read, 60 under way from an earlier run (run 12)");
        let some = RunSummary {
            records: 1000,
            pushes: 16,
            written: 16,
            under_way: vec![under_way_for(Some(12), 983), under_way_for(None, 1)],
            ..RunSummary::default()
        };
        assert_eq!(
            counts(&some),
            "1,000 records read, 16 written, 983 under way from an earlier run (run 12), 1 under way already, from no run"
        );
    }

    #[test]
    fn a_parked_record_is_named_by_its_key_or_else_its_id_and_a_lost_field_by_itself() {
        let record = |id: Option<&str>, key: Option<&str>, field: Option<&str>| {
            parked(&Parked {
                system: "gis".parse().unwrap(),
                collection: "cases".parse().unwrap(),
                id: id.map(ToOwned::to_owned),
                key: key.and_then(Key::parse),
                field: field.map(ToOwned::to_owned),
                reason: "why".to_owned(),
            })
        };
        assert_eq!(record(Some("2"), Some("E-1"), None), "gis.cases E-1: why");
        assert_eq!(record(Some("2"), Some("E-1"), Some("Status")), "gis.cases E-1, Status: why");
        assert_eq!(record(Some("2"), None, Some("Key")), "gis.cases id 2, Key: why");
        assert_eq!(record(None, None, Some("Key")), "gis.cases, Key: why");
    }

    #[test]
    fn a_cause_that_is_told_is_not_told_again() {
        let refused = std::io::Error::other("Connection refused");
        let told = anyhow::Error::from(refused).context("no NATS: Connection refused").context("no start");
        assert_eq!(error(&told), "no start: no NATS: Connection refused");
    }
}

//! What a run came to, in words.

use databridge_model::{Key, Op, Parked, RunSummary};
use indicatif::HumanCount;

use crate::follow::Story;

/// How many of a kind are listed before the rest is only counted.
const LISTED: usize = 20;

/// Prints a run's story; whether all went well.
pub fn print(title: &str, story: &Story) -> bool {
    let s = &story.summary;
    println!("{title}: {}", counts(s));
    list("would write", story.would_push.iter().map(would));
    list(
        "conflict",
        story.conflicts.iter().map(|c| {
            format!(
                "{} {}: {} wins with `{}` over `{}`",
                c.link,
                c.field,
                c.won,
                c.winner.shortened(),
                c.loser.shortened()
            )
        }),
    );
    list("waits for a person", story.parked.iter().map(parked));
    for error in &s.errors {
        println!("  broke off: {error}");
    }
    s.errors.is_empty() && s.failed == 0
}

/// What a run did, in one line: what is nought is not told.
pub fn counts(summary: &RunSummary) -> String {
    let s = summary;
    let mut told = vec![format!("{} {} read", HumanCount(s.records), one_or_many(s.records, "record"))];
    if s.pushes == 0 {
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
    match s.parked {
        0 => {}
        1 => told.push("1 waits for a person".to_owned()),
        several => told.push(format!("{} wait for a person", HumanCount(several))),
    }
    told.join(", ")
}

fn one_or_many(count: u64, what: &str) -> String {
    if count == 1 { what.to_owned() } else { format!("{what}s") }
}

/// A parked record in one line.
pub fn parked(parked: &Parked) -> String {
    let who = parked
        .key
        .as_ref()
        .map_or_else(|| format!("id {}", parked.id.as_deref().unwrap_or("?")), |key| key.as_str().to_owned());
    let field = parked.field.as_ref().map(|field| format!(", {field}")).unwrap_or_default();
    format!("{}.{} {who}{field}: {}", parked.system, parked.collection, parked.reason)
}

fn would(push: &databridge_model::WouldPush) -> String {
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
        println!("  {what}: {line}");
    }
    if count > LISTED {
        println!("  {what}: {} more", HumanCount((count - LISTED) as u64));
    }
}

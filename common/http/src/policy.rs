//! What follows from a failure of each class: for whoever reads, for a push, for a person.
//!
//! This is the one place. The table in docs/OPERATING.md is written by [`table`], and a test holds one against the other.

use std::time::Duration;

use databridge_model::{FailureClass, OutcomeResult};

/// The policy of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of a read.
    pub read: OnRead,
    /// What becomes of a push.
    pub push: OnPush,
    /// How long pushes may wait for such a reason before a person is told; none where they do not wait.
    pub told_after: Option<Duration>,
}

/// What becomes of a read that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRead {
    /// It is made again after a growing wait, up to the attempts of [`crate::RetryPolicy`].
    Again,
    /// It waits until the system takes calls again, which is no attempt.
    Waits,
    /// Its listing breaks off with the reason; the next sync goes on where it stood.
    BreaksOff,
}

/// What becomes of a push that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPush {
    /// It comes again after a growing wait, up to [`MOST_ATTEMPTS`] times, and what an earlier attempt did is looked up
    /// first. Then its outcome is `unknown`, and the next push to the record looks first.
    LooksUpAndTriesAgain,
    /// Nothing was done: it waits, by itself this long where the system does not say, which is no attempt.
    Waits(Duration),
    /// It is answered for good.
    Ends(OutcomeResult),
}

/// So often a push is begun before its outcome is `unknown`.
pub const MOST_ATTEMPTS: u32 = 6;

/// A limit of calls that is used up for less than this is the ordinary way of things: Clio's window is a minute.
pub const ORDINARY_LIMIT: Duration = Duration::from_secs(75);

/// A fault of a moment is none to tell of.
const MOMENT: Duration = Duration::from_secs(5);

/// The policy of a class.
pub const fn policy(class: FailureClass) -> Policy {
    match class {
        FailureClass::Transient => {
            Policy { read: OnRead::Again, push: OnPush::LooksUpAndTriesAgain, told_after: Some(MOMENT) }
        }
        FailureClass::Limited => Policy {
            read: OnRead::Waits,
            push: OnPush::Waits(Duration::from_secs(5)),
            told_after: Some(ORDINARY_LIMIT),
        },
        FailureClass::Unauthorised => Policy {
            read: OnRead::BreaksOff,
            push: OnPush::Waits(Duration::from_secs(15)),
            told_after: Some(Duration::from_secs(1)),
        },
        FailureClass::Conflict => {
            Policy { read: OnRead::BreaksOff, push: OnPush::Ends(OutcomeResult::Stale), told_after: None }
        }
        FailureClass::Invalid => {
            Policy { read: OnRead::BreaksOff, push: OnPush::Ends(OutcomeResult::Refused), told_after: None }
        }
        FailureClass::Gone => {
            Policy { read: OnRead::BreaksOff, push: OnPush::Ends(OutcomeResult::Gone), told_after: None }
        }
        FailureClass::Unknown => {
            Policy { read: OnRead::BreaksOff, push: OnPush::LooksUpAndTriesAgain, told_after: Some(MOMENT) }
        }
    }
}

/// All classes, each with what it is, in the order of the table.
const CLASSES: [(FailureClass, &str, &str); 7] = [
    (
        FailureClass::Transient,
        "transient",
        "a fault of the moment: 5xx to a read, no connection, half an answer",
    ),
    (FailureClass::Limited, "limited", "the limit of calls is used up: 429, Retry-After, our own budget"),
    (
        FailureClass::Unauthorised,
        "unauthorised",
        "the sign-in is not accepted, and a new token was not either",
    ),
    (FailureClass::Conflict, "conflict", "the record has changed since it was read: 412, 409, another value"),
    (
        FailureClass::Invalid,
        "invalid",
        "it will never be taken so: 400, 422, a permission that Clio does not give",
    ),
    (FailureClass::Gone, "gone", "the record is not there: 404 of a record"),
    (FailureClass::Unknown, "unknown", "a write whose answer was lost: a time-out, 5xx, a broken connection"),
];

/// The policy of all classes as the docs have it.
pub fn table() -> String {
    let mut lines = vec![
        "| class | what it is | a read | a push | pushes that wait are told of after |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for (class, name, what) in CLASSES {
        let Policy { read, push, told_after } = policy(class);
        let read = match read {
            OnRead::Again => "made again, four times in all",
            OnRead::Waits => "waits, which is no attempt",
            OnRead::BreaksOff => "breaks off with the reason; the next sync goes on there",
        };
        let push = match push {
            OnPush::LooksUpAndTriesAgain => format!(
                "looked up and tried again, {MOST_ATTEMPTS} times in all; then `unknown`, and the next one looks first"
            ),
            OnPush::Waits(time) => {
                format!("waits as long as the system says, or {} s; no attempt", time.as_secs())
            }
            OnPush::Ends(result) => format!("ends `{}`: {}", word(result), what_follows(result)),
        };
        let told = told_after.map_or_else(|| "none waits".to_owned(), |time| format!("{} s", time.as_secs()));
        lines.push(format!("| {name} | {what} | {read} | {push} | {told} |"));
    }
    lines.join("\n")
}

fn word(result: OutcomeResult) -> String {
    let word = serde_json::to_value(result).ok();
    word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn what_follows(result: OutcomeResult) -> &'static str {
    match result {
        OutcomeResult::Stale => "the record is read again and decided anew",
        OutcomeResult::Refused => "the field or record waits for a person, and the same is not pushed again",
        OutcomeResult::Gone => "a person is told; a complete listing decides what becomes of its partner",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_TABLES=1 cargo test -p databridge-http policy` writes it anew.
    #[test]
    fn the_table_in_the_docs_is_that_of_the_code() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATING.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let head = "| class | what it is |";
        let (before, rest) = text.split_once(head).expect("the table of the classes of failure");
        let (rows, after) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let wanted = table();
        if std::env::var_os("UPDATE_TABLES").is_some() {
            std::fs::write(&path, format!("{before}{wanted}\n\n{after}")).unwrap();
        } else {
            assert_eq!(format!("{head}{rows}"), wanted);
        }
    }

    #[test]
    fn what_may_have_been_done_is_looked_up_and_never_repeated_blindly() {
        for class in [FailureClass::Transient, FailureClass::Unknown] {
            assert_eq!(policy(class).push, OnPush::LooksUpAndTriesAgain);
        }
        assert_ne!(
            policy(FailureClass::Unknown).read,
            OnRead::Again,
            "what writes is not repeated as a read is"
        );
    }
}

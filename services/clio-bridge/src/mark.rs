//! The marks of pushes, by which a record is found again that may have been made.

use databridge_bridge::PushTask;
use databridge_model::PushId;
use sha2::{Digest, Sha256};

/// A mark is no longer than this, so that it fits where Clio keeps it.
const LONGEST: usize = 80;

/// How a mark begins in a subject line.
const BEGINS: &str = "[DB ";

/// The mark of a push in a text: `litigation_notes.C-1.3`. One that would be too long, or could not be told from the text
/// around it, is hashed.
fn mark(push: &PushId) -> String {
    let plain = format!("{}.{}", push.link, push.counter);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-=".contains(&b);
    if plain.len() <= LONGEST && plain.bytes().all(is_plain) { plain } else { hashed(&plain) }
}

/// The push as the value of an external property: its id, hashed where that would be too long.
pub(crate) fn property_value(push: &PushId) -> String {
    let id = push.to_string();
    if id.len() <= LONGEST { id } else { hashed(&id) }
}

fn hashed(text: &str) -> String {
    format!("h{}", hex::encode(Sha256::digest(text)))
}

/// The pushes that may have made what a push is to make: those in doubt, and itself.
pub(crate) fn attempts<'a>(task: &'a PushTask, id: &'a PushId) -> Vec<&'a PushId> {
    let mut pushes: Vec<&PushId> = vec![id];
    if let Some(earlier) = &task.earlier {
        pushes.extend(earlier.others.iter().chain([&earlier.push]).filter(|push| *push != id));
    }
    pushes
}

/// The subject line of a push's note. It is cut where it would be longer than `most` characters, the mark never.
pub(crate) fn with_mark(subject: Option<&str>, push: &PushId, most: Option<usize>) -> String {
    let mark = format!("{BEGINS}{}]", mark(push));
    let Some(subject) = subject else { return mark };
    let room = most.map_or(usize::MAX, |most| most.saturating_sub(mark.len() + 1));
    let subject: String = subject.chars().take(room).collect();
    format!("{} {mark}", subject.trim_end()).trim_start().to_owned()
}

/// A subject line without its mark.
pub(crate) fn without_mark(subject: &str) -> &str {
    cut(subject).map_or(subject, |(before, _)| before.trim_end())
}

/// The mark of a subject line.
pub(crate) fn mark_of(subject: &str) -> Option<&str> {
    cut(subject).map(|(_, mark)| mark)
}

fn cut(subject: &str) -> Option<(&str, &str)> {
    let marked = subject.trim_end().strip_suffix(']')?.rsplit_once(BEGINS)?;
    Some(marked).filter(|(_, mark)| !mark.is_empty() && !mark.contains([' ', '[', ']']))
}

/// Whether a subject line bears the mark of a push.
pub(crate) fn bears_mark(subject: &str, push: &PushId) -> bool {
    subject.trim_end().ends_with(&format!("{BEGINS}{}]", mark(push)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(link: &str) -> PushId {
        PushId { link: link.to_owned(), counter: 3 }
    }

    #[test]
    fn a_marked_subject_is_told_by_its_push_and_shown_without() {
        let push = push("litigation_notes.C-1");
        let subject = with_mark(Some("Board up"), &push, None);
        assert_eq!(subject, "Board up [DB litigation_notes.C-1.3]");
        assert!(bears_mark(&subject, &push));
        assert!(!bears_mark(&subject, &PushId { counter: 13, ..push.clone() }));
        assert_eq!(without_mark(&subject), "Board up");
        assert_eq!(without_mark(&with_mark(None, &push, None)), "");
    }

    #[test]
    fn a_long_subject_is_cut_and_its_mark_is_not() {
        let push = push(&"x".repeat(200));
        let subject = with_mark(Some(&"a".repeat(300)), &push, Some(255));
        assert_eq!(subject.chars().count(), 255);
        assert!(bears_mark(&subject, &push));
    }

    #[test]
    fn what_is_no_mark_stays() {
        for subject in ["Call [DB", "See [DB 1] there", "[DB a b]", "Roof [later]", "[DB ]"] {
            assert_eq!(without_mark(subject), subject);
        }
    }
}

//! The body of the fuzz target `dead_letters`. Nothing of the product depends on it.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use databridge_model::{DeadLetter, PushId, PushRequest, decode};

use crate::dead::{body_of, read, readable};
use crate::{Corpse, DeadError, names};

/// A message of the stream DEAD, and the body with which a person mends it behind an empty line.
pub fn dead_letters(data: &[u8]) {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (payload, mended) = data.split_at_checked(end).unwrap_or((data, b""));
    let buried = read(7, "dead.push.clio.matters.E-1".to_owned(), 0, payload);
    match buried.what {
        Corpse::Letter(letter) => {
            is_replayed_as_it_was(&letter);
            let mended = String::from_utf8_lossy(mended);
            if let Err(error) = readable(&letter.subject, &mended) {
                assert!(error.to_string().len() <= 2500, "an error of {} bytes", error.to_string().len());
            }
        }
        Corpse::Unreadable(why) => assert!(why.starts_with("a dead letter") && why.len() <= 2500, "{why}"),
        Corpse::Advisory(text) => assert_eq!(text, "", "it is no advisory"),
    }
    let _advisory = read(7, "$JS.EVENT.ADVISORY.X".to_owned(), i128::MAX, payload);
}

fn is_replayed_as_it_was(letter: &DeadLetter) {
    let body = match body_of(letter, 7) {
        Ok(body) => body,
        Err(DeadError::NoBody(7)) => return assert_eq!((&letter.body, &letter.body_base64), (&None, &None)),
        Err(error) => return assert!(matches!(error, DeadError::NoLetter(7)), "{error}"),
    };
    let Some(text) = &letter.body else { return };
    if body == text.as_bytes() {
        return;
    }
    // A person's push gets the id by which a second copy is known, and nothing else of it changes.
    assert_eq!(letter.stream, names::PUSH);
    let push = |body: &[u8]| decode::<PushRequest>("a push request", body);
    let expected = push(text.as_bytes())
        .map(|push| PushRequest { push: Some(PushId::of_person(letter.sequence)), ..push });
    assert!(expected.is_ok() && expected == push(&body), "{text}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_has_kept_of_dead_letters_passes() {
        corpus::replay("dead_letters", super::dead_letters);
    }
}

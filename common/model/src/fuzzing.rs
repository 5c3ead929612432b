//! The bodies of the fuzz targets `messages`, and `keys_and_values`. Nothing of the product depends on them.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use std::fmt::Debug;

use chrono::DateTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::subject::{self, Lane};
use crate::{
    Audit, ContentReply, ContentRequest, DeadLetter, FieldType, Fields, Key, KeyToken, Name, Outcome,
    PullResult, PushId, PushRequest, RunEvent, SyncRequest, TokenReply, TokenRequest, Value, decode,
};

/// A person reads no longer error; and with the message's own body it must fit into a dead letter.
const LONGEST_ERROR: usize = 2000;

/// A body, read as each kind of message.
pub fn messages(body: &[u8]) {
    message::<SyncRequest>("a sync request", body);
    message::<PullResult>("a pull result", body);
    message::<PushRequest>("a push request", body);
    message::<Outcome>("an outcome", body);
    message::<DeadLetter>("a dead letter", body);
    message::<Audit>("what somebody did", body);
    message::<ContentRequest>("a request for a content", body);
    message::<ContentReply>("a reply about a content", body);
    message::<TokenRequest>("a token request", body);
    message::<TokenReply>("a token reply", body);
    for event in ["listed", "conflict", "would_push", "parked", "waiting", "ended", "rumour"] {
        checked(|body| RunEvent::decode(event, body), "", body);
    }
}

fn message<T: Serialize + DeserializeOwned + PartialEq + Debug>(what: &'static str, body: &[u8]) {
    checked(|body| decode::<T>(what, body), what, body);
}

/// What is read and written again reads as the same; an error says what was expected, and is short.
fn checked<T, E>(read: impl Fn(&[u8]) -> Result<T, E>, what: &str, body: &[u8])
where
    T: Serialize + PartialEq + Debug,
    E: std::error::Error + PartialEq,
{
    match read(body) {
        Ok(message) => {
            let written = serde_json::to_vec(&message).unwrap_or_default();
            assert_eq!(read(&written).as_ref(), Ok(&message), "written and read again");
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with(what), "{told}");
            assert!(told.len() <= LONGEST_ERROR, "an error of {} bytes about {what}", told.len());
        }
    }
}

/// Two texts, the first line and the rest, as keys and as values of every type.
pub fn keys_and_values(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    keys(one, other);
    names(one);
    for kind in [
        FieldType::Bool,
        FieldType::Int,
        FieldType::Decimal,
        FieldType::Text,
        FieldType::Date,
        FieldType::Instant,
        FieldType::Point,
        FieldType::Ref,
    ] {
        let canonical: Vec<Value> = [one, other].iter().flat_map(|text| values(&kind, text)).collect();
        for value in &canonical {
            let equal = canonical.iter().filter(|it| *it == value);
            assert!(equal.map(json).all(|it| it == json(value)), "equal values have one form: {value:?}");
        }
    }
}

fn keys(one: &str, other: &str) {
    let tokens = |text: &str| (Key::parse(text).map(|key| (key.token(), key)), KeyToken::of(None, text));
    let ((of_one, id_of_one), (of_other, id_of_other)) = (tokens(one), tokens(other));
    for token in of_one.iter().map(|(token, _)| token).chain([&id_of_one]) {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-=".contains(&b);
        assert!(token.as_str().bytes().all(allowed) && (1..=120).contains(&token.as_str().len()), "{token}");
    }
    if let (Some((token, key)), Some((other_token, other_key))) = (&of_one, &of_other) {
        assert_eq!(token == other_token, key == other_key, "{key} and {other_key}");
    }
    assert_eq!(id_of_one == id_of_other, one == other, "{one} and {other}");
    if let Some((token, key)) = &of_one {
        assert_eq!(key.as_str(), key.as_str().trim());
        assert!(*token != id_of_one && *token != id_of_other, "a key's token is no id's: {token}");
        assert_eq!(token.id(), None, "{token}");
        let is_hashed = token.as_str().starts_with("=h");
        assert!(is_hashed || crate::key::decode(token.as_str()).as_deref() == Some(key.as_str()), "{token}");
        on_subjects(token);
    }
    match id_of_one.id() {
        Some(id) => assert_eq!(id, one),
        None => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
            let encoded: usize = one.bytes().map(|b| if plain(b) { 1 } else { 3 }).sum();
            assert!(encoded > 118, "only a long id is hashed: {one}");
        }
    }
    // What others put into a subject need be nothing of ours.
    let _id = KeyToken::from_subject(one).id();
    if let Ok(id) = PushId::try_from(one.to_owned()) {
        assert_eq!(PushId::try_from(id.to_string()), Ok(id));
    }
}

fn on_subjects(token: &KeyToken) {
    let (Ok(system), Ok(collection)) = (Name::parse("clio"), Name::parse("matters")) else { return };
    let parts = Some(("clio", "matters", token.as_str()));
    assert_eq!(subject::record_parts(&subject::pull(&system, &collection, token), 1), parts);
    let push = subject::push(Lane::Bulk, &system, &collection, token);
    assert_eq!((subject::record_parts(&push, 2), Lane::of_push(&push)), (parts, Some(Lane::Bulk)));
}

fn names(text: &str) {
    match Name::parse(text) {
        Ok(name) => {
            assert!(name.as_str() == text && !text.contains(['.', '*', '>', ' ']) && text.len() <= 60);
        }
        Err(error) => assert!(error.to_string().len() <= LONGEST_ERROR, "a long error about a name"),
    }
    let dead = subject::dead("push", Some(text), None, Some(text));
    assert_eq!(dead.split('.').count(), 5, "{dead}");
    assert!(!dead.contains(['*', '>', ' ', '\r', '\n']), "{dead}");
}

/// The canonical forms of a text, and of the JSON value that it may be.
fn values(kind: &FieldType, text: &str) -> Vec<Value> {
    let plain = Value::Text(text.to_owned());
    let read = serde_json::from_str::<Value>(text).ok();
    let mut forms = Vec::new();
    for value in [Some(plain), read].into_iter().flatten() {
        match kind.canonical(value.clone()) {
            Ok(canonical) => {
                is_canonical(kind, &value, &canonical);
                forms.push(canonical);
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.ends_with(&kind.to_string()) && told.len() <= LONGEST_ERROR, "{told}");
            }
        }
    }
    forms
}

fn is_canonical(kind: &FieldType, value: &Value, canonical: &Value) {
    assert_eq!(kind.canonical(canonical.clone()).as_ref(), Ok(canonical), "{kind} of {value:?}");
    assert!(kind.may_normalise(canonical, canonical), "{canonical:?} as {kind}");
    let fields = Fields::from([("f".to_owned(), canonical.clone())]);
    let written = serde_json::to_vec(&fields).unwrap_or_default();
    assert_eq!(decode::<Fields>("fields", &written).as_ref(), Ok(&fields), "as JSON");
    let (Some(text), Some(form)) = (value.as_text(), canonical.as_text()) else { return };
    match kind {
        FieldType::Decimal => {
            let (number, of_form) = (text.trim().parse::<f64>(), form.parse::<f64>());
            assert!(number.is_ok() && number == of_form, "{form} is not {text}");
            assert!(is_plain_decimal(form), "{form} has another form, too");
        }
        FieldType::Instant => {
            let at = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis());
            assert!(at(text).is_some() && at(text) == at(form), "{form} is not {text}");
            let is_short = form.len() == "2026-11-20T15:00:00Z".len();
            let has_milliseconds = form.len() == "2026-11-20T15:00:00.250Z".len() && !form.contains(".000Z");
            assert!(form.ends_with('Z') && (is_short || has_milliseconds), "{form} has another form, too");
        }
        FieldType::Date => assert_eq!(form.len(), "2026-11-20".len(), "{form}"),
        FieldType::Text | FieldType::Ref => assert_eq!(text, form),
        _ => {}
    }
}

/// Whether a decimal has no zeros but those that it needs, no sign of a zero and no exponent.
fn is_plain_decimal(form: &str) -> bool {
    let digits = form.strip_prefix('-').unwrap_or(form);
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    are_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(|fraction| are_digits(fraction) && !fraction.ends_with('0'))
        && form != "-0"
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn what_fuzzing_has_kept_of_messages_passes() {
        corpus::replay("messages", super::messages);
    }

    #[test]
    fn what_fuzzing_has_kept_of_keys_and_values_passes() {
        corpus::replay("keys_and_values", super::keys_and_values);
    }

    /// Of keys: what stands in subjects, how long they may be, blanks, and any text.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Za-z0-9_.=>* /-]{0,12}",
            "[ =.a]{0,130}",
            "(h[0-9a-f]{62,66}|=i[a-z]{0,4})",
            ".{0,60}"
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn each_key_has_one_token_of_its_own_which_tells_it_again(one in text(), other in text()) {
            super::keys(&one, &other);
        }
    }
}

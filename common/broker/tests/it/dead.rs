//! Dead letters, dealt with by a person.

use databridge_broker::{Corpse, DeadError, DeadLetters, Envelope, Filter, names};
use databridge_model::{Audit, DeadLetter, Key, PushId, PushRequest};
use serde_json::json;

use crate::office::Office;

/// A push that a person had written wrongly, as its bridge buried it.
fn letter(body: Option<&str>) -> DeadLetter {
    DeadLetter {
        subject: "push.live.clio.matters.E-1".to_owned(),
        stream: names::PUSH.to_owned(),
        sequence: 7,
        body: body.map(str::to_owned),
        body_base64: None,
        error: "unknown field `sett`".to_owned(),
        attempts: Vec::new(),
    }
}

const READABLE: &str = r#"{"op":"update","set":{"Location":"1 Beale St"},"why":"by hand"}"#;

async fn buried(office: &Office, subject: &str, letter: &DeadLetter) -> u64 {
    office.broker.publish(subject.to_owned(), letter, &Envelope::default()).await.unwrap()
}

async fn letters(office: &Office) -> DeadLetters {
    DeadLetters::open(&office.broker, "Ann@desk").await.unwrap()
}

/// What the audit holds: action, about, more.
async fn audited(office: &Office) -> Vec<(String, String, String)> {
    let stream = office.broker.jetstream().get_stream(names::AUDIT).await.unwrap();
    let mut found = Vec::new();
    for sequence in 1..=stream.get_info().await.unwrap().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let audit: Audit = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(audit.by, "Ann@desk");
        found.push((audit.action, audit.about, audit.more.unwrap_or_default()));
    }
    found
}

#[tokio::test]
async fn they_are_listed_by_stage_system_collection_key_and_reason() {
    let office = Office::open().await;
    let first = buried(&office, "dead.push.clio.matters.E-1", &letter(Some("{}"))).await;
    let other = DeadLetter { error: "the key is too long".to_owned(), ..letter(Some("{}")) };
    let second = buried(&office, "dead.pull.gis.cases.E-2", &other).await;
    let advisory = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.PUSH.clio-live";
    office.broker.jetstream().publish(advisory, r#"{"reason":"x"}"#.into()).await.unwrap().await.unwrap();
    let letters = letters(&office).await;
    let found = async |filter: Filter| {
        letters.all(&filter).await.unwrap().iter().map(|buried| buried.sequence).collect::<Vec<_>>()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(Filter::default()).await, [first, second, second + 1]);
    assert_eq!(found(Filter { stage: text("push"), ..Filter::default() }).await, [first]);
    assert_eq!(found(Filter { system: text("gis"), ..Filter::default() }).await, [second]);
    assert_eq!(found(Filter { collection: text("matters"), ..Filter::default() }).await, [first]);
    assert_eq!(found(Filter { key: Key::parse("E-2"), ..Filter::default() }).await, [second]);
    assert_eq!(found(Filter { reason: text("too long"), ..Filter::default() }).await, [second]);
    let told = letters.get(second + 1).await.unwrap().what;
    assert_eq!(told, Corpse::Advisory(r#"{"reason":"x"}"#.to_owned()));
    assert!(matches!(letters.replay(second + 1).await, Err(DeadError::NoLetter(_))));
    assert!(matches!(letters.get(99).await, Err(DeadError::NotThere(99))));
}

#[tokio::test]
async fn one_that_is_replayed_twice_at_once_goes_back_once_and_is_taken_out() {
    let office = Office::open().await;
    let number = buried(&office, "dead.push.clio.matters.E-1", &letter(Some(READABLE))).await;
    let before = office.count(names::PUSH).await;
    let letters = letters(&office).await;
    let (one, other) = tokio::join!(letters.replay(number), letters.replay(number));
    let stored = one.or(other).unwrap();
    assert_eq!(office.count(names::PUSH).await, before + 1);
    let push = office.broker.jetstream().get_stream(names::PUSH).await.unwrap();
    let message = push.get_raw_message(stored).await.unwrap();
    assert_eq!(message.subject.as_str(), "push.live.clio.matters.E-1");
    let push: PushRequest = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(push.push, Some(PushId::of_person(7)), "a second copy would be known by it");
    assert!(matches!(letters.get(number).await, Err(DeadError::NotThere(_))));
    let audited = audited(&office).await;
    assert_eq!(audited.len(), 1, "{audited:?}");
    assert_eq!(audited[0].0, "replayed");
}

#[tokio::test]
async fn another_body_is_checked_and_takes_the_place_of_the_old_one() {
    let office = Office::open().await;
    let number = buried(&office, "dead.push.clio.matters.E-1", &letter(Some(r#"{"sett":{}}"#))).await;
    let letters = letters(&office).await;
    let refused = letters.edit(number, r#"{"op":"update","sett":{}}"#).await.unwrap_err().to_string();
    assert!(refused.contains("would be dead again") && refused.contains("`sett`"), "{refused}");
    assert!(letters.get(number).await.is_ok(), "it stays as it was");

    let now = letters.edit(number, READABLE).await.unwrap();
    let Corpse::Letter(edited) = letters.get(now).await.unwrap().what else { panic!() };
    assert_eq!(edited.body.as_deref(), Some(READABLE));
    assert_eq!(edited.attempts[0].error, "its body was edited by Ann@desk");
    assert!(matches!(letters.get(number).await, Err(DeadError::NotThere(_))));
}

#[tokio::test]
async fn what_is_discarded_stands_in_the_audit_whole() {
    let office = Office::open().await;
    let number = buried(&office, "dead.push.clio.matters.E-1", &letter(Some(READABLE))).await;
    let letters = letters(&office).await;
    letters.discard(number).await.unwrap();
    assert!(matches!(letters.discard(number).await, Err(DeadError::NotThere(_))));
    let audited = audited(&office).await;
    let [(action, _, more)] = audited.as_slice() else { panic!("{audited:?}") };
    assert_eq!(action, "discarded");
    assert!(more.contains(&json!(READABLE).to_string()), "{more}");
}

#[tokio::test]
async fn one_whose_body_was_too_large_says_what_to_do() {
    let office = Office::open().await;
    let number = buried(&office, "dead.push.clio.matters.E-1", &letter(None)).await;
    let error = letters(&office).await.replay(number).await.unwrap_err().to_string();
    assert!(error.contains("ask for the record again by a sync"), "{error}");
}

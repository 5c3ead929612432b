//! Pushes that no bridge takes.

use databridge_broker::{Corpse, DeadLetters, Envelope, Filter, names};
use databridge_model::{DeadLetter, Name, SystemName};

use crate::office::Office;

const SUBJECT: &str = "push.live.clio.matters.E-1";

fn systems() -> [SystemName; 2] {
    ["clio", "gis"].map(|name| Name::parse(name).unwrap())
}

async fn buried(office: &Office) -> Vec<DeadLetter> {
    let letters = DeadLetters::open(&office.broker, "ann@desk").await.unwrap();
    let found = letters.all(&Filter { stage: Some("push".to_owned()), ..Filter::default() }).await.unwrap();
    let letter = |corpse| match corpse {
        Corpse::Letter(letter) => *letter,
        other => panic!("no letter: {other:?}"),
    };
    found.into_iter().map(|it| letter(it.what)).collect()
}

async fn publish(office: &Office, subject: &str) -> u64 {
    let sent = office.broker.jetstream().publish(subject.to_owned(), "{}".into()).await.unwrap();
    sent.await.unwrap().sequence
}

#[tokio::test]
async fn a_push_that_no_bridge_takes_becomes_a_dead_letter_with_the_reason_and_the_others_stay() {
    let office = Office::open().await;
    // The last has a key too few: that is its bridge's business, which takes it.
    let covered = [SUBJECT, "push.bulk.gis.cases.E-1", "long.bulk.clio.documents.77", "push.live.gis.cases"];
    for subject in covered {
        publish(&office, subject).await;
    }
    let stray = [
        ("push.clio.matters.E-1", "no bridge takes it: a push goes on push.<live or bulk>."),
        ("push.live.mars.matters.E-1", "there is no system `mars`; the systems are: clio, gis"),
        ("push.live.cli.matters.E-1", "there is no system `cli`"),
        ("push.live.clio", "no bridge takes it"),
        ("long.slow.clio.documents.77", "no bridge takes it"),
        ("push.live.mars.matters.E-1", "there is no system `mars`"),
    ];
    let mut expected = Vec::new();
    for (subject, why) in stray {
        expected.push((publish(&office, subject).await, subject, why));
    }
    let before = office.count(names::PUSH).await;
    let systems = systems();
    let systems: Vec<_> = systems.iter().collect();
    assert_eq!(office.broker.bury_stray_pushes(&systems).await.unwrap(), stray.len());
    let mut letters = buried(&office).await;
    letters.sort_by_key(|letter| letter.sequence);
    assert_eq!(letters.len(), stray.len(), "{letters:?}");
    for (letter, (sequence, subject, why)) in letters.iter().zip(expected) {
        assert_eq!((letter.sequence, letter.subject.as_str()), (sequence, subject));
        assert!(letter.error.contains(why), "{}", letter.error);
        assert_eq!(letter.body.as_deref(), Some("{}"));
    }
    assert_eq!(office.count(names::PUSH).await, before - stray.len() as u64, "and the first, which stays");
    assert_eq!(office.broker.bury_stray_pushes(&systems).await.unwrap(), 0);
}

#[tokio::test]
async fn one_that_was_copied_and_not_taken_out_is_one_dead_letter() {
    let office = Office::open().await;
    let systems = systems();
    publish(&office, SUBJECT).await;
    // Who copied it was killed before it was taken out.
    let first = publish(&office, "push.live.mars.matters.E-1").await;
    let copy = DeadLetter {
        subject: "push.live.mars.matters.E-1".to_owned(),
        stream: names::PUSH.to_owned(),
        sequence: first,
        body: Some("{}".to_owned()),
        body_base64: None,
        error: "as before".to_owned(),
        attempts: Vec::new(),
    };
    let envelope = Envelope::default().with_id(format!("dead-{}-{first}", names::PUSH));
    office.broker.publish("dead.push.mars.matters.E-1".to_owned(), &copy, &envelope).await.unwrap();
    assert_eq!(office.broker.bury_stray_pushes(&[&systems[0]]).await.unwrap(), 1);
    let letters = buried(&office).await;
    assert_eq!(letters.iter().map(|it| it.error.as_str()).collect::<Vec<_>>(), ["as before"]);
}

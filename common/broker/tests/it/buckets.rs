use std::collections::BTreeMap;
use std::time::Duration;

use databridge_broker::{Bucket, BucketError, names};

use crate::office::{Office, connect};
use crate::proxy::{Loses, Proxy};

async fn bucket(office: &Office) -> Bucket<String> {
    office.broker.bucket(names::LINKS).await.unwrap()
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn a_key_is_made_once_and_then_changed_from_the_revision_that_was_read() {
    let office = Office::open().await;
    let bucket = bucket(&office).await;
    assert_eq!(bucket.get("a").await.unwrap(), None);
    let first = bucket.create("a", &text("one")).await.unwrap();
    assert!(matches!(bucket.create("a", &text("other")).await, Err(BucketError::Moved(_))));
    let second = bucket.update("a", &text("two"), first).await.unwrap();
    let moved = bucket.update("a", &text("late"), first).await.unwrap_err();
    assert_eq!(moved.to_string(), "links/a was changed by another meanwhile");
    let found = bucket.get("a").await.unwrap().unwrap();
    assert_eq!((found.value.as_str(), found.revision), ("two", second));
}

#[tokio::test]
async fn of_many_who_make_one_key_at_once_one_succeeds() {
    let office = Office::open().await;
    let bucket = bucket(&office).await;
    let values: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let made = futures::future::join_all(values.iter().map(|value| bucket.create("a", value))).await;
    let winners: Vec<_> = made.iter().enumerate().filter(|(_, made)| made.is_ok()).collect();
    assert_eq!(winners.len(), 1, "{made:?}");
    assert!(made.iter().all(|made| matches!(made, Ok(_) | Err(BucketError::Moved(_)))), "{made:?}");
    assert_eq!(bucket.get("a").await.unwrap().unwrap().value, winners[0].0.to_string());
}

#[tokio::test]
async fn a_key_can_be_made_again_after_it_was_removed() {
    let office = Office::open().await;
    let bucket = bucket(&office).await;
    let first = bucket.create("a", &text("one")).await.unwrap();
    assert!(matches!(bucket.delete("a", first + 1).await, Err(BucketError::Moved(_))));
    bucket.delete("a", first).await.unwrap();
    bucket.delete("a", first).await.unwrap();
    assert_eq!(bucket.get("a").await.unwrap(), None);
    assert!(matches!(bucket.update("a", &text("late"), first).await, Err(BucketError::Moved(_))));
    bucket.create("a", &text("anew")).await.unwrap();
    assert_eq!(bucket.get("a").await.unwrap().unwrap().value, "anew");
}

#[tokio::test]
async fn all_gives_each_key_once_with_its_last_value() {
    let office = Office::open().await;
    let bucket = bucket(&office).await;
    assert_eq!(bucket.all().await.unwrap(), []);
    let gone = bucket.create("gone", &text("x")).await.unwrap();
    bucket.delete("gone", gone).await.unwrap();
    assert_eq!(bucket.all().await.unwrap(), [], "a bucket of removed keys has none");
    for number in 0..300 {
        let key = format!("route.E=20{number}");
        let revision = bucket.create(&key, &text("first")).await.unwrap();
        if number % 2 == 0 {
            bucket.update(&key, &text("second"), revision).await.unwrap();
        }
    }
    let all: BTreeMap<_, _> = bucket.all().await.unwrap().into_iter().collect();
    assert_eq!(all.len(), 300);
    for (key, found) in &all {
        assert_eq!(bucket.get(key).await.unwrap().as_ref(), Some(found));
    }
}

#[tokio::test]
async fn a_value_for_a_time_goes_by_itself_and_what_is_older_is_still_listed() {
    let office = Office::open().await;
    let bucket: Bucket<String> = office.broker.bucket(names::RUNS).await.unwrap();
    bucket.create("older", &text("stays")).await.unwrap();
    let first = bucket.create("a", &text("one")).await.unwrap();
    let moved = bucket.update_for("a", &text("late"), first + 1, Duration::from_secs(1)).await;
    assert!(matches!(moved, Err(BucketError::Moved(_))));
    let second = bucket.update_for("a", &text("two"), first, Duration::from_secs(1)).await.unwrap();
    let found = bucket.get("a").await.unwrap().unwrap();
    assert_eq!((found.value.as_str(), found.revision), ("two", second));

    let gone = async { while bucket.get("a").await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it stays");
    let listed = tokio::time::timeout(Duration::from_secs(20), bucket.all()).await;
    let keys: Vec<_> =
        listed.expect("it is listed at once").unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["older"]);
    bucket.create("a", &text("anew")).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_spoils_no_other() {
    let office = Office::open().await;
    let store = office.broker.jetstream().get_key_value(names::LINKS).await.unwrap();
    store.put("bad", "{".into()).await.unwrap();
    let bucket = bucket(&office).await;
    bucket.create("good", &text("one")).await.unwrap();
    let error = bucket.get("bad").await.unwrap_err().to_string();
    assert!(error.starts_with("links/bad holds what cannot be read"), "{error}");
    let keys: Vec<_> = bucket.all().await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["good"]);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_as_our_own() {
    let office = Office::open().await;
    let proxy = Proxy::to(office.nats.port()).await;
    let broker = connect(proxy.url.clone()).await;
    let bucket: Bucket<String> = broker.bucket(names::LINKS).await.unwrap();
    let first = bucket.create("a", &text("one")).await.unwrap();
    proxy.break_at("the new value", Loses::TheAnswer);
    let second = bucket.update("a", &text("the new value"), first).await.unwrap();
    assert!(proxy.has_broken());
    assert_eq!(bucket.get("a").await.unwrap().unwrap().revision, second);
}

use std::time::Duration;

use databridge_broker::{BatchError, BatchMessage, Broker, Cursor, CursorStore, async_nats};
use databridge_model::PullResult;
use databridge_model::subject::CursorLane;
use futures::StreamExt;

use crate::office::{Office, connect, name, record, records};
use crate::proxy::{Loses, Proxy};

async fn open(broker: &Broker) -> (CursorStore, Option<Cursor<String>>) {
    CursorStore::open(broker, &name("gis"), &name("cases"), CursorLane::Live).await.unwrap()
}

fn cursor(request: u64) -> Cursor<String> {
    Cursor {
        request,
        done: true,
        records: 0,
        pull_last: Some(0),
        reads_from: None,
        begin_at: None,
        place: String::new(),
    }
}

async fn commit(
    store: &mut CursorStore,
    records: Vec<PullResult>,
    cursor: &mut Cursor<String>,
    last: &str,
) -> Result<Vec<PullResult>, BatchError> {
    store.commit(records, cursor, None, |index| format!("after {index}"), last.to_owned()).await
}

/// The cursors as they pass, each with the bytes of the records before it.
async fn cursors_that_pass(broker: &Broker) -> impl AsyncFnMut() -> (Cursor<String>, usize, usize) {
    let mut passing = broker.client().subscribe(">").await.unwrap();
    broker.client().flush().await.unwrap();
    async move || {
        let (mut count, mut bytes) = (0, 0);
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), passing.next());
            let message = next.await.unwrap().unwrap();
            if message.subject.starts_with("pull.") {
                (count, bytes) = (count + 1, bytes + message.payload.len());
            } else if message.subject.starts_with("cursor.") {
                return (serde_json::from_slice(&message.payload).unwrap(), count, bytes);
            }
        }
    }
}

#[tokio::test]
async fn a_page_of_999_records_and_its_cursor_are_one_batch() {
    let office = Office::open().await;
    let (mut store, found) = open(&office.broker).await;
    assert!(found.is_none());
    let mut cursor = cursor(7);
    let left_out = commit(&mut store, records(&office.broker, 0, 999, 10).await, &mut cursor, "end").await;
    assert_eq!(left_out.unwrap().len(), 0);
    assert_eq!((cursor.records, cursor.pull_last), (999, Some(999)));
    assert_eq!(office.count("PULL").await, 1_000);
    let (_, found) = open(&office.broker).await;
    assert_eq!(found, Some(Cursor { place: "end".to_owned(), ..cursor }), "it is read as it was written");
}

#[tokio::test]
async fn a_page_of_1000_records_is_two_batches_each_with_a_cursor() {
    let office = Office::open().await;
    let mut next = cursors_that_pass(&office.broker).await;
    let (mut store, _) = open(&office.broker).await;
    let mut cursor = cursor(7);
    commit(&mut store, records(&office.broker, 0, 1_000, 10).await, &mut cursor, "end").await.unwrap();
    let (first, count, _) = next().await;
    assert_eq!((first.place.as_str(), first.done, first.records, count), ("after 998", false, 999, 999));
    let (second, count, _) = next().await;
    assert_eq!((second.place.as_str(), second.done, second.records, count), ("end", true, 1_000, 1));
    assert_eq!(office.count("PULL").await, 1_001, "the last cursor takes the place of those before it");
}

#[tokio::test]
async fn a_page_of_more_than_8_mb_is_split_with_a_cursor_in_each_part() {
    let office = Office::open().await;
    let mut next = cursors_that_pass(&office.broker).await;
    let (mut store, _) = open(&office.broker).await;
    let mut cursor = cursor(7);
    commit(&mut store, records(&office.broker, 0, 40, 500_000).await, &mut cursor, "end").await.unwrap();
    let (mut records, mut done) = (0, false);
    while !done {
        let (cursor, count, bytes) = next().await;
        records += count;
        done = cursor.done;
        assert!(bytes <= 8 * 1024 * 1024, "{bytes}");
        assert_eq!(cursor.records, records as u64);
        assert_eq!(cursor.place, if done { "end".to_owned() } else { format!("after {}", records - 1) });
    }
    assert_eq!((records, office.count("PULL").await), (40, 41));
}

#[tokio::test]
async fn a_page_without_records_moves_the_cursor_all_the_same() {
    let office = Office::open().await;
    let (mut store, _) = open(&office.broker).await;
    let mut cursor = cursor(7);
    commit(&mut store, Vec::new(), &mut cursor, "rest").await.unwrap();
    let (_, found) = open(&office.broker).await;
    let found = found.unwrap();
    assert_eq!((found.place.as_str(), found.records, found.pull_last), ("rest", 0, Some(0)));
}

#[tokio::test]
async fn a_record_too_large_for_a_message_is_given_back_and_the_others_are_stored() {
    let office = Office::open().await;
    let (mut store, _) = open(&office.broker).await;
    let mut page = records(&office.broker, 0, 2, 10).await;
    page.insert(1, record(&office.broker, 99, 600_000).await);
    let left_out = commit(&mut store, page, &mut cursor(7), "end").await.unwrap();
    assert_eq!(left_out.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["99"]);
    assert_eq!(office.count("PULL").await, 3);
}

#[tokio::test]
async fn a_zombies_page_is_refused_whole() {
    let office = Office::open().await;
    let (mut zombie, _) = open(&office.broker).await;
    let (mut heir, _) = open(&office.broker).await;
    commit(&mut heir, records(&office.broker, 0, 2, 10).await, &mut cursor(7), "heir's").await.unwrap();
    let refused = commit(&mut zombie, records(&office.broker, 10, 3, 10).await, &mut cursor(7), "old").await;
    assert!(matches!(refused, Err(BatchError::Moved)), "{refused:?}");
    assert_eq!(office.count("PULL").await, 3, "two records and a cursor, and nothing of the zombie's");
    assert_eq!(open(&office.broker).await.1.unwrap().place, "heir's");
    // The heir goes on undisturbed.
    commit(&mut heir, records(&office.broker, 20, 1, 10).await, &mut cursor(8), "further").await.unwrap();
    assert_eq!(office.count("PULL").await, 4);
}

#[tokio::test]
async fn a_bridge_that_dies_within_a_page_leaves_nothing_of_it() {
    let mut office = Office::open().await;
    for sequence in ["1", "2"] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Batch-Id", "half");
        headers.insert("Nats-Batch-Sequence", sequence);
        let request = async_nats::Request::new().headers(headers).payload("{}".into());
        office.broker.client().send_request("pull.gis.cases.E-1", request).await.ok();
    }
    assert_eq!(office.count("PULL").await, 0);
    office.nats.restart().await.unwrap();
    let (mut store, _) = open(&office.broker).await;
    commit(&mut store, records(&office.broker, 0, 2, 10).await, &mut cursor(7), "end").await.unwrap();
    assert_eq!(office.count("PULL").await, 3);
}

#[tokio::test]
async fn a_batch_of_more_than_the_server_takes_is_refused_before_anything_is_sent() {
    let office = Office::open().await;
    let message = |number: usize| BatchMessage {
        subject: format!("pull.gis.cases.{number}"),
        payload: "{}".into(),
        headers: async_nats::HeaderMap::new(),
    };
    for count in [0, 1_001] {
        let refused = office.broker.publish_batch((0..count).map(message).collect()).await;
        assert!(matches!(refused, Err(BatchError::Size(size)) if size == count), "{refused:?}");
    }
    assert_eq!(office.broker.publish_batch((0..1_000).map(message).collect()).await.unwrap(), 1_000);
}

#[tokio::test]
async fn a_lost_answer_is_found_out() {
    let office = Office::open().await;
    let proxy = Proxy::to(office.nats.port()).await;
    let broker = connect(proxy.url.clone()).await;
    let (mut store, _) = open(&broker).await;
    let page = records(&broker, 0, 3, 10).await;
    let mut cursor = cursor(7);
    proxy.break_at("Nats-Batch-Commit", Loses::TheAnswer);
    commit(&mut store, page, &mut cursor, "end").await.unwrap();
    assert!(proxy.has_broken());
    assert_eq!((cursor.records, cursor.pull_last, office.count("PULL").await), (3, Some(3), 4));
    // The place where it stands is known, too: the next page is no zombie's.
    commit(&mut store, records(&broker, 10, 1, 10).await, &mut cursor, "further").await.unwrap();
}

#[tokio::test]
async fn a_page_that_never_arrived_is_not_taken_for_stored() {
    let office = Office::open().await;
    let proxy = Proxy::to(office.nats.port()).await;
    let broker = connect(proxy.url.clone()).await;
    let (mut store, _) = open(&broker).await;
    let page = records(&broker, 0, 3, 10).await;
    proxy.break_at("Nats-Batch-Commit", Loses::TheQuestion);
    let lost = commit(&mut store, page.clone(), &mut cursor(7), "end").await;
    assert!(matches!(lost, Err(BatchError::Unanswered(_))), "{lost:?}");
    assert_eq!(office.count("PULL").await, 0);
    commit(&mut store, page, &mut cursor(7), "end").await.unwrap();
    assert_eq!(office.count("PULL").await, 4);
}

#[tokio::test]
async fn a_cursor_that_cannot_be_read_counts_as_none_and_can_be_overwritten() {
    let office = Office::open().await;
    let jetstream = office.broker.jetstream();
    jetstream.publish("cursor.gis.cases.live", "not a cursor".into()).await.unwrap().await.unwrap();
    let (mut store, found) = open(&office.broker).await;
    assert_eq!(found, None);
    commit(&mut store, Vec::new(), &mut cursor(7), "anew").await.unwrap();
    assert_eq!(open(&office.broker).await.1.unwrap().place, "anew");
}

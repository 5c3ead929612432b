use std::sync::atomic::Ordering;

use databridge_bridge::{ContentError, fetch};
use databridge_http::ErrorClass;
use databridge_model::FailureClass;
use databridge_runtime::CancellationToken;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::office::{Behaviour, Office, Shelf, photo, pieces, within};

const CHUNKS: &str = "$O.content.C.>";

#[tokio::test]
async fn a_content_comes_as_it_is() {
    let office = Office::open().await;
    let _serving = office.serve(&Shelf::open(Behaviour::Whole(700_001))).await;
    let mut content = within(fetch(&office.broker, &photo("17/3"), None)).await.unwrap();
    let mut bytes = Vec::new();
    content.reader.read_to_end(&mut bytes).await.unwrap();
    let wanted: Vec<u8> = pieces(700_001).flatten().collect();
    assert_eq!(bytes, wanted);
    assert_eq!(content.object.object, "gis.photos.=i17=2F3.700001");
    assert_eq!((content.object.size, content.object.content_type.as_deref()), (700_001, Some("image/jpeg")));
    assert_eq!(content.object.sha256, hex::encode(Sha256::digest(&wanted)));
    assert_eq!(office.stored(CHUNKS).await, 6, "whole chunks of 128 KiB, and what is left");
}

#[tokio::test]
async fn an_object_can_be_read_by_any_client_of_the_object_store() {
    let office = Office::open().await;
    let _serving = office.serve(&Shelf::open(Behaviour::Whole(300_000))).await;
    let content = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    let store = office.broker.jetstream().get_object_store("content").await.unwrap();
    let mut bytes = Vec::new();
    store.get(&content.object.object).await.unwrap().read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, pieces(300_000).flatten().collect::<Vec<u8>>());
}

#[tokio::test]
async fn an_empty_content_is_a_content() {
    let office = Office::open().await;
    let _serving = office.serve(&Shelf::open(Behaviour::Whole(0))).await;
    for _ in 0..2 {
        let mut content = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
        let mut bytes = Vec::new();
        content.reader.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(
            (bytes.len(), content.object.sha256.as_str()),
            (0, hex::encode(Sha256::digest(b"")).as_str())
        );
    }
}

#[tokio::test]
async fn where_no_bridge_is_at_work_the_one_who_asks_is_told_at_once() {
    let office = Office::open().await;
    let error = within(fetch(&office.broker, &photo("1"), None)).await.unwrap_err();
    assert!(matches!(error, ContentError::NobodyThere(_)), "{error}");
    assert_eq!(error.class(), ErrorClass::Transient);
}

#[tokio::test]
async fn what_is_wrong_with_a_content_is_told_to_the_one_who_asks() {
    let office = Office::open().await;
    let _serving = office.serve(&Shelf::open(Behaviour::Gone)).await;
    let error = within(fetch(&office.broker, &photo("1"), None)).await.unwrap_err();
    let ContentError::Refused(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.class, FailureClass::Gone);
    assert_eq!(error.class(), ErrorClass::Invalid, "the record that was to be written is not gone");
}

#[tokio::test]
async fn what_was_left_for_no_push_is_swept_away_when_the_bridge_starts_again() {
    let mut office = Office::open().await;
    let serving = office.serve(&Shelf::open(Behaviour::Whole(300_000))).await;
    within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    assert_eq!(office.stored(">").await, 4);
    office.stop.cancel();
    within(serving).await.unwrap().unwrap();
    office.stop = CancellationToken::new();
    let _serving = office.serve(&Shelf::open(Behaviour::Whole(1))).await;
    assert_eq!(office.stored(">").await, 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_and_the_next_one_is_whole() {
    let office = Office::open().await;
    let shelf = Shelf::open(Behaviour::BreaksOff { told: 900_000, after: 500_000 });
    let _serving = office.serve(&shelf).await;
    let error = within(fetch(&office.broker, &photo("1"), None)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    within(async { while office.stored(CHUNKS).await > 0 {} }).await;
    assert_eq!(office.stored("$O.content.M.>").await, 0, "nothing looks like an object");

    *shelf.behaviour.lock().unwrap() = Behaviour::Whole(900_000);
    let mut content = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    let mut bytes = Vec::new();
    content.reader.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), 900_000);
}

#[tokio::test]
async fn more_bytes_than_were_told_make_no_content() {
    let office = Office::open().await;
    let shelf = Shelf::open(Behaviour::BreaksOff { told: 10, after: 200_000 });
    let _serving = office.serve(&shelf).await;
    let error = within(fetch(&office.broker, &photo("1"), None)).await.unwrap_err();
    assert!(error.to_string().contains("should have 10 bytes"), "{error}");
}

#[tokio::test]
async fn a_content_that_is_there_and_whole_is_not_brought_again_and_one_with_a_chunk_missing_is() {
    let office = Office::open().await;
    let shelf = Shelf::open(Behaviour::Whole(400_000));
    let _serving = office.serve(&shelf).await;
    let first = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    let last = office.broker.jetstream().get_stream("OBJ_content").await.unwrap();
    let before = last.get_info().await.unwrap().state.last_sequence;
    let second = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    assert_eq!(first.object, second.object);
    assert_eq!(last.get_info().await.unwrap().state.last_sequence, before, "nothing was written");

    last.delete_message(last.get_info().await.unwrap().state.first_sequence).await.unwrap();
    let mut third = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    let mut bytes = Vec::new();
    third.reader.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), 400_000);
    assert_eq!(office.stored(CHUNKS).await, 4, "the chunks of the broken one are gone");
}

#[tokio::test]
async fn a_chunk_that_goes_while_it_is_read_is_an_error_and_no_early_end() {
    let office = Office::open().await;
    let _serving = office.serve(&Shelf::open(Behaviour::Whole(400_000))).await;
    let mut content = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    content.reader.next().await.unwrap().unwrap();
    let stream = office.broker.jetstream().get_stream("OBJ_content").await.unwrap();
    stream.delete_message(3).await.unwrap();
    assert!(content.reader.read_to_end(&mut Vec::new()).await.is_err());
}

#[tokio::test]
async fn bytes_that_are_not_those_that_were_told_come_to_no_good_end() {
    let office = Office::open().await;
    let _serving = office.serve(&Shelf::open(Behaviour::Whole(200_000))).await;
    let mut content = within(fetch(&office.broker, &photo("1"), None)).await.unwrap();
    let jetstream = office.broker.jetstream();
    let store = jetstream.get_object_store("content").await.unwrap();
    let chunks = format!("$O.content.C.{}", store.info(&content.object.object).await.unwrap().nuid);
    jetstream.get_stream("OBJ_content").await.unwrap().purge().filter(&chunks).await.unwrap();
    for size in [131_072, 68_928] {
        jetstream.publish(chunks.clone(), vec![7; size].into()).await.unwrap().await.unwrap();
    }
    let mut bytes = Vec::new();
    let error = content.reader.read_to_end(&mut bytes).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    assert_eq!(bytes.len(), 131_072, "the last bytes are kept back");
}

#[tokio::test]
async fn no_more_than_four_are_brought_at_once_and_those_that_wait_are_worked_on() {
    let office = Office::open().await;
    let shelf = Shelf::closed(Behaviour::Whole(10));
    let _serving = office.serve(&shelf).await;
    let client = office.broker.client();
    let mut inboxes = Vec::new();
    for id in 0..6 {
        let inbox = client.new_inbox();
        inboxes.push(client.subscribe(inbox.clone()).await.unwrap());
        client.publish_with_reply(format!("content.gis.photos.=i{id}"), inbox, "".into()).await.unwrap();
    }
    for inbox in &mut inboxes {
        let told = within(inbox.next()).await.unwrap();
        assert_eq!(told.payload, r#""working""#);
    }
    within(async {
        while shelf.opened() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    shelf.gate.add_permits(6);
    for inbox in &mut inboxes {
        let ended = within(inbox.next()).await.unwrap();
        assert!(ended.payload.starts_with(br#"{"ready""#), "{:?}", ended.payload);
    }
    assert_eq!(shelf.most_under_way.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn two_who_ask_for_one_content_share_one_upload() {
    let office = Office::open().await;
    let shelf = Shelf::open(Behaviour::Whole(400_000));
    let _serving = office.serve(&shelf).await;
    let (source, broker) = (photo("1"), &office.broker);
    let (one, other) =
        within(async { tokio::join!(fetch(broker, &source, None), fetch(broker, &source, None)) }).await;
    for content in [one.unwrap(), other.unwrap()] {
        let mut bytes = Vec::new();
        let mut reader = content.reader;
        reader.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes.len(), 400_000);
    }
    assert_eq!(office.stored(CHUNKS).await, 4);
}

#[tokio::test]
async fn a_bridge_that_is_told_to_stop_says_so_to_those_who_wait() {
    let office = Office::open().await;
    let shelf = Shelf::closed(Behaviour::Whole(10));
    let serving = office.serve(&shelf).await;
    let broker = office.broker.clone();
    let asking = tokio::spawn(async move { fetch(&broker, &photo("1"), None).await });
    within(async {
        while shelf.opened() < 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    office.stop.cancel();
    let error = within(asking).await.unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(error.to_string().contains("is stopping"), "{error}");
    within(serving).await.unwrap().unwrap();
    drop(office.nats);
}

#[tokio::test]
async fn a_subject_without_an_id_is_refused_with_words() {
    let office = Office::open().await;
    let shelf = Shelf::open(Behaviour::Whole(10));
    let _serving = office.serve(&shelf).await;
    let client = office.broker.client();
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply("content.gis.photos.E-1", inbox, "".into()).await.unwrap();
    within(replies.next()).await.unwrap();
    let told = within(replies.next()).await.unwrap();
    let told = String::from_utf8_lossy(&told.payload);
    assert!(told.contains("failed") && told.contains("tells no id"), "{told}");
    assert_eq!(shelf.opened(), 0);
}

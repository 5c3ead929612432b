//! Looking through a stream beside those who work on it.

use std::time::Duration;

use chrono::TimeDelta;
use databridge_broker::{Envelope, ReadError, names};

use crate::office::{Office, connect, record};
use crate::proxy::{Loses, Proxy};

#[tokio::test]
async fn what_a_stream_has_got_since_a_moment_is_read_whole_and_in_its_order() {
    let office = Office::open().await;
    for number in 0..10 {
        let subject = if number % 2 == 0 { "pull.gis.cases.E-1" } else { "pull.gis.others.E-1" };
        let read = record(&office.broker, number, 10).await;
        office.broker.publish(subject.to_owned(), &read, &Envelope::default()).await.unwrap();
    }
    let hour = office.broker.clock().now() - TimeDelta::hours(1);
    let filter = Some("pull.gis.cases.>".to_owned());
    let mut reading = office.broker.read_since(names::PULL, filter, hour).await.unwrap();
    let mut sequences = Vec::new();
    loop {
        let some = reading.next(3).await.unwrap();
        if some.is_empty() {
            break;
        }
        sequences.extend(some.into_iter().map(|(sequence, _)| sequence));
    }
    assert_eq!(sequences, [1, 3, 5, 7, 9]);
    reading.done().await;
    let stream = office.broker.jetstream().get_stream(names::PULL).await.unwrap();
    assert_eq!(stream.cached_info().state.consumer_count, 0, "nothing of it stays");
    let later = office.broker.clock().now() + TimeDelta::hours(1);
    let mut reading = office.broker.read_since(names::PULL, None, later).await.unwrap();
    assert!(reading.next(3).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reading_whose_connection_breaks_ends_with_an_error_and_waits_for_no_answer() {
    let office = Office::open().await;
    let proxy = Proxy::to(office.nats.port()).await;
    let broker = connect(proxy.url.clone()).await;
    let read = record(&broker, 1, 10).await;
    broker.publish("pull.gis.cases.E-1".to_owned(), &read, &Envelope::default()).await.unwrap();
    for loses in [Loses::TheQuestion, Loses::TheAnswer] {
        let hour = office.broker.clock().now() - TimeDelta::hours(1);
        let mut reading = broker.read_since(names::PULL, None, hour).await.unwrap();
        proxy.break_at("CONSUMER.MSG.NEXT", loses);
        let next = tokio::time::timeout(Duration::from_secs(8), reading.next(3)).await;
        let next: Result<_, ReadError> = next.expect("it waits for an answer that never comes");
        let error = next.expect_err("what was asked for is lost");
        assert!(error.to_string().contains("connection was lost"), "{loses:?}: {error}");
    }
    let hour = office.broker.clock().now() - TimeDelta::hours(1);
    let mut reading = broker.read_since(names::PULL, None, hour).await.unwrap();
    assert_eq!(reading.next(3).await.unwrap().len(), 1, "begun anew it gives all");
}

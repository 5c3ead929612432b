//! What clients of NATS fall into: acknowledgements that are none, waits that add up, lines that fall silent, consumers
//! that are gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use databridge_broker::{Envelope, Inbox, Job, consumers, names};
use databridge_model::subject::Lane;
use tokio::sync::Semaphore;

use crate::office::{Office, connect};
use crate::proxy::Proxy;
use crate::workers::{Deed, Scripted, inbox, publish, settled, working};

const PATIENCE: Duration = Duration::from_secs(40);

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_acknowledgement_that_nobody_was_there_to_take_is_not_taken_for_confirmed() {
    let office = Office::open().await;
    publish(&office.broker, &["a1", "a2"]).await;
    let inbox = inbox(&office.broker).await;
    let jobs = inbox.take(2, Duration::from_secs(5), Duration::from_millis(50)).await;
    assert!(jobs[0].done().await);
    let stream = office.broker.jetstream().get_stream(names::OUTCOME).await.unwrap();
    stream.delete_consumer("reconciler").await.unwrap();
    assert!(!jobs[1].done().await, "the broker has no consumer any more that could have taken it");
}

#[tokio::test]
async fn many_publishes_whose_answers_are_lost_are_each_stored_once_and_take_one_wait_together() {
    let office = Office::open().await;
    let proxy = Proxy::to(office.nats.port()).await;
    let broker = connect(proxy.url.clone()).await;
    broker.publish("outcome.clio.matters.E-0".to_owned(), &"first", &Envelope::default()).await.unwrap();
    proxy.fall_deaf();
    let begun = Instant::now();
    let publishes = (1..=256).map(|number| {
        let (broker, envelope) = (broker.clone(), Envelope::default().with_id(format!("id-{number}")));
        async move { broker.publish(format!("outcome.clio.matters.E-{number}"), &number, &envelope).await }
    });
    let all = tokio::spawn(futures::future::join_all(publishes));
    until("the broker has them all", async || office.count(names::OUTCOME).await == 257).await;
    proxy.cut();
    let sequences: BTreeSet<u64> = all.await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!((sequences.len(), office.count(names::OUTCOME).await), (256, 257));
    assert!(begun.elapsed() < Duration::from_secs(20), "each waited for the others: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_publish_that_nobody_stores_is_tried_again_ever_more_rarely() {
    let office = Office::open().await;
    let (broker, envelope) = (office.broker.clone(), Envelope::default());
    let statistics = office.broker.client().statistics();
    let sent = || statistics.out_messages.load(Ordering::Relaxed);
    let (before, begun) = (sent(), Instant::now());
    // No stream takes it, and the server says so at once.
    let publishing =
        tokio::spawn(async move { broker.publish("nobody.stores".to_owned(), &"x", &envelope).await });
    until("it is tried again", async || sent() >= before + 7).await;
    assert!(begun.elapsed() > Duration::from_millis(750), "seven attempts in {:?}", begun.elapsed());
    publishing.abort();
}

#[tokio::test]
async fn more_publishes_at_once_than_may_be_under_way_wait_for_their_turn() {
    const MOST_UNDER_WAY: u64 = 5_000;
    let office = Office::open_unsynced().await;
    let proxy = Proxy::to(office.nats.port()).await;
    let broker = connect(proxy.url.clone()).await;
    broker.publish("outcome.clio.matters.E".to_owned(), &"first", &Envelope::default()).await.unwrap();
    proxy.fall_deaf();
    let publishes = (0..MOST_UNDER_WAY + 100).map(|number| {
        let (broker, envelope) = (broker.clone(), Envelope::default().with_id(format!("id-{number}")));
        async move { broker.publish(format!("outcome.clio.matters.E-{number}"), &number, &envelope).await }
    });
    let all = tokio::spawn(futures::future::join_all(publishes));
    until("as many as may be are there", async || office.count(names::OUTCOME).await > MOST_UNDER_WAY).await;
    proxy.cut();
    let stored = all.await.unwrap();
    assert!(stored.iter().all(Result::is_ok), "{:?}", stored.iter().find(|it| it.is_err()));
    assert_eq!(office.count(names::OUTCOME).await, MOST_UNDER_WAY + 101);
}

#[tokio::test]
async fn large_bodies_are_taken_many_at_once_without_the_line_being_cut() {
    let office = Office::open().await;
    let system = "clio".parse().unwrap();
    let body = "x".repeat(500_000);
    for number in 0..200 {
        let subject = format!("push.bulk.clio.matters.E-{number}");
        office.broker.publish(subject, &body, &Envelope::default()).await.unwrap();
    }
    let broker = connect(office.nats.url()).await;
    let inbox = Inbox::open(&broker, consumers::pushes(&system, Lane::Bulk)).await.unwrap();
    let jobs = inbox.take_waiting(200).await;
    assert_eq!(jobs.len(), 200);
    assert!(jobs.iter().all(|job| !job.is_stale()), "the connection was cut");
    assert!(futures::future::join_all(jobs.iter().map(Job::done)).await.into_iter().all(|it| it));
}

#[tokio::test]
async fn what_was_taken_before_the_connection_was_lost_is_not_begun_and_comes_again() {
    let mut office = Office::open().await;
    let leave = Arc::new(Semaphore::new(0));
    let handler = Scripted::new(&[("a1", &[Deed::WaitsFor(Arc::clone(&leave))])]);
    publish(&office.broker, &["a1", "a2", "a3"]).await;
    let broker = connect(office.nats.url()).await;
    let _working = working(&broker, Arc::clone(&handler)).await;
    handler.wait_for_begun(1).await;
    office.nats.kill9().unwrap();
    office.nats.restart().await.unwrap();
    until("the client is back", async || broker.is_connected()).await;
    leave.add_permits(10);
    settled(&office.broker, 3).await;
    let tries = handler.tries();
    let of = |body: &str| tries.iter().filter(|it| *it == body).count();
    assert_eq!((of("a2"), of("a3")), (1, 1), "from the copies taken before, too: {tries:?}");
    let rest: Vec<_> = tries.iter().filter(|it| *it != "a1").collect();
    assert_eq!(rest, ["a2", "a3"], "in order");
}

#[tokio::test]
async fn a_line_that_falls_silent_is_given_up_and_the_work_goes_on_over_another() {
    let office = Office::open().await;
    let proxy = Proxy::to(office.nats.port()).await;
    let broker = connect(proxy.url.clone()).await;
    let handler = Scripted::new(&[]);
    let _working = working(&broker, Arc::clone(&handler)).await;
    publish(&office.broker, &["a1"]).await;
    handler.wait_for(1).await;
    // Its acknowledgement has got through, too: otherwise it would come again.
    settled(&office.broker, 1).await;
    proxy.fall_silent();
    publish(&office.broker, &["a2"]).await;
    until("the work goes on", async || handler.tries().len() == 2).await;
    assert_eq!(handler.tries(), ["a1", "a2"]);
    settled(&office.broker, 2).await;
}

#[tokio::test]
async fn a_consumer_that_is_gone_behind_a_living_connection_is_made_anew() {
    let office = Office::open().await;
    let system = "clio".parse().unwrap();
    let handler = Scripted::new(&[]);
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    publish(&office.broker, &["a1"]).await;
    handler.wait_for(1).await;
    let delete = async |stream: &str, consumer: &str| {
        let stream = office.broker.jetstream().get_stream(stream).await.unwrap();
        stream.delete_consumer(consumer).await.unwrap();
    };
    delete(names::OUTCOME, "reconciler").await;
    publish(&office.broker, &["a2"]).await;
    until("the work goes on", async || handler.tries().contains(&"a2".to_owned())).await;
    // One from which is taken only what waits already.
    let lane = Inbox::open(&office.broker, consumers::pushes(&system, Lane::Bulk)).await.unwrap();
    delete(names::PUSH, "clio-bulk").await;
    let subject = "push.bulk.clio.matters.E-1".to_owned();
    office.broker.publish(subject, &"x", &Envelope::default()).await.unwrap();
    until("the push is taken", async || lane.take_waiting(8).await.len() == 1).await;
}

/// The client sends over the next connection what it was told as the last one broke.
#[tokio::test]
async fn a_question_that_outlives_its_connection_takes_no_message_with_it() {
    let mut office = Office::open().await;
    let broker = connect(office.nats.url()).await;
    let inbox = inbox(&broker).await;
    office.nats.kill9().unwrap();
    // The end of the connection is there to be read, and is not read yet.
    tokio::task::yield_now().await;
    let taken = inbox.take(1, PATIENCE, Duration::ZERO);
    let published = async {
        office.nats.restart().await.unwrap();
        until("the connection to be back", async || broker.losses() == 1 && broker.is_connected()).await;
        publish(&broker, &["a1"]).await;
    };
    let (taken, ()) = tokio::join!(taken, published);
    assert!(taken.is_empty(), "the connection was lost");
    assert_eq!(inbox.take(1, PATIENCE, Duration::ZERO).await.len(), 1);
    let stream = broker.jetstream().get_stream(names::OUTCOME).await.unwrap();
    let info = stream.consumer_info("reconciler").await.unwrap();
    assert_eq!(info.delivered.consumer_sequence, 1, "it was given to nobody before");
}

#[tokio::test]
async fn a_message_given_back_is_not_kept_longer_by_the_word_that_it_is_worked_on() {
    let office = Office::open().await;
    publish(&office.broker, &["a1"]).await;
    let inbox = inbox(&office.broker).await;
    let job = inbox.take(1, Duration::from_secs(5), Duration::ZERO).await.remove(0);
    job.again_after(Duration::from_millis(300)).await;
    let given_back = Instant::now();
    let saying = tokio::spawn(async move {
        loop {
            job.working().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let again = inbox.take(1, Duration::from_secs(10), Duration::ZERO).await;
    assert_eq!(again.len(), 1);
    assert!(given_back.elapsed() < Duration::from_secs(1), "{:?}", given_back.elapsed());
    saying.abort();
}

#[tokio::test]
async fn what_must_stay_is_where_nothing_is_forgotten_by_age_or_number() {
    let office = Office::open().await;
    let jetstream = office.broker.jetstream();
    let buckets = [names::LINKS, names::INTENTS, names::APPLIED, names::WAITING, names::TOKENS, names::FOUND];
    let buckets = buckets.map(|bucket| format!("KV_{bucket}"));
    let streams = [names::SYNC, names::PULL, names::PUSH, names::DEAD].map(str::to_owned);
    for name in streams.into_iter().chain(buckets) {
        let config = jetstream.get_stream(&name).await.unwrap().cached_info().config.clone();
        assert_eq!((config.max_age, config.max_messages), (Duration::ZERO, -1), "{name}");
    }
}

#[tokio::test]
async fn consumers_never_give_a_message_up_and_wait_by_one_rule_only() {
    let office = Office::open().await;
    let system = "clio".parse().unwrap();
    let plans = [
        consumers::outcomes(),
        consumers::pulls(),
        consumers::listings(),
        consumers::sync_of(&system),
        consumers::sync_of_reconciler(),
        consumers::pushes(&system, Lane::Live),
        consumers::long_pushes(&system, Lane::Bulk),
    ];
    for plan in plans {
        let (stream, durable) = (plan.stream, plan.durable.clone());
        Inbox::open(&office.broker, plan).await.unwrap();
        let stream = office.broker.jetstream().get_stream(stream).await.unwrap();
        let config = stream.consumer_info(&durable).await.unwrap().config;
        // A message that is delivered for the last time stays in its stream, and no consumer shows it.
        assert_eq!(config.max_deliver, -1, "{durable}");
        // To the wait of a NAK it would be added.
        assert!(config.backoff.is_empty(), "{durable}");
    }
}

//! A system that asks not to be called for an hour, in the midst of a listing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use databridge_bridge::{Effect, Next, OutsideSystem, Page, Pulls, PushTask, Shown, Span, Start};
use databridge_broker::{Envelope, names};
use databridge_http::{Budget, CallError};
use databridge_model::{CollectionName, Key, Listed, SyncRequest, SystemName, Waiting};
use databridge_runtime::CancellationToken;
use futures::StreamExt;

use crate::office::{Office, name, within};

/// A system of three pages of one record. At the second it asks for a rest, if it is tired.
#[derive(Debug)]
struct Tired {
    name: SystemName,
    spent: Mutex<bool>,
    rest: Mutex<Option<Duration>>,
    /// The pages that were asked for.
    asked: Mutex<Vec<u32>>,
}

impl Tired {
    fn asked(&self) -> Vec<u32> {
        self.asked.lock().unwrap().clone()
    }
}

impl OutsideSystem for Tired {
    type Place = u32;

    fn name(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> Vec<CollectionName> {
        vec![name("cases")]
    }

    async fn start(
        &self,
        _collection: &CollectionName,
        _span: &Span,
        _rested: Option<&u32>,
    ) -> Result<Start<u32>, CallError> {
        Ok(Start::Listing(1))
    }

    async fn page(
        &self,
        _collection: &CollectionName,
        place: &u32,
        _most: usize,
    ) -> Result<Page<u32>, CallError> {
        self.asked.lock().unwrap().push(*place);
        if *place == 2 && *self.spent.lock().unwrap() {
            *self.rest.lock().unwrap() = Some(Duration::from_secs(3600));
            // As one that waits at its gate.
            std::future::pending::<()>().await;
        }
        let case =
            Shown { id: place.to_string(), key: Key::parse(&format!("E-{place}")), ..Shown::default() };
        let next = if *place < 3 { Next::More(place + 1) } else { Next::End(0) };
        Ok(Page { records: vec![case], next, notices: Vec::new() })
    }

    async fn by_ids(&self, _collection: &CollectionName, _ids: &[String]) -> Result<Page<()>, CallError> {
        Ok(Page { records: Vec::new(), next: Next::End(()), notices: Vec::new() })
    }

    async fn capacity(&self) -> usize {
        1
    }

    fn closed_for(&self) -> Option<Duration> {
        *self.rest.lock().unwrap()
    }

    fn in_batches(&self, _collection: &CollectionName) -> bool {
        false
    }

    async fn apply(&self, _collection: &CollectionName, _tasks: Vec<PushTask>) -> Vec<Effect> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_listing_that_meets_a_rest_of_an_hour_tells_its_run_stops_at_once_and_goes_on_where_it_was() {
    let office = Office::open().await;
    let system = Arc::new(Tired {
        name: name("gis"),
        spent: Mutex::new(true),
        rest: Mutex::default(),
        asked: Mutex::default(),
    });
    let client = office.broker.client();
    let mut told = client.subscribe("run.*.waiting").await.unwrap();
    let mut listed = client.subscribe("run.*.listed").await.unwrap();
    let begin = |stop: &CancellationToken| {
        tokio::spawn(Pulls::new(office.broker.clone(), Arc::clone(&system), Budget::none()).run(stop.clone()))
    };
    let stop = CancellationToken::new();
    let working = begin(&stop);
    let run = office
        .broker
        .publish("sync.request.gis".to_owned(), &SyncRequest::default(), &Envelope::default())
        .await
        .unwrap();
    let event = within(told.next()).await.unwrap();
    assert_eq!(event.subject.as_str(), format!("run.{run}.waiting"));
    let event: Waiting = serde_json::from_slice(&event.payload).unwrap();
    assert_eq!((event.system.as_str(), event.pushes), ("gis", 0));
    assert!(event.reason.contains("for 60 more minutes"), "{}", event.reason);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), working).await.expect("it does not stop").unwrap().unwrap();

    // Another process, while the rest lasts, calls nobody; after it, it goes on.
    let stop = CancellationToken::new();
    let working = begin(&stop);
    within(told.next()).await.unwrap();
    assert_eq!(system.asked(), [1, 2]);
    *system.spent.lock().unwrap() = false;
    *system.rest.lock().unwrap() = None;
    let event: Listed = serde_json::from_slice(&within(listed.next()).await.unwrap().payload).unwrap();
    assert_eq!((event.complete, event.records, event.error), (true, 3, None));
    assert_eq!(system.asked(), [1, 2, 2, 3]);
    let stream = office.broker.jetstream().get_stream(names::PULL).await.unwrap();
    let mut pulled = stream.info_with_subjects("pull.>").await.unwrap();
    let mut counts = Vec::new();
    while let Some(next) = pulled.next().await {
        counts.push(next.unwrap().1);
    }
    assert_eq!(counts, [1, 1, 1], "each record once");
    stop.cancel();
    within(working).await.unwrap().unwrap();
}

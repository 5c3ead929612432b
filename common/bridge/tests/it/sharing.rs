use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use databridge_bridge::{Effect, Next, OutsideSystem, Page, Pulls, PushTask, Shown, Span, Start};
use databridge_broker::Envelope;
use databridge_broker::async_nats::jetstream::consumer::pull;
use databridge_http::{Budget, CallError, ErrorClass};
use databridge_model::{CollectionName, Key, Listed, Mode, SyncRequest, SystemName};
use futures::StreamExt;
use tokio::sync::Semaphore;

use crate::office::{Office, name, within};

/// A system of one record.
#[derive(Debug)]
struct Register {
    name: SystemName,
    /// The calls for a page.
    calls: AtomicUsize,
    /// What a call waits for before it is answered.
    gate: Semaphore,
    /// So many calls fail.
    failing: AtomicUsize,
}

impl Register {
    fn new(open: usize) -> Arc<Self> {
        Arc::new(Self {
            name: name("gis"),
            calls: AtomicUsize::new(0),
            gate: Semaphore::new(open),
            failing: AtomicUsize::new(0),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl OutsideSystem for Register {
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
        Ok(Start::Listing(0))
    }

    async fn page(
        &self,
        _collection: &CollectionName,
        place: &u32,
        _most: usize,
    ) -> Result<Page<u32>, CallError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        if self.failing.load(Ordering::SeqCst) > 0 {
            self.failing.fetch_sub(1, Ordering::SeqCst);
            let (call, message) = ("GET cases".to_owned(), "the line broke".to_owned());
            return Err(CallError { class: ErrorClass::Transient, call, message });
        }
        let case = Shown { id: "1".to_owned(), key: Key::parse("E-1"), ..Shown::default() };
        Ok(Page { records: vec![case], next: Next::End(*place), notices: Vec::new() })
    }

    async fn by_ids(&self, _collection: &CollectionName, _ids: &[String]) -> Result<Page<()>, CallError> {
        Ok(Page { records: Vec::new(), next: Next::End(()), notices: Vec::new() })
    }

    async fn capacity(&self) -> usize {
        1
    }

    fn in_batches(&self, _collection: &CollectionName) -> bool {
        false
    }

    async fn apply(&self, _collection: &CollectionName, _tasks: Vec<PushTask>) -> Vec<Effect> {
        Vec::new()
    }
}

async fn ask(office: &Office, mode: Mode) -> u64 {
    let request = SyncRequest { mode, ..SyncRequest::default() };
    office.broker.publish("sync.request.gis".to_owned(), &request, &Envelope::default()).await.unwrap()
}

/// The ends of so many listings, in the order of their requests.
async fn listed(office: &Office, count: usize) -> Vec<Listed> {
    let stream = office.broker.jetstream().get_stream("RUN").await.unwrap();
    let config =
        pull::OrderedConfig { filter_subject: "run.*.listed".to_owned(), ..pull::OrderedConfig::default() };
    let messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let read = messages.take(count).map(|message| serde_json::from_slice(&message.unwrap().payload).unwrap());
    let mut listed: Vec<Listed> = within(read.collect()).await;
    listed.sort_by_key(|listed| listed.request);
    listed
}

fn serve(office: &Office, register: &Arc<Register>) {
    let (broker, stop) = (office.broker.clone(), office.stop.clone());
    tokio::spawn(Pulls::new(broker, Arc::clone(register), Budget::none()).run(stop));
}

#[tokio::test]
async fn requests_that_wait_together_for_the_same_are_listed_once() {
    let (office, register) = (Office::open().await, Register::new(100));
    let mut requests = Vec::new();
    for _ in 0..20 {
        requests.push(ask(&office, Mode::Incremental).await);
    }
    serve(&office, &register);
    let ends = listed(&office, 20).await;
    assert_eq!(register.calls(), 1);
    assert_eq!(ends.iter().map(|end| end.request).collect::<Vec<_>>(), requests);
    assert!(ends.iter().all(|end| end.complete && end.pull_last == 1), "{ends:?}");
    assert_eq!(ends.iter().map(|end| end.records).collect::<Vec<_>>(), [&[1_u64][..], &[0; 19]].concat());
    // What is asked for later is read anew.
    ask(&office, Mode::Incremental).await;
    let last = listed(&office, 21).await.pop().unwrap();
    assert_eq!((register.calls(), last.records), (2, 1));
}

#[tokio::test]
async fn a_request_that_comes_while_a_listing_is_read_is_not_answered_by_it() {
    let (office, register) = (Office::open().await, Register::new(0));
    serve(&office, &register);
    ask(&office, Mode::Incremental).await;
    within(async {
        while register.calls() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for _ in 0..2 {
        ask(&office, Mode::Incremental).await;
    }
    register.gate.add_permits(100);
    let ends = listed(&office, 3).await;
    assert_eq!(register.calls(), 2);
    assert_eq!(ends.iter().map(|end| end.records).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(ends[2].pull_last, ends[1].pull_last);
    assert!(ends[1].pull_last > ends[0].pull_last);
}

#[tokio::test]
async fn a_request_of_another_mode_has_its_own_listing_and_what_shares_a_whole_one_is_not_told_as_whole() {
    let (office, register) = (Office::open().await, Register::new(100));
    for mode in [Mode::Incremental, Mode::Full, Mode::Incremental, Mode::Full] {
        ask(&office, mode).await;
    }
    serve(&office, &register);
    let ends = listed(&office, 4).await;
    assert_eq!(register.calls(), 2);
    assert_eq!(ends.iter().map(|end| end.records).collect::<Vec<_>>(), [1, 1, 0, 0]);
    assert_eq!(ends.iter().map(|end| end.whole).collect::<Vec<_>>(), [false, true, false, false]);
}

#[tokio::test]
async fn a_listing_that_broke_off_answers_nobody_else() {
    let (office, register) = (Office::open().await, Register::new(100));
    register.failing.store(1, Ordering::SeqCst);
    for _ in 0..3 {
        ask(&office, Mode::Incremental).await;
    }
    serve(&office, &register);
    let ends = listed(&office, 3).await;
    assert_eq!(register.calls(), 2);
    assert_eq!(ends.iter().map(|end| end.complete).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(ends.iter().map(|end| end.records).collect::<Vec<_>>(), [0, 1, 0]);
}

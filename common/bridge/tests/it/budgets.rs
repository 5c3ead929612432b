use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use databridge_bridge::{
    ContentError, ContentProvider, Effect, KeptCount, Next, OfferedContent, OutsideSystem, Page, PushTask,
    ServeError, Shown, Span, Start, budget_of, effect_of_error, fetch, serve,
};
use databridge_broker::async_nats::jetstream::consumer::pull;
use databridge_broker::{Broker, Envelope, ensure_topology, names};
use databridge_config::env::NatsEnv;
use databridge_http::{Budget, CallError};
use databridge_model::{
    CollectionName, Failure, FailureClass, Fields, Key, Listed, Op, Outcome, OutcomeResult, PushId,
    PushRequest, RunId, SyncRequest, SystemName, Waiting,
};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::office::{name, photo, within};

/// A system of five pages. Each step of a push is a call.
#[derive(Clone)]
struct Shop {
    name: SystemName,
    budget: Budget,
    calls: Arc<AtomicU32>,
    /// What a page or a content costs in calls.
    price: u32,
    /// The steps of a push.
    steps: u32,
    /// Those that are done of the push at hand.
    done: Arc<AtomicU32>,
    /// So many times the last step fails.
    failing: Arc<AtomicU32>,
}

impl Shop {
    async fn call(&self, call: &str) -> Result<(), CallError> {
        let _paid = self.budget.pay(call).await?;
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn read(&self, call: &str) -> Result<(), CallError> {
        for _ in 0..self.price {
            self.call(call).await?;
        }
        Ok(())
    }

    async fn push(&self, task: &PushTask) -> Effect {
        while self.done.load(Ordering::SeqCst) < self.steps {
            let done = self.done.load(Ordering::SeqCst);
            if done + 1 == self.steps && self.failing.load(Ordering::SeqCst) > 0 {
                self.failing.fetch_sub(1, Ordering::SeqCst);
                let message = "the line broke".to_owned();
                return Effect::Failed(Failure { class: FailureClass::Transient, message, field: None });
            }
            if let Err(error) = self.call("POST cases").await {
                return match effect_of_error(&error, 0) {
                    Effect::NotNow(wait) if done > 0 => Effect::Halfway(wait),
                    effect => effect,
                };
            }
            self.done.store(done + 1, Ordering::SeqCst);
        }
        self.done.store(0, Ordering::SeqCst);
        // What was begun before is found.
        Effect::settled(if task.doubtful { OutcomeResult::Exists } else { OutcomeResult::Written }, 1)
    }
}

const PAGES: u32 = 5;

impl OutsideSystem for Shop {
    type Place = u32;

    fn name(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> Vec<CollectionName> {
        vec![name("cases")]
    }

    async fn start(
        &self,
        _: &CollectionName,
        _: &Span,
        rested: Option<&u32>,
    ) -> Result<Start<u32>, CallError> {
        Ok(Start::Listing(rested.copied().unwrap_or_default()))
    }

    async fn page(&self, _: &CollectionName, place: &u32, _: usize) -> Result<Page<u32>, CallError> {
        self.read("GET cases").await?;
        let id = (place + 1).to_string();
        let case = Shown { key: Key::parse(&id), id, ..Shown::default() };
        let next = if place + 1 == PAGES { Next::End(0) } else { Next::More(place + 1) };
        Ok(Page { records: vec![case], next, notices: Vec::new() })
    }

    async fn by_ids(&self, _: &CollectionName, ids: &[String]) -> Result<Page<()>, CallError> {
        self.read("GET cases").await?;
        let records = ids.iter().map(|id| Shown { id: id.clone(), ..Shown::default() }).collect();
        Ok(Page { records, next: Next::End(()), notices: Vec::new() })
    }

    async fn capacity(&self) -> usize {
        8
    }

    fn in_batches(&self, _: &CollectionName) -> bool {
        false
    }

    async fn apply(&self, _: &CollectionName, tasks: Vec<PushTask>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for task in tasks {
            effects.push(self.push(&task).await);
        }
        effects
    }

    fn contents(&self) -> Option<impl ContentProvider + use<>> {
        Some(self.clone())
    }
}

impl ContentProvider for Shop {
    async fn open(&self, _: &CollectionName, _: &str) -> Result<OfferedContent, CallError> {
        self.read("GET content").await?;
        let bytes = futures::stream::iter([Ok("bytes".into())]).boxed();
        Ok(OfferedContent { size: 5, content_type: None, bytes })
    }
}

struct Office {
    broker: Broker,
    clock: Clock,
    nats: NatsServer,
}

impl Office {
    async fn open() -> Self {
        let nats = NatsServer::ephemeral_with(|options| options.sync_always = false).await.unwrap();
        let clock = Clock::standing_at("2026-11-20T20:00:00Z".parse().unwrap());
        let broker = connected(&nats, &clock).await;
        ensure_topology(&broker).await.unwrap();
        Self { broker, clock, nats }
    }

    async fn shop(&self, per_day: u32) -> Shop {
        let name = name("gis");
        let budget = budget_of(&self.broker, &name, Some(per_day)).await.unwrap();
        Shop {
            name,
            budget,
            calls: Arc::default(),
            price: 1,
            steps: 1,
            done: Arc::default(),
            failing: Arc::default(),
        }
    }

    fn serve(&self, shop: &Shop) -> (JoinHandle<Result<(), ServeError>>, CancellationToken) {
        let token = CancellationToken::new();
        let serving = serve(self.broker.clone(), shop.clone(), shop.budget.clone(), token.clone());
        (tokio::spawn(serving), token)
    }

    async fn count(&self) -> u32 {
        let bucket = self.broker.bucket::<KeptCount>(names::BUDGETS).await.unwrap();
        bucket.get("gis").await.unwrap().map_or(0, |kept| kept.value.count.calls)
    }

    /// Waits for so many messages of a stream.
    async fn said<T: DeserializeOwned>(&self, stream: &str, subject: &str, count: usize) -> Vec<T> {
        let stream = self.broker.jetstream().get_stream(stream).await.unwrap();
        let config =
            pull::OrderedConfig { filter_subject: subject.to_owned(), ..pull::OrderedConfig::default() };
        let messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
        let read =
            messages.take(count).map(|message| serde_json::from_slice(&message.unwrap().payload).unwrap());
        within(read.collect()).await
    }

    async fn push(&self, number: u64) {
        let push = PushRequest {
            push: Some(PushId { link: format!("link.{number}"), counter: 1 }),
            op: Op::Create,
            target: None,
            set: Fields::new(),
            parent: None,
            source: None,
            expect: Fields::new(),
            absent_in: None,
            run: Some(RunId(7)),
            why: String::new(),
        };
        let subject = format!("push.live.gis.cases.{number}");
        self.broker.publish(subject, &push, &Envelope::default()).await.unwrap();
    }

    async fn ask(&self, request: &SyncRequest) -> RunId {
        let subject = "sync.request.gis".to_owned();
        RunId(self.broker.publish(subject, request, &Envelope::default()).await.unwrap())
    }
}

async fn connected(nats: &NatsServer, clock: &Clock) -> Broker {
    let settings = NatsEnv { nats_ack_wait_seconds: 5, ..NatsEnv::at(nats.url()) };
    Broker::connect(&settings, "test", clock.clone(), Duration::from_secs(10)).await.unwrap()
}

const WHY: &str = "the budget of 3 calls a day (GIS_CALLS_PER_DAY) is used up until 2026-11-21 00:00 UTC";

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_take_from_one_budget_at_once_make_no_call_too_many() {
    let office = Office::open().await;
    let mut spending = Vec::new();
    for _ in 0..4 {
        let broker = connected(&office.nats, &office.clock).await;
        let budget = budget_of(&broker, &name("gis"), Some(777)).await.unwrap();
        spending.push(tokio::spawn(async move {
            let mut calls = 0;
            while budget.pay("GET cases").await.is_ok() {
                calls += 1;
            }
            calls
        }));
    }
    let mut calls = 0;
    for spent in spending {
        calls += spent.await.unwrap();
    }
    assert_eq!((calls, office.count().await), (777, 777));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_takes_over_goes_on_with_the_count() {
    let office = Office::open().await;
    let one = office.shop(1_000).await;
    for _ in 0..25 {
        one.call("GET cases").await.unwrap();
    }
    // It dies with five calls in hand.
    drop(one);
    let other = office.shop(1_000).await;
    other.call("GET cases").await.unwrap();
    assert_eq!(office.count().await, 40);
    // In an orderly stop what is in hand is given back.
    let (serving, stop) = office.serve(&other);
    stop.cancel();
    within(serving).await.unwrap().unwrap();
    assert_eq!(office.count().await, 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_wait_for_the_next_day_and_their_run_is_told_why() {
    let office = Office::open().await;
    let shop = office.shop(3).await;
    for number in 1..=5 {
        office.push(number).await;
    }
    let (_serving, _stop) = office.serve(&shop);
    let waiting = office.said::<Waiting>("RUN", "run.7.waiting", 1).await.remove(0);
    assert_eq!(waiting.reason, format!("{WHY}; they go on by themselves"));
    assert_eq!((waiting.system.as_str(), waiting.pushes), ("gis", 2));
    assert_eq!(office.said::<Outcome>("OUTCOME", "outcome.>", 3).await.len(), 3);
    assert_eq!(shop.calls.load(Ordering::SeqCst), 3);
    office.clock.advance(TimeDelta::hours(4));
    let outcomes = office.said::<Outcome>("OUTCOME", "outcome.>", 5).await;
    // What waited was no attempt: none of them was looked up as one that may have been made.
    assert!(outcomes.iter().all(|outcome| outcome.result == OutcomeResult::Written), "{outcomes:?}");
    assert_eq!(shop.calls.load(Ordering::SeqCst), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_takes_more_days_than_it_has_attempts_is_gone_on_with_each_day_and_is_not_given_up() {
    let office = Office::open().await;
    let shop = Shop { steps: 9, ..office.shop(1).await };
    shop.failing.store(2, Ordering::SeqCst);
    office.push(1).await;
    let (_serving, _stop) = office.serve(&shop);
    for day in 1..=9 {
        within(async {
            while shop.calls.load(Ordering::SeqCst) < day {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        office.clock.advance(TimeDelta::days(1));
    }
    let outcome = office.said::<Outcome>("OUTCOME", "outcome.>", 1).await.remove(0);
    assert_eq!(outcome.result, OutcomeResult::Exists, "what was begun is looked up: {outcome:?}");
    assert_eq!(shop.calls.load(Ordering::SeqCst), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_on_the_next_day_where_it_was_and_its_run_is_told_why() {
    let office = Office::open().await;
    let shop = office.shop(3).await;
    let run = office.ask(&SyncRequest::default()).await;
    let (_serving, _stop) = office.serve(&shop);
    let waiting = office.said::<Waiting>("RUN", &format!("run.{run}.waiting"), 1).await.remove(0);
    assert_eq!((waiting.reason, waiting.pushes), (format!("{WHY}; it goes on by itself"), 0));
    assert_eq!(shop.calls.load(Ordering::SeqCst), 3);
    office.clock.advance(TimeDelta::hours(4));
    let listed = office.said::<Listed>("RUN", "run.*.listed", 1).await.remove(0);
    assert!(listed.complete && listed.records == 5, "{listed:?}");
    assert_eq!(shop.calls.load(Ordering::SeqCst), 5, "no page was asked for twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_could_not_go_on_the_next_day_breaks_off_with_the_reason() {
    let office = Office::open().await;
    let shop = office.shop(3).await;
    let (_serving, _stop) = office.serve(&shop);
    office.ask(&SyncRequest { dry_run: true, ..SyncRequest::default() }).await;
    let listed = office.said::<Listed>("RUN", "run.*.listed", 1).await.remove(0);
    let error = listed.error.unwrap();
    assert_eq!((error.class, error.message), (FailureClass::Limited, format!("listing of cases: {WHY}")));
    assert_eq!(shop.calls.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_budget_breaks_off_in_its_midst_is_asked_for_again_the_next_day() -> Result<(), ContentError>
{
    let office = Office::open().await;
    let shop = Shop { price: 2, ..office.shop(9).await };
    let (_serving, _stop) = office.serve(&shop);
    for ids in [Vec::new(), vec!["1".to_owned()]] {
        office.ask(&SyncRequest { ids, ..SyncRequest::default() }).await;
    }
    let days = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if shop.budget.closed().await.is_some() {
                office.clock.advance(TimeDelta::days(1));
            }
        }
    };
    let work = async {
        let mut listed = office.said::<Listed>("RUN", "run.*.listed", 2).await;
        assert!(listed.iter().all(|listed| listed.complete), "{listed:?}");
        listed.sort_by_key(|listed| listed.request);
        assert_eq!(listed.iter().map(|listed| listed.records).collect::<Vec<_>>(), [5, 1]);
        for id in ["1", "2", "3"] {
            assert_eq!(fetch(&office.broker, &photo(id), None).await?.object.size, 5);
        }
        Ok(())
    };
    tokio::select! {
        () = days => Ok(()),
        done = work => done,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_is_brought_the_next_day_and_the_run_of_who_asked_is_told_why() -> Result<(), ContentError>
{
    let office = Office::open().await;
    let shop = office.shop(3).await;
    for _ in 0..3 {
        shop.call("GET cases").await.unwrap();
    }
    let (_serving, _stop) = office.serve(&shop);
    let asked = async {
        loop {
            match fetch(&office.broker, &photo("1"), Some(RunId(7))).await {
                Err(ContentError::NobodyThere(_)) => {}
                content => return content,
            }
        }
    };
    let waits = async {
        let waiting = office.said::<Waiting>("RUN", "run.7.waiting", 1).await.remove(0);
        office.clock.advance(TimeDelta::hours(4));
        waiting
    };
    let (content, waiting) = within(Box::pin(async { tokio::join!(asked, waits) })).await;
    assert_eq!(content?.object.size, 5);
    assert_eq!(waiting.reason, format!("{WHY}; it goes on by itself"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_the_next_day_keeps_nobody_from_stopping() {
    let office = Office::open().await;
    let shop = office.shop(3).await;
    let run = office.ask(&SyncRequest::default()).await;
    let (serving, token) = office.serve(&shop);
    office.said::<Waiting>("RUN", &format!("run.{run}.waiting"), 1).await;
    token.cancel();
    within(serving).await.unwrap().unwrap();
    let next = Shop { budget: office.shop(3).await.budget, ..shop.clone() };
    let (_serving, _stop) = office.serve(&next);
    office.clock.advance(TimeDelta::hours(4));
    let listed = office.said::<Listed>("RUN", "run.*.listed", 1).await.remove(0);
    assert!(listed.complete && listed.records == 5, "{listed:?}");
    assert_eq!(shop.calls.load(Ordering::SeqCst), 5);
}

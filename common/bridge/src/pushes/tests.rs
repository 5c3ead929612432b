//! Pushes over a real nats-server, to a system that does what the test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use databridge_broker::async_nats::Subscriber;
use databridge_broker::{Broker, Envelope, ensure_topology, names};
use databridge_config::env::NatsEnv;
use databridge_http::{Budget, CallError};
use databridge_model::subject::{self, Lane};
use databridge_model::{
    CollectionName, Fields, KeyToken, Op, Outcome, OutcomeResult, PushId, PushRequest, Source, SystemName,
};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::long::MOST_LONG;
use super::{Pushes, PushesError};
use crate::{Effect, Intent, OutsideSystem, Page, PushTask, Shown, Span, Start, Wait};

const FILMS: &str = "films";
const MATTERS: &str = "matters";

/// A system that holds every push until its key is released.
#[derive(Clone)]
struct Held {
    name: SystemName,
    released: watch::Sender<BTreeSet<String>>,
    seen: Arc<Mutex<Seen>>,
    /// What comes of the first attempts at a push, by its key.
    at_first: Arc<Mutex<BTreeMap<String, VecDeque<Effect>>>>,
}

#[derive(Default)]
struct Seen {
    under_way: Vec<String>,
    most_films: usize,
    begun: BTreeMap<String, u32>,
    /// Pushes that were told, while they lasted, that they are another's.
    lost: u32,
    /// Whether each attempt was told to look first.
    doubtful: Vec<bool>,
}

impl Held {
    fn release(&self, key: &str) {
        self.released.send_modify(|keys| {
            keys.insert(key.to_owned());
        });
    }

    fn begun(&self, key: &str) -> u32 {
        self.seen.lock().unwrap().begun.get(key).copied().unwrap_or_default()
    }

    async fn hold(&self, collection: &CollectionName, task: &PushTask) -> Effect {
        let key = task.push.why.clone();
        {
            let mut seen = self.seen.lock().unwrap();
            seen.under_way.push(key.clone());
            *seen.begun.entry(key.clone()).or_default() += 1;
            seen.doubtful.push(task.doubtful);
            if collection.as_str() == FILMS {
                seen.most_films = seen.most_films.max(seen.under_way.len());
            }
        }
        if let Some(effect) = self.at_first.lock().unwrap().get_mut(&key).and_then(VecDeque::pop_front) {
            self.seen.lock().unwrap().under_way.retain(|other| *other != key);
            return effect;
        }
        let mut released = self.released.subscribe();
        released.wait_for(|keys| keys.contains(&key)).await.unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.under_way.retain(|other| *other != key);
        seen.lost += u32::from(!task.still_mine.now());
        Effect::settled(OutcomeResult::Written, 1)
    }
}

impl OutsideSystem for Held {
    type Place = ();

    fn name(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> Vec<CollectionName> {
        [FILMS, MATTERS].map(|name| name.parse().unwrap()).into()
    }

    async fn start(&self, _: &CollectionName, _: &Span, _: Option<&()>) -> Result<Start<()>, CallError> {
        Ok(Start::Nothing(()))
    }

    async fn page(&self, _: &CollectionName, (): &(), _: usize) -> Result<Page<()>, CallError> {
        Ok(Page { records: Vec::<Shown>::new(), next: crate::Next::End(()), notices: Vec::new() })
    }

    async fn by_ids(&self, collection: &CollectionName, _: &[String]) -> Result<Page<()>, CallError> {
        self.page(collection, &(), 0).await
    }

    async fn capacity(&self) -> usize {
        8
    }

    fn in_batches(&self, _: &CollectionName) -> bool {
        false
    }

    fn takes_long(&self, collection: &CollectionName) -> bool {
        collection.as_str() == FILMS
    }

    async fn apply(&self, collection: &CollectionName, tasks: Vec<PushTask>) -> Vec<Effect> {
        futures::future::join_all(tasks.iter().map(|task| self.hold(collection, task))).await
    }
}

/// A push to the record of this key.
fn push_of(push: Option<PushId>, key: &str) -> PushRequest {
    PushRequest {
        push,
        op: Op::Create,
        target: None,
        set: Fields::new(),
        parent: None,
        source: None,
        expect: Fields::new(),
        absent_in: None,
        run: None,
        why: key.to_owned(),
    }
}

struct Bench {
    broker: Broker,
    system: Held,
    outcomes: Subscriber,
    stop: CancellationToken,
    worker: JoinHandle<Result<(), PushesError>>,
    nats: NatsServer,
}

impl Bench {
    async fn at_work(ack_wait_seconds: u64) -> Self {
        let nats = NatsServer::ephemeral_with(|options| options.sync_always = false).await.unwrap();
        let settings = NatsEnv { nats_ack_wait_seconds: ack_wait_seconds, ..NatsEnv::at(nats.url()) };
        let broker =
            Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(10)).await.unwrap();
        ensure_topology(&broker).await.unwrap();
        let system = Held {
            name: "held".parse().unwrap(),
            released: watch::Sender::default(),
            seen: Arc::default(),
            at_first: Arc::default(),
        };
        let outcomes = broker.client().subscribe("outcome.>").await.unwrap();
        broker.client().flush().await.unwrap();
        let stop = CancellationToken::new();
        let pushes = Pushes::new(broker.clone(), Arc::new(system.clone()), Budget::none());
        let worker = tokio::spawn(pushes.run(stop.clone()));
        Self { broker, system, outcomes, stop, worker, nats }
    }

    /// A push of a link to the record of this key.
    async fn push(&self, collection: &str, key: &str, link: &str) {
        self.push_on(Lane::Live, collection, key, link).await;
    }

    async fn push_on(&self, lane: Lane, collection: &str, key: &str, link: &str) {
        let push = push_of(Some(PushId { link: link.to_owned(), counter: 1 }), key);
        self.push_this(lane, collection, key, push).await;
    }

    async fn push_this(&self, lane: Lane, collection: &str, key: &str, push: PushRequest) {
        let token = KeyToken::from_subject(key);
        let subject = subject::push(lane, &self.system.name, &collection.parse().unwrap(), &token);
        self.broker.publish(subject, &push, &Envelope::default()).await.unwrap();
    }

    /// The next outcome: the link of its push.
    async fn outcome(&mut self) -> String {
        self.outcome_of().await.link
    }

    /// The next outcome: its push.
    async fn outcome_of(&mut self) -> PushId {
        let told =
            tokio::time::timeout(Duration::from_secs(30), self.outcomes.next()).await.unwrap().unwrap();
        let outcome: Outcome = serde_json::from_slice(&told.payload).unwrap();
        assert_eq!(outcome.result, OutcomeResult::Written);
        outcome.push
    }

    /// Waits until this is so.
    async fn until(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !is_so(&self.system.seen.lock().unwrap()) {
            assert!(tokio::time::Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the object store of contents holds: objects, with the marks of deleted ones, and chunks.
    async fn kept(&self) -> (usize, usize) {
        let stream = self.broker.jetstream().get_stream(format!("OBJ_{}", names::CONTENT)).await.unwrap();
        let mut counts = stream.info_with_subjects(">").await.unwrap();
        let mut kept = (0, 0);
        while let Some(next) = counts.next().await {
            let (subject, count) = next.unwrap();
            *(if subject.contains(".M.") { &mut kept.0 } else { &mut kept.1 }) += count;
        }
        kept
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.worker).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn long_pushes_hold_up_no_others_and_at_most_four_are_done_at_once() {
    let mut bench = Bench::at_work(60).await;
    let films: Vec<_> = (0..MOST_LONG + 3).map(|number| format!("film-{number}")).collect();
    for film in &films {
        bench.push(FILMS, film, film).await;
    }
    bench.until("four films are begun", |seen| seen.under_way.len() == MOST_LONG).await;
    bench.system.release("E-1");
    bench.push(MATTERS, "E-1", "matter").await;
    assert_eq!(bench.outcome().await, "matter");
    for film in &films {
        bench.system.release(film);
    }
    let mut done = BTreeSet::new();
    for _ in &films {
        done.insert(bench.outcome().await);
    }
    assert_eq!(done, films.iter().cloned().collect());
    assert_eq!(bench.system.seen.lock().unwrap().most_films, MOST_LONG);
    bench.end().await;
}

/// More than the broker gives out of one lane before it has heard of the first.
const VERY_MANY: usize = 2_100;

#[tokio::test]
async fn a_lane_full_of_long_pushes_holds_up_no_others_in_either_lane() {
    let mut bench = Bench::at_work(60).await;
    for lane in [Lane::Live, Lane::Bulk] {
        for some in (0..VERY_MANY).collect::<Vec<_>>().chunks(100) {
            let films = some.iter().map(|number| format!("film-{}-{number}", lane.as_str()));
            let films = films.map(|film| {
                let bench = &bench;
                async move { bench.push_on(lane, FILMS, &film, &film).await }
            });
            futures::future::join_all(films).await;
        }
    }
    bench.until("four films are begun", |seen| seen.under_way.len() == MOST_LONG).await;
    for (lane, matter) in [(Lane::Live, "E-1"), (Lane::Bulk, "E-2")] {
        bench.system.release(matter);
        bench.push_on(lane, MATTERS, matter, matter).await;
        assert_eq!(bench.outcome().await, matter);
    }
    assert_eq!(bench.system.seen.lock().unwrap().most_films, MOST_LONG);
    for film in bench.system.seen.lock().unwrap().under_way.clone() {
        bench.system.release(&film);
    }
    bench.outcome().await;
    // The others are held for good.
    bench.worker.abort();
}

#[tokio::test]
async fn a_push_that_is_set_aside_twice_is_done_once_and_a_persons_keeps_its_id() {
    let mut bench = Bench::at_work(60).await;
    bench.system.release("film");
    let (name, films) = (bench.system.name.clone(), FILMS.parse().unwrap());
    let token = KeyToken::from_subject("film");
    let first = subject::push(Lane::Live, &name, &films, &token);
    let sequence = bench.broker.publish(first, &push_of(None, "film"), &Envelope::default()).await.unwrap();
    let id = PushId::of_person(sequence);
    assert_eq!(bench.outcome_of().await, id);
    // As if the bridge had died between the copy and the acknowledgement, long ago.
    let aside = subject::long_push(Lane::Live, &name, &films, &token);
    bench.broker.publish(aside, &push_of(Some(id.clone()), "film"), &Envelope::default()).await.unwrap();
    assert_eq!(bench.outcome_of().await, id);
    assert_eq!(bench.system.begun("film"), 1);
    bench.end().await;
}

#[tokio::test]
async fn a_slow_push_holds_up_others_for_moments_only() {
    let mut bench = Bench::at_work(60).await;
    bench.push(MATTERS, "slow", "slow").await;
    bench.until("it is begun", |seen| !seen.under_way.is_empty()).await;
    bench.system.release("quick");
    bench.push(MATTERS, "quick", "quick").await;
    assert_eq!(bench.outcome().await, "quick");
    bench.system.release("slow");
    assert_eq!(bench.outcome().await, "slow");
    bench.end().await;
}

#[tokio::test]
async fn a_record_has_one_push_under_way() {
    let mut bench = Bench::at_work(60).await;
    bench.push(MATTERS, "E-1", "one").await;
    bench.until("the first is begun", |seen| !seen.under_way.is_empty()).await;
    bench.push(MATTERS, "E-1", "two").await;
    // Another record's push shows that the second one of this was taken, too.
    bench.system.release("E-2");
    bench.push(MATTERS, "E-2", "other").await;
    assert_eq!(bench.outcome().await, "other");
    assert_eq!(bench.system.begun("E-1"), 1);
    bench.system.release("E-1");
    assert_eq!(bench.outcome().await, "one");
    assert_eq!(bench.outcome().await, "two");
    assert_eq!(bench.system.begun("E-1"), 2);
    bench.end().await;
}

#[tokio::test]
async fn once_a_push_is_answered_all_contents_of_its_source_are_gone_and_no_others() {
    let mut bench = Bench::at_work(60).await;
    let store = bench.broker.jetstream().get_object_store(names::CONTENT).await.unwrap();
    for name in ["gis.photos.=i1.10", "gis.photos.=i1.300000", "gis.photos.=i10.10"] {
        store.put(name, &mut vec![7_u8; 300_000].as_slice()).await.unwrap();
    }
    let photo =
        Source { system: "gis".parse().unwrap(), collection: "photos".parse().unwrap(), id: "1".to_owned() };
    let id = Some(PushId { link: "photo".to_owned(), counter: 1 });
    let push = PushRequest { source: Some(photo), ..push_of(id, "E-1") };
    bench.push_this(Lane::Live, FILMS, "E-1", push).await;
    bench.until("the push is under way", |seen| !seen.under_way.is_empty()).await;
    assert_eq!(bench.kept().await, (3, 9), "objects and chunks, while they may be needed");
    bench.system.release("E-1");
    assert_eq!(bench.outcome().await, "photo");
    let gone = async { while bench.kept().await != (1, 3) {} };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("its contents stay, or another's go");
    store.get("gis.photos.=i10.10").await.unwrap();
    bench.end().await;
}

#[tokio::test]
async fn a_push_that_the_broker_has_forgotten_is_answered_and_not_done_again() {
    let mut bench = Bench::at_work(60).await;
    bench.system.release("E-1");
    let push = push_of(Some(PushId { link: "matter".to_owned(), counter: 1 }), "E-1");
    let envelope = Envelope::default().with_id("matter.1");
    let publish = async |bench: &Bench| {
        let subject = "push.live.held.matters.E-1".to_owned();
        bench.broker.publish(subject, &push, &envelope).await.unwrap()
    };
    let first = publish(&bench).await;
    assert_eq!(bench.outcome().await, "matter");
    assert_eq!(publish(&bench).await, first, "for ten minutes the broker knows it");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    // The one that is always first there stays.
    while bench.broker.jetstream().get_stream(names::PUSH).await.unwrap().cached_info().state.messages > 1 {
        assert!(tokio::time::Instant::now() < deadline, "the push is not acknowledged");
    }
    bench.nats.kill9().unwrap();
    bench.nats.restart().await.unwrap();
    // Of what is taken out of its stream it forgets the ids.
    assert!(publish(&bench).await > first);
    assert_eq!(bench.outcome().await, "matter");
    assert_eq!(bench.system.begun("E-1"), 1);
    bench.end().await;
}

#[tokio::test]
async fn a_wait_is_no_attempt_and_after_a_part_was_done_it_is_looked_up_first() {
    let mut bench = Bench::at_work(60).await;
    let wait = Wait::from(Duration::from_millis(10));
    // More often than a push is attempted.
    let waits = [Effect::NotNow(wait.clone()), Effect::NotNow(wait.clone())].into_iter();
    let halves = std::iter::repeat_n(Effect::Halfway(wait), 10);
    bench.system.at_first.lock().unwrap().insert("E-1".to_owned(), waits.chain(halves).collect());
    bench.system.release("E-1");
    bench.push(MATTERS, "E-1", "matter").await;
    assert_eq!(bench.outcome().await, "matter");
    let looked = bench.system.seen.lock().unwrap().doubtful.clone();
    assert_eq!(looked, [[false; 3].as_slice(), &[true; 10]].concat());
    bench.end().await;
}

#[tokio::test]
async fn a_push_that_lasts_longer_than_the_brokers_patience_stays_its_workers() {
    let mut bench = Bench::at_work(2).await;
    bench.push(FILMS, "long", "long").await;
    bench.until("it is begun", |seen| !seen.under_way.is_empty()).await;
    let intents = bench.broker.bucket::<Intent>(names::INTENTS).await.unwrap();
    let until = async || intents.get("held.films.long").await.unwrap().unwrap().value.until;
    let first = until().await;
    // Twice as long as after which the broker would give it to another.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    while until().await < first + chrono::TimeDelta::seconds(4) {
        assert!(tokio::time::Instant::now() < deadline, "the intent is not renewed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.system.release("long");
    assert_eq!(bench.outcome().await, "long");
    assert_eq!((bench.system.begun("long"), bench.system.seen.lock().unwrap().lost), (1, 0));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while intents.get("held.films.long").await.unwrap().is_some() {
        assert!(tokio::time::Instant::now() < deadline, "the intent stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.end().await;
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_and_begins_nothing_more() {
    let mut bench = Bench::at_work(60).await;
    for number in 0..=MOST_LONG {
        bench.push(FILMS, &format!("film-{number}"), "film").await;
    }
    bench.until("four films are begun", |seen| seen.under_way.len() == MOST_LONG).await;
    let under_way = bench.system.seen.lock().unwrap().under_way.clone();
    bench.stop.cancel();
    assert!(!bench.worker.is_finished());
    for film in &under_way {
        bench.system.release(film);
        bench.outcome().await;
    }
    let begun = bench.system.seen.lock().unwrap().begun.len();
    assert_eq!(begun, MOST_LONG);
    bench.end().await;
}

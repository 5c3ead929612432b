use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use databridge_broker::{Broker, Envelope, Handler, Inbox, Job, Verdict, Worker, consumers, names};
use databridge_model::subject::{self, Lane};
use databridge_model::{DeadLetter, KeyToken, RunId};
use databridge_runtime::CancellationToken;
use tokio::sync::{Semaphore, watch};

use crate::office::{Office, connect};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test's handler does at each try of a message, by its body; from then on it is done.
type Script = HashMap<String, Vec<Deed>>;

#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Says(Verdict),
    Panics,
    Takes(Duration),
    WaitsFor(Arc<Semaphore>),
}

/// Follows a script and notes each try, as it begins and as it ends.
pub(crate) struct Scripted {
    script: Mutex<Script>,
    begun: watch::Sender<usize>,
    tries: Mutex<Vec<String>>,
    buried: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn new(script: &[(&str, &[Deed])]) -> Arc<Self> {
        let script = script.iter().map(|(body, deeds)| ((*body).to_owned(), deeds.to_vec())).collect();
        Arc::new(Self {
            script: Mutex::new(script),
            begun: watch::Sender::default(),
            tries: Mutex::default(),
            buried: Mutex::default(),
        })
    }

    pub(crate) fn tries(&self) -> Vec<String> {
        self.tries.lock().unwrap().clone()
    }

    pub(crate) async fn wait_for_begun(&self, tries: usize) {
        let mut begun = self.begun.subscribe();
        let enough = tokio::time::timeout(PATIENCE, begun.wait_for(|begun| *begun >= tries)).await;
        enough.unwrap_or_else(|_| panic!("{tries} tries do not begin")).unwrap();
    }

    pub(crate) async fn wait_for(&self, tries: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        while self.tries().len() < tries {
            assert!(Instant::now() < deadline, "{tries} tries do not come: {:?}", self.tries());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.tries()
    }
}

impl Handler for Scripted {
    fn stage(&self) -> &'static str {
        "outcome"
    }

    fn lane(&self, job: &Job) -> String {
        job.subject().rsplit('.').next().unwrap().to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        let body = String::from_utf8_lossy(job.payload()).into_owned();
        let deed = {
            let mut script = self.script.lock().unwrap();
            let deeds = script.entry(body.clone()).or_default();
            if deeds.is_empty() { Deed::Says(Verdict::Done) } else { deeds.remove(0) }
        };
        self.begun.send_modify(|begun| *begun += 1);
        match &deed {
            Deed::Takes(time) => tokio::time::sleep(*time).await,
            Deed::WaitsFor(leave) => leave.acquire().await.unwrap().forget(),
            Deed::Says(_) | Deed::Panics => {}
        }
        self.tries.lock().unwrap().push(body);
        match deed {
            Deed::Says(verdict) => verdict,
            Deed::Panics => panic!("the handler panics, as the test wants"),
            Deed::Takes(_) | Deed::WaitsFor(_) => Verdict::Done,
        }
    }

    async fn buried(&self, _job: &Job, error: &str) {
        self.buried.lock().unwrap().push(error.to_owned());
    }
}

fn retry() -> Deed {
    Deed::Says(Verdict::Retry("not at the moment".to_owned()))
}

/// Publishes bodies, each to the lane of its first letter.
pub(crate) async fn publish(broker: &Broker, bodies: &[&str]) {
    for body in bodies {
        let subject = format!("outcome.clio.matters.{}", body.chars().next().unwrap());
        broker.jetstream().publish(subject, (*body).to_owned().into()).await.unwrap().await.unwrap();
    }
}

pub(crate) async fn inbox(broker: &Broker) -> Inbox {
    Inbox::open(broker, consumers::outcomes()).await.unwrap()
}

/// A worker over the outcomes, until the guard is dropped.
pub(crate) async fn working(broker: &Broker, handler: Arc<Scripted>) -> tokio_util::sync::DropGuard {
    let stop = CancellationToken::new();
    tokio::spawn(Worker::new(inbox(broker).await, handler).run(stop.clone()));
    stop.drop_guard()
}

/// Waits until everything published is answered for good.
pub(crate) async fn settled(broker: &Broker, sequence: u64) {
    let inbox = inbox(broker).await;
    let deadline = Instant::now() + PATIENCE;
    while inbox.settled_up_to().await.unwrap() < sequence {
        assert!(Instant::now() < deadline, "{sequence} is never settled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn dead_letters(office: &Office) -> Vec<(String, DeadLetter)> {
    let stream = office.broker.jetstream().get_stream("DEAD").await.unwrap();
    let mut letters = Vec::new();
    for sequence in 1..=stream.get_info().await.unwrap().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        letters.push((message.subject.to_string(), serde_json::from_slice(&message.payload).unwrap()));
    }
    letters
}

fn of_lane(tries: &[String], lane: char) -> Vec<&str> {
    tries.iter().map(String::as_str).filter(|body| body.starts_with(lane)).collect()
}

#[tokio::test]
async fn one_lane_keeps_its_order_and_lanes_do_not_wait_for_each_other() {
    let office = Office::open().await;
    let leave = Arc::new(Semaphore::new(0));
    let handler = Scripted::new(&[("a1", &[Deed::WaitsFor(Arc::clone(&leave))])]);
    publish(&office.broker, &["a1", "a2", "b1", "a3", "b2"]).await;
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    assert_eq!(handler.wait_for(2).await, ["b1", "b2"], "the slow lane holds nobody up");
    leave.add_permits(1);
    assert_eq!(of_lane(&handler.wait_for(5).await, 'a'), ["a1", "a2", "a3"]);
}

#[tokio::test]
async fn nothing_overtakes_a_message_that_fails_again_and_again() {
    let office = Office::open().await;
    let handler = Scripted::new(&[("a1", &[retry(), retry(), retry()])]);
    publish(&office.broker, &["a1", "a2", "b1"]).await;
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    handler.wait_for(2).await;
    // One that arrives while the first waits for its next try.
    publish(&office.broker, &["a3"]).await;
    let tries = handler.wait_for(7).await;
    assert_eq!(of_lane(&tries, 'a'), ["a1", "a1", "a1", "a1", "a2", "a3"]);
    settled(&office.broker, 4).await;
    assert_eq!(handler.tries().len(), 7, "each was done once");
}

#[tokio::test]
async fn a_panic_of_the_handler_is_an_attempt_and_stops_nothing_else() {
    let office = Office::open().await;
    let handler = Scripted::new(&[("a1", &[Deed::Panics])]);
    publish(&office.broker, &["a1", "b1"]).await;
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    let tries = handler.wait_for(3).await;
    assert_eq!((of_lane(&tries, 'a').len(), of_lane(&tries, 'b').len()), (2, 1));
    settled(&office.broker, 2).await;
    assert!(dead_letters(&office).await.is_empty());
}

#[tokio::test]
async fn a_dead_message_becomes_a_dead_letter_with_its_attempts_and_the_next_passes() {
    let office = Office::open().await;
    let later = Deed::Says(Verdict::Later(Duration::from_millis(50)));
    let dead = Deed::Says(Verdict::Dead("it can never be read".to_owned()));
    let handler = Scripted::new(&[("a1", &[retry(), later.clone(), later, Deed::Panics, dead])]);
    publish(&office.broker, &["a1", "a2"]).await;
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    settled(&office.broker, 2).await;
    let letters = dead_letters(&office).await;
    let [(subject, letter)] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(subject, "dead.outcome.clio.matters.a");
    assert_eq!((letter.subject.as_str(), letter.stream.as_str()), ("outcome.clio.matters.a", "OUTCOME"));
    assert_eq!((letter.sequence, letter.body.as_deref()), (1, Some("a1")));
    assert_eq!(letter.error, "it can never be read");
    let attempts: Vec<_> = letter.attempts.iter().map(|attempt| attempt.error.as_str()).collect();
    let expected = ["not at the moment", "the handler panicked; see the log", "it can never be read"];
    assert_eq!(attempts, expected, "waiting is no attempt");
    assert_eq!(*handler.buried.lock().unwrap(), ["it can never be read"]);
    assert_eq!(handler.tries().last().unwrap(), "a2");
}

#[tokio::test]
async fn a_message_that_is_no_text_is_kept_whole_in_its_dead_letter() {
    let office = Office::open().await;
    let body: &[u8] = &[0xff, 0xfe, 0];
    let lossy = String::from_utf8_lossy(body).into_owned();
    let handler = Scripted::new(&[(&lossy, &[Deed::Says(Verdict::Dead("no text".to_owned()))])]);
    let jetstream = office.broker.jetstream();
    jetstream.publish("outcome.clio.matters.a", body.into()).await.unwrap().await.unwrap();
    let _working = working(&office.broker, handler).await;
    settled(&office.broker, 1).await;
    let letter = &dead_letters(&office).await[0].1;
    assert_eq!((letter.body.as_deref(), letter.body_base64.as_deref()), (None, Some("//4A")));
}

#[tokio::test]
async fn a_message_whose_error_is_as_long_as_a_message_may_be_is_buried_all_the_same() {
    let office = Office::open().await;
    let error = "x".repeat(600 * 1024);
    let handler = Scripted::new(&[("a1", &[Deed::Says(Verdict::Dead(error))])]);
    publish(&office.broker, &["a1", "a2"]).await;
    let _working = working(&office.broker, handler).await;
    settled(&office.broker, 2).await;
    let letter = &dead_letters(&office).await[0].1;
    assert_eq!((letter.sequence, letter.body.as_deref(), letter.attempts.len()), (1, None, 1));
    assert!(letter.error.starts_with("xxx") && letter.error.len() < 4096, "{}", letter.error.len());
}

#[tokio::test]
async fn waiting_comes_again_after_the_wait_and_not_before() {
    let office = Office::open().await;
    let handler = Scripted::new(&[("a1", &[Deed::Says(Verdict::Later(Duration::from_millis(700)))])]);
    publish(&office.broker, &["a1"]).await;
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    handler.wait_for(1).await;
    let first = Instant::now();
    handler.wait_for(2).await;
    assert!(first.elapsed() >= Duration::from_millis(600), "{:?}", first.elapsed());
}

#[tokio::test]
async fn a_handler_that_takes_longer_than_the_broker_waits_keeps_its_message() {
    let office = Office::open().await;
    let handler = Scripted::new(&[("a1", &[Deed::Takes(Duration::from_secs(5))])]);
    publish(&office.broker, &["a1"]).await;
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    settled(&office.broker, 1).await;
    assert_eq!(handler.tries(), ["a1"]);
}

#[tokio::test]
async fn an_acknowledgement_that_the_broker_did_not_confirm_brings_the_message_again() {
    let mut office = Office::open().await;
    publish(&office.broker, &["a1"]).await;
    let inbox = inbox(&office.broker).await;
    let jobs = inbox.take(1, Duration::from_secs(5), Duration::ZERO).await;
    assert!(!jobs[0].is_stale());
    office.nats.kill9().unwrap();
    jobs[0].done().await;
    office.nats.restart().await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let again = loop {
        let jobs = inbox.take(1, Duration::from_secs(2), Duration::ZERO).await;
        match jobs.into_iter().next() {
            Some(job) => break job,
            None => assert!(Instant::now() < deadline, "it never comes again"),
        }
    };
    assert_eq!(again.payload().as_ref(), b"a1");
    assert!(jobs[0].is_stale(), "what was taken before the connection was lost may be another's by now");
    assert!(!again.is_stale());
    again.done().await;
    assert_eq!(inbox.settled_up_to().await.unwrap(), 1);
}

#[tokio::test]
async fn a_worker_that_died_leaves_its_messages_to_another() {
    let office = Office::open().await;
    publish(&office.broker, &["a1", "a2"]).await;
    {
        let dying = connect(office.nats.url()).await;
        let taken = inbox(&dying).await.take(10, Duration::from_secs(5), Duration::from_millis(50)).await;
        assert_eq!(taken.len(), 2);
    }
    let handler = Scripted::new(&[]);
    let _working = working(&office.broker, Arc::clone(&handler)).await;
    assert_eq!(handler.wait_for(2).await, ["a1", "a2"]);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_what_it_has() {
    let office = Office::open().await;
    let handler = Scripted::new(&[("a1", &[Deed::Takes(Duration::from_secs(1))])]);
    publish(&office.broker, &["a1"]).await;
    let stop = CancellationToken::new();
    let inbox = inbox(&office.broker).await;
    let running = tokio::spawn(Worker::new(inbox.clone(), Arc::clone(&handler)).run(stop.clone()));
    handler.wait_for_begun(1).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(handler.tries(), ["a1"]);
    assert_eq!(inbox.settled_up_to().await.unwrap(), 1);
}

#[tokio::test]
async fn a_message_is_stored_under_another_subject_once_with_its_own_headers() {
    let office = Office::open().await;
    let films = "films".parse().unwrap();
    let system = "clio".parse().unwrap();
    let key = KeyToken::from_subject("31");
    let subject = subject::push(Lane::Live, &system, &films, &key);
    let envelope = Envelope::of_run(Some(RunId(7))).with_id("first");
    office.broker.publish(subject, &"body", &envelope).await.unwrap();
    let inbox = Inbox::open(&office.broker, consumers::pushes(&system, Lane::Live)).await.unwrap();
    let job = inbox.take(1, PATIENCE, Duration::ZERO).await.remove(0);
    let aside = subject::long_push(Lane::Live, &system, &films, &key);
    for _ in 0..2 {
        job.store_as(aside.clone(), "copy".into()).await.unwrap();
    }
    job.done().await;
    // It, and the message that is always first there.
    assert_eq!(office.count(names::PUSH).await, 2);
    let stream = office.broker.jetstream().get_stream(names::PUSH).await.unwrap();
    let copy = stream.get_last_raw_message_by_subject(&aside).await.unwrap();
    assert_eq!(copy.payload, "copy");
    assert!(copy.headers.get("traceparent").is_some(), "the run's trace goes on: {:?}", copy.headers);
}

//! The reconciler over a real nats-server, with the test in the place of both bridges.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails the test")]

mod dry_runs;
mod first_pairing;
mod kinds;
mod routes;
mod shared_records;
mod towns;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use databridge_broker::{Broker, async_nats, ensure_topology};
use databridge_config::ConfigFolder;
use databridge_config::env::NatsEnv;
use databridge_model::{
    Fields, Key, Listed, Name, Op, Outcome, OutcomeResult, PullResult, PushRequest, RunId, RunSummary, Value,
};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

const MAP: &str = r#"system = "map"
collections.cases = { key = "warrant", fields = { warrant = "text", owner = "text" } }
"#;

const OFFICE: &str = r#"system = "office"
collections.matters = { key = "Warrant", fields = { Warrant = "text", Owner = "text" } }
"#;

const ROUTE: &str = r#"route = "case_matter"
kind = "mirror"
left = { collection = "map.cases", key = "warrant" }
right = { collection = "office.matters", key = "Warrant", create = true }
fields = [
  { left = "warrant", right = "Warrant", direction = "to_right" },
  { left = "owner", right = "Owner" },
]
"#;

struct City {
    broker: Broker,
    pushes: async_nats::Subscriber,
    ended: async_nats::Subscriber,
    stop: DropGuard,
    reconciler: JoinHandle<()>,
    _nats: NatsServer,
}

impl City {
    async fn open() -> Self {
        let nats = NatsServer::ephemeral().await.unwrap();
        let settings = NatsEnv { nats_ack_wait_seconds: 2, ..NatsEnv::at(nats.url()) };
        let broker =
            Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(10)).await.unwrap();
        ensure_topology(&broker).await.unwrap();
        let client = broker.client();
        let pushes = client.subscribe("push.>").await.unwrap();
        let ended = client.subscribe("run.*.ended").await.unwrap();
        client.flush().await.unwrap();
        let (stop, reconciler) = start(&broker);
        Self { broker, pushes, ended, stop, reconciler, _nats: nats }
    }

    /// Stops the reconciler and starts another.
    async fn restart(&mut self) {
        let (stop, reconciler) = start(&self.broker);
        drop(std::mem::replace(&mut self.stop, stop));
        std::mem::replace(&mut self.reconciler, reconciler).await.unwrap();
    }

    async fn publish(&self, subject: &str, body: &impl Serialize) -> u64 {
        let body = serde_json::to_vec(body).unwrap();
        let stored = self.broker.jetstream().publish(subject.to_owned(), body.into()).await.unwrap();
        stored.await.unwrap().sequence
    }

    /// A sync of the map in which its one record shows this owner.
    async fn sync_map(&self, owner: &str) -> RunId {
        let run = RunId(self.publish("sync.request.map", &json!({})).await);
        let read = PullResult {
            system: name("map"),
            collection: name("cases"),
            id: "1".to_owned(),
            key: Key::parse("E-1"),
            parent: None,
            revision: None,
            deleted: false,
            fields: fields(&[("warrant", "E-1"), ("owner", owner)]),
            made_by: None,
            handle: serde_json::Value::Null,
            run: Some(run),
            read_after: self.broker.read_after().await.unwrap(),
        };
        let pull_last = self.publish("pull.map.cases.E-1", &read).await;
        let listed = Listed {
            system: name("map"),
            collection: name("cases"),
            request: run.0,
            complete: true,
            whole: false,
            records: 1,
            pull_last,
            pages: 1,
            calls_per_minute: None,
            error: None,
        };
        self.publish(&format!("run.{run}.listed"), &listed).await;
        run
    }

    async fn next_push(&mut self) -> PushRequest {
        let next = tokio::time::timeout(Duration::from_secs(20), self.pushes.next());
        serde_json::from_slice(&next.await.unwrap().unwrap().payload).unwrap()
    }

    async fn no_push(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(700), self.pushes.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    async fn written(&self, push: &PushRequest) {
        let outcome = Outcome {
            push: push.push.clone().unwrap(),
            result: OutcomeResult::Written,
            id: Some("77".to_owned()),
            revision: None,
            handle: serde_json::Value::Null,
            shown: push.set.clone(),
            parked: std::collections::BTreeMap::new(),
            error: None,
            calls: 1,
        };
        self.publish("outcome.office.matters.E-1", &outcome).await;
    }

    async fn has_ended(&mut self, run: RunId) -> RunSummary {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.ended.next());
            let message = next.await.unwrap().unwrap();
            if message.subject.as_str() == format!("run.{run}.ended") {
                return serde_json::from_slice(&message.payload).unwrap();
            }
        }
    }
}

fn start(broker: &Broker) -> (DropGuard, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let (broker, until) = (broker.clone(), stop.clone());
    let reconciler =
        tokio::spawn(async move { Box::pin(reconciler::run(broker, &config(), until)).await.unwrap() });
    (stop.drop_guard(), reconciler)
}

fn config() -> ConfigFolder {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in
        [("systems/map.toml", MAP), ("systems/office.toml", OFFICE), ("routes/case_matter.toml", ROUTE)]
    {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    ConfigFolder::read(folder.path()).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), Value::text(*text))).collect()
}

/// A fail point is one of the whole process, in which other tests run meanwhile; all tasks of a test are on its own thread.
fn fails_once_in_this_test(point: &str) {
    let (this_test, has_failed) = (std::thread::current().id(), AtomicBool::new(false));
    let fail = move || {
        let is_mine = std::thread::current().id() == this_test;
        assert!(!is_mine || has_failed.swap(true, Ordering::Relaxed), "the broker fails");
    };
    fail::cfg_callback(point, fail).unwrap();
}

#[tokio::test]
async fn a_push_that_was_not_sent_after_an_outcome_is_sent_when_the_outcome_comes_again() {
    let scenario = fail::FailScenario::setup();
    let mut city = City::open().await;
    let first = city.sync_map("Ann").await;
    let create = city.next_push().await;
    assert_eq!((create.op, &create.set), (Op::Create, &fields(&[("Warrant", "E-1"), ("Owner", "Ann")])));
    // What changes while a push is under way is folded in at its outcome.
    let second = city.sync_map("Bea").await;
    city.no_push().await;
    fails_once_in_this_test("reconciler.after-link");
    city.written(&create).await;
    let update = city.next_push().await;
    assert_eq!((update.op, &update.set), (Op::Update, &fields(&[("Owner", "Bea")])));
    assert_eq!(update.expect, fields(&[("Owner", "Ann")]));
    city.written(&update).await;
    city.has_ended(second.max(first)).await;
    // Once more with nothing changed: no echo.
    let third = city.sync_map("Bea").await;
    city.has_ended(third).await;
    city.no_push().await;
    scenario.teardown();
}

#[tokio::test]
async fn a_run_whose_request_is_gone_without_an_answer_ends_and_says_why() {
    let mut city = City::open().await;
    let run = RunId(city.publish("sync.request.map", &json!({})).await);
    let requests = city.broker.jetstream().get_stream("SYNC").await.unwrap();
    let is_taken_up = async || {
        let reader = requests.consumer_info("reconciler").await;
        reader.is_ok_and(|reader| reader.ack_floor.stream_sequence >= run.0)
    };
    let taken_up = async { while !is_taken_up().await {} };
    tokio::time::timeout(Duration::from_secs(20), taken_up).await.unwrap();
    requests.delete_message(run.0).await.unwrap();
    city.restart().await;
    let summary = city.has_ended(run).await;
    let errors: Vec<_> = summary.errors.iter().map(|error| error.split(';').next().unwrap()).collect();
    assert_eq!(errors, ["map.cases: the request is gone, and its bridge has not answered it"]);
}

//! A broker, and config folders.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use databridge_broker::async_nats::HeaderMap;
use databridge_broker::{Broker, ensure_topology, names};
use databridge_config::ConfigFolder;
use databridge_config::env::NatsEnv;
use databridge_model::{RunId, SyncRequest};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use scheduler::{Desk, Pace, Standing, State};
use tokio::task::JoinHandle;

const MAP: &str = r#"system = "map"

[collections.cases]
key = "warrant"

[collections.cases.fields]
warrant = "text"
"#;

/// Quicker than in earnest.
const PACE: Pace = Pace { grace: Duration::from_secs(1), every: Duration::from_millis(500) };

/// The config of one system with these schedules.
pub(crate) fn config(schedules: &str) -> ConfigFolder {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("systems")).unwrap();
    std::fs::create_dir(folder.path().join("routes")).unwrap();
    std::fs::write(folder.path().join("systems/map.toml"), MAP).unwrap();
    std::fs::write(folder.path().join("schedules.toml"), schedules).unwrap();
    ConfigFolder::read(folder.path()).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn shipped() -> ConfigFolder {
    ConfigFolder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")).unwrap()
}

/// The schedule `cases`, which asks for the map every so often.
pub(crate) fn every(span: &str) -> ConfigFolder {
    config(&format!("[cases]\nrequest = \"map\"\nevery = \"{span}\"\n"))
}

/// A message of SYNC.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) at: DateTime<Utc>,
}

impl Stored {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(databridge_broker::async_nats::HeaderValue::as_str)
    }

    pub(crate) fn reason(&self) -> String {
        serde_json::from_slice::<SyncRequest>(&self.body).unwrap().reason.unwrap()
    }
}

/// A scheduler at work.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub(crate) struct Stage {
    pub(crate) nats: NatsServer,
    pub(crate) broker: Broker,
}

impl Stage {
    /// One where a migrate has listed everything.
    pub(crate) async fn open() -> Self {
        let stage = Self::before_the_migrate().await;
        stage.migrate().await;
        stage
    }

    pub(crate) async fn before_the_migrate() -> Self {
        let nats = NatsServer::ephemeral().await.unwrap();
        let broker = connect(&nats).await;
        ensure_topology(&broker).await.unwrap();
        Self { nats, broker }
    }

    /// Leaves what a migrate leaves.
    pub(crate) async fn migrate(&self) {
        let listed = self.broker.bucket::<RunId>(names::LISTED).await.unwrap();
        listed.create("map.cases", &RunId(1)).await.unwrap();
    }

    /// Starts a scheduler with a connection of its own.
    pub(crate) async fn start(&self, config: &ConfigFolder) -> Running {
        let (broker, config) = (connect(&self.nats).await, config.clone());
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { scheduler::run_at(broker, &config, PACE, token).await });
        Running { stop, task }
    }

    /// Starts a scheduler, and waits until it has stored its schedules.
    pub(crate) async fn started(&self, config: &ConfigFolder) -> Running {
        let running = self.start(config).await;
        self.all_are(config, |state| *state == State::Active).await;
        running
    }

    pub(crate) async fn all_are(&self, config: &ConfigFolder, wanted: impl Fn(&State) -> bool) {
        until(async || {
            let standings = self.list(config).await;
            standings.iter().all(|standing| wanted(&standing.state)).then_some(())
        })
        .await;
    }

    pub(crate) async fn list(&self, config: &ConfigFolder) -> Vec<Standing> {
        Desk::new(&self.broker, config).list().await.unwrap()
    }

    /// All messages of SYNC.
    pub(crate) async fn messages(&self) -> Vec<Stored> {
        let stream = self.broker.jetstream().get_stream(names::SYNC).await.unwrap();
        let state = stream.cached_info().state.clone();
        let mut messages = Vec::new();
        for sequence in state.first_sequence.max(1)..=state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                messages.push(Stored {
                    sequence,
                    subject: message.subject.to_string(),
                    headers: message.headers,
                    body: message.payload.to_vec(),
                    at: DateTime::from_timestamp_nanos(
                        message.time.unix_timestamp_nanos().try_into().unwrap(),
                    ),
                });
            }
        }
        messages
    }

    /// The sync requests.
    pub(crate) async fn requests(&self) -> Vec<Stored> {
        let messages = self.messages().await.into_iter();
        messages.filter(|message| message.subject.starts_with("sync.request.")).collect()
    }

    /// Waits until there are so many sync requests.
    pub(crate) async fn ticks(&self, count: usize) -> Vec<Stored> {
        until(async || Some(self.requests().await).filter(|requests| requests.len() >= count)).await
    }

    /// Takes the requests out, as the reconciler does when their runs have ended.
    pub(crate) async fn answer_all(&self) {
        let stream = self.broker.jetstream().get_stream(names::SYNC).await.unwrap();
        for request in self.requests().await {
            stream.delete_message(request.sequence).await.unwrap();
        }
    }

    /// Kills the broker, waits until this moment has passed, and starts it again.
    pub(crate) async fn down_until(&mut self, moment: DateTime<Utc>) {
        self.nats.kill9().unwrap();
        let wait = moment - Clock::system().now();
        tokio::time::sleep(wait.to_std().unwrap_or_default()).await;
        self.nats.restart().await.unwrap();
        until(async || self.broker.is_connected().then_some(())).await;
    }
}

async fn connect(nats: &NatsServer) -> Broker {
    let settings = NatsEnv::at(nats.url());
    Broker::connect(&settings, "scheduler", Clock::system(), Duration::from_secs(10)).await.unwrap()
}

/// Waits until `look` gives something, in good time.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), looking).await.expect("it did not come in time")
}

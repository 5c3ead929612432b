//! A broker of a test's own, with everything that the design asks for.

use std::time::Duration;

use databridge_broker::{Broker, ensure_topology};
use databridge_config::env::NatsEnv;
use databridge_model::{Key, Name, PullResult, Value};
use databridge_nats_server::NatsServer;
use databridge_runtime::Clock;

pub(crate) struct Office {
    pub(crate) nats: NatsServer,
    pub(crate) broker: Broker,
}

impl Office {
    pub(crate) async fn open() -> Self {
        Self::with(NatsServer::ephemeral().await.unwrap()).await
    }

    /// Where it is not about what a power cut would leave.
    pub(crate) async fn open_unsynced() -> Self {
        Self::with(NatsServer::ephemeral_with(|options| options.sync_always = false).await.unwrap()).await
    }

    async fn with(nats: NatsServer) -> Self {
        let broker = connect(nats.url()).await;
        ensure_topology(&broker).await.unwrap();
        Self { nats, broker }
    }

    /// How many messages a stream holds.
    pub(crate) async fn count(&self, stream: &str) -> u64 {
        let stream = self.broker.jetstream().get_stream(stream).await.unwrap();
        stream.get_info().await.unwrap().state.messages
    }
}

/// Connects; what a dead worker held comes again after two seconds.
pub(crate) async fn connect(url: String) -> Broker {
    let settings = NatsEnv { nats_ack_wait_seconds: 2, ..NatsEnv::at(url) };
    Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(10)).await.unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A record of some bytes.
pub(crate) async fn record(broker: &Broker, number: usize, bytes: usize) -> PullResult {
    PullResult {
        system: name("gis"),
        collection: name("cases"),
        id: number.to_string(),
        key: Key::parse(&format!("E-{number}")),
        parent: None,
        revision: None,
        deleted: false,
        fields: [("note".to_owned(), Value::text("x".repeat(bytes)))].into(),
        made_by: None,
        handle: serde_json::Value::Null,
        run: None,
        read_after: broker.read_after().await.unwrap(),
    }
}

/// So many records, from this number on.
pub(crate) async fn records(broker: &Broker, from: usize, count: usize, bytes: usize) -> Vec<PullResult> {
    let first = record(broker, from, bytes).await;
    let of = |number: usize| PullResult {
        id: number.to_string(),
        key: Key::parse(&format!("E-{number}")),
        ..first.clone()
    };
    (from..from + count).map(of).collect()
}

//! A large content passes through both bridges without being held in memory. Alone in its process, whose memory it
//! measures.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use bytes::Bytes;
use databridge_bridge::{ContentProvider, OfferedContent, fetch, serve_content};
use databridge_broker::{Broker, ensure_topology};
use databridge_config::env::NatsEnv;
use databridge_http::{Budget, CallError};
use databridge_model::{CollectionName, Name, Source};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;

const MB: u64 = 1024 * 1024;

struct Film;

impl ContentProvider for Film {
    async fn open(&self, _collection: &CollectionName, _id: &str) -> Result<OfferedContent, CallError> {
        let piece = Bytes::from(vec![7; 64 * 1024]);
        let bytes = futures::stream::repeat_with(move || Ok(piece.clone())).take(300 * 16).boxed();
        Ok(OfferedContent { size: 300 * MB, content_type: None, bytes })
    }
}

/// The most memory that the process has had, in bytes (`VmHWM` of proc(5)).
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn three_hundred_megabytes_pass_through_both_bridges_in_a_few_of_memory() {
    let nats = NatsServer::ephemeral().await.unwrap();
    let settings = NatsEnv::at(nats.url());
    let broker = Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(10)).await.unwrap();
    ensure_topology(&broker).await.unwrap();
    let (system, stop) = (Name::parse("gis").unwrap(), CancellationToken::new());
    let serving =
        tokio::spawn(serve_content(broker.clone(), system.clone(), Film, Budget::none(), stop.clone()));
    let source = Source { system, collection: Name::parse("films").unwrap(), id: "1".to_owned() };
    let mut content = loop {
        match fetch(&broker, &source, None).await {
            Err(databridge_bridge::ContentError::NobodyThere(_)) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    let mut size = 0;
    while let Some(chunk) = content.reader.next().await {
        size += chunk.unwrap().len() as u64;
    }
    assert_eq!(size, 300 * MB);
    let peak = peak_memory();
    assert!(peak < 64 * MB, "{} MB were held at once", peak / MB);
    stop.cancel();
    serving.await.unwrap().unwrap();
}

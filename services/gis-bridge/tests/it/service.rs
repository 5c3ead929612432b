use std::time::Duration;

use databridge_broker::{Broker, async_nats};
use databridge_config::env::NatsEnv;
use databridge_model::{Listed, Outcome, OutcomeResult, PullResult};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::stage::{Stage, object_id, settings};

async fn next<T: DeserializeOwned>(messages: &mut async_nats::Subscriber) -> T {
    let message = tokio::time::timeout(Duration::from_secs(20), messages.next()).await.unwrap().unwrap();
    serde_json::from_slice(&message.payload).unwrap()
}

#[tokio::test]
async fn the_service_answers_a_request_and_a_persons_push_over_nats() {
    let stage = Stage::city(30).await;
    let nats = NatsServer::ephemeral().await.unwrap();
    let broker =
        Broker::connect(&NatsEnv::at(nats.url()), "gis-bridge", Clock::system(), Duration::from_secs(10))
            .await
            .unwrap();
    databridge_broker::ensure_topology(&broker).await.unwrap();
    let client = broker.client().clone();
    let mut listed = client.subscribe("run.*.listed").await.unwrap();
    let mut pulled = client.subscribe("pull.>").await.unwrap();
    let mut outcomes = client.subscribe("outcome.>").await.unwrap();
    client.flush().await.unwrap();

    let stop = CancellationToken::new();
    let settings = settings(stage.sandbox.gis_service_url().as_str(), &[]);
    let service = tokio::spawn(gis_bridge::run(settings, broker, Clock::system(), stop.clone()));

    client.publish("sync.request.gis", "".into()).await.unwrap();
    let told: Listed = next(&mut listed).await;
    assert_eq!((told.records, told.complete, told.error), (30, true, None));
    let record: PullResult = next(&mut pulled).await;
    assert_eq!(record.collection, stage.collection);

    let token = record.key.as_ref().unwrap().token();
    let push = json!({"op": "update", "target": {"id": record.id}, "set": {"ADDRESS1": "1 Wire St"}});
    let subject = format!("push.live.gis.{}.{token}", stage.collection);
    client.publish(subject, push.to_string().into()).await.unwrap();
    let outcome: Outcome = next(&mut outcomes).await;
    assert_eq!((outcome.result, outcome.calls), (OutcomeResult::Written, 2));
    assert_eq!(stage.attribute(object_id(&record.id), "ADDRESS1").await, json!("1 Wire St"));

    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), service).await.unwrap().unwrap().unwrap();
}

//! Contents that no push needs.
//!
//! A content is deleted when the push that it was for is answered. What is left all the same: one whose bridge was killed
//! while it came, and, after a kill of nats-server, many that were deleted long ago. It forgets deletions when it has
//! to build its index anew (nats-server#7384, #7387; 2.15.1 brought 39 messages of deleted contents back at one kill).
//! Left there, they would take the store's room for a day.

use std::sync::Arc;
use std::time::Duration;

use databridge_broker::Broker;
use databridge_runtime::CancellationToken;

use super::ContentError;
use super::store::ContentStore;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);

/// Sweeps now and then until told to stop.
pub(super) async fn run(broker: Broker, store: Arc<ContentStore>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        sweep(&broker, &store).await;
    }
}

/// Sweeps once.
pub(super) async fn sweep(broker: &Broker, store: &ContentStore) {
    if let Err(error) = once(broker, store).await {
        tracing::warn!(%error, "Contents that no push needs could not be looked for; trying again later.");
    }
}

/// While no push waits or is in hand, nothing that was stored before is needed. Should a new one find such a content
/// just before it is swept away, its reading breaks off, and it is brought once more.
async fn once(broker: &Broker, store: &ContentStore) -> Result<(), ContentError> {
    let Some(last) = store.last().await? else { return Ok(()) };
    let failed = |error: &dyn std::error::Error| ContentError::Store(error.to_string());
    if broker.has_pushes().await.map_err(|error| failed(&error))? {
        return Ok(());
    }
    let swept = store.purge_up_to(last).await?;
    if swept > 0 {
        tracing::info!(messages = swept, "Contents that no push needs are swept away.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use databridge_broker::{Envelope, ensure_topology, names};
    use databridge_config::env::NatsEnv;
    use databridge_nats_server::NatsServer;
    use databridge_runtime::Clock;
    use futures::StreamExt;

    use super::*;
    use crate::OfferedContent;

    async fn put(store: &ContentStore, name: &str) {
        let pieces = [vec![1; 200_000], vec![2; 100_000]].map(|piece| Ok(Bytes::from(piece)));
        let offered = OfferedContent {
            size: 300_000,
            content_type: None,
            bytes: futures::stream::iter(pieces).boxed(),
        };
        store.put(name, offered, Clock::system().now()).await.unwrap();
    }

    #[tokio::test]
    async fn contents_are_swept_away_when_no_push_is_left_that_could_need_them_and_not_before() {
        let nats = NatsServer::ephemeral().await.unwrap();
        let settings = NatsEnv::at(nats.url());
        let broker =
            Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(10)).await.unwrap();
        ensure_topology(&broker).await.unwrap();
        let store = ContentStore::open(&broker).await.unwrap();
        once(&broker, &store).await.unwrap();

        put(&store, "gis.attachments.=i1.300000").await;
        let envelope = Envelope::default();
        let subject = "push.live.clio.documents.1".to_owned();
        let push = broker.publish(subject, &"a push", &envelope).await.unwrap();
        once(&broker, &store).await.unwrap();
        assert!(store.whole("gis.attachments.=i1.300000").await.unwrap().is_some(), "a push may need it");

        let pushes = broker.jetstream().get_stream(names::PUSH).await.unwrap();
        pushes.delete_message(push).await.unwrap();
        once(&broker, &store).await.unwrap();
        assert_eq!(store.last().await.unwrap(), None, "neither chunks nor what tells of them");

        put(&store, "gis.attachments.=i2.300000").await;
        assert!(store.whole("gis.attachments.=i2.300000").await.unwrap().is_some(), "the store works on");
    }
}

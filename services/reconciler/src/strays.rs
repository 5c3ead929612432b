//! Pushes that no bridge takes become dead letters, so that somebody hears of them.

use std::sync::Arc;
use std::time::Duration;

use databridge_runtime::CancellationToken;

use crate::engine::Engine;

/// How often it is looked: a person who has made a typo waits for a word.
const EVERY: Duration = Duration::from_secs(60);

/// Looks now and then until told to stop.
pub(crate) async fn watch(engine: Arc<Engine>, stop: CancellationToken) {
    let systems: Vec<_> = engine.systems.keys().collect();
    while !stop.is_cancelled() {
        if let Err(error) = engine.broker.bury_stray_pushes(&systems).await {
            tracing::warn!(%error, "Pushes that no bridge takes could not be looked for; trying again later.");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

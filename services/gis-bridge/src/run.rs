//! The service.

use std::sync::Arc;

use databridge_bridge::{Pulls, Pushes, PushesError};
use databridge_broker::{Broker, TopologyError, ensure_topology};
use databridge_http::ClientError;
use databridge_runtime::{CancellationToken, Clock};

use crate::settings::{ServiceSettings, Settings, SettingsError};
use crate::system::GisSystem;

/// The service cannot run (any more).
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings do not make a bridge.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Streams, consumers or buckets cannot be made ready.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Pushes cannot be answered.
    #[error(transparent)]
    Pushes(#[from] PushesError),
}

/// Answers sync requests and push requests until told to stop.
pub async fn run(
    settings: Settings,
    broker: Broker,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let system = Arc::new(GisSystem::new(ServiceSettings::read(&settings)?, clock)?);
    ensure_topology(&broker).await?;
    tracing::info!("The bridge to the feature service is at work.");
    // An error of one part ends both; a stop lets each finish what it is at.
    // Boxed, for the two are large.
    let pulls = Box::pin(Pulls::new(broker.clone(), Arc::clone(&system)).run(stop.clone()));
    let pushes = Box::pin(Pushes::new(broker, system).run(stop));
    tokio::try_join!(async { pulls.await.map_err(RunError::from) }, async {
        pushes.await.map_err(RunError::from)
    },)?;
    Ok(())
}

//! The service.

use databridge_bridge::{ServeError, serve};
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
    /// Streams or buckets cannot be made ready.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Requests cannot be answered.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Answers sync requests and push requests until told to stop.
pub async fn run(
    settings: Settings,
    broker: Broker,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let system = GisSystem::new(ServiceSettings::read(&settings)?, &clock)?;
    ensure_topology(&broker).await?;
    tracing::info!("The bridge to the feature service is at work.");
    Ok(serve(broker, system, stop).await?)
}

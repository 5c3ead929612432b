//! The service.

use databridge_bridge::{NEEDS, ServeError, budget_of, serve};
use databridge_broker::{Broker, BucketError, one_at_a_time, ready};
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
    /// The lease cannot be asked for.
    #[error(transparent)]
    Lease(#[from] BucketError),
    /// Requests cannot be answered.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Answers sync requests and push requests until told to stop, while no other replica does.
pub async fn run(
    settings: Settings,
    broker: Broker,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let settings = ServiceSettings::read(&settings)?;
    if !ready(&broker, NEEDS, &stop).await {
        return Ok(());
    }
    one_at_a_time(&broker, stop, async |stop| {
        let budget = budget_of(&broker, &settings.system, settings.calls_per_day).await?;
        let system = GisSystem::new(settings.clone(), budget.clone(), &clock)?;
        tracing::info!("The bridge to the feature service is at work.");
        Ok(serve(broker.clone(), system, budget, stop).await?)
    })
    .await
}

//! The service.

use std::sync::Arc;

use databridge_bridge::{NEEDS, ServeError, budget_of, serve};
use databridge_broker::async_nats::SubscribeError;
use databridge_broker::{Broker, BucketError, Needs, names, one_at_a_time, ready};
use databridge_runtime::{CancellationToken, Clock};
use futures::TryFutureExt;

use crate::bootstrap_desk::BootstrapDesk;
use crate::catalogue::Catalogue;
use crate::client::{ClioClient, OpenError};
use crate::content_source::ObjectStoreContents;
use crate::file::ClioFile;
use crate::settings::{Settings, SettingsError};
use crate::system::ClioSystem;
use crate::token::{AuthServiceTokens, PURPOSE};

/// The service cannot run (any more).
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings do not make a bridge.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The client of Clio cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A bucket cannot be opened.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Requests cannot be answered.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Requests for a bootstrap cannot be received.
    #[error("requests for a bootstrap cannot be received: {0}")]
    Bootstrap(#[from] SubscribeError),
}

/// Answers sync requests, push requests and requests for a bootstrap until told to stop, while no other replica does.
pub async fn run(
    settings: Settings,
    broker: Broker,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), RunError> {
    const WITH_FOUND: Needs = Needs {
        buckets: &[names::INTENTS, names::APPLIED, names::LEASES, names::BUDGETS, names::FOUND],
        ..NEEDS
    };
    let file = ClioFile::read(&settings.config)?;
    if !ready(&broker, WITH_FOUND, &stop).await {
        return Ok(());
    }
    one_at_a_time(&broker, stop, async |stop| {
        Box::pin(work(&settings, file.clone(), &broker, &clock, stop)).await
    })
    .await
}

async fn work(
    settings: &Settings,
    file: ClioFile,
    broker: &Broker,
    clock: &Clock,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let tokens = AuthServiceTokens::new(broker.clone(), settings.key.derive(PURPOSE), clock.clone());
    let budget = budget_of(broker, &file.system, settings.calls_per_day).await?;
    let client = ClioClient::new(&settings.clio_url, Arc::new(tokens), budget.clone(), clock.clone())?;
    let catalogue = Catalogue::open(broker, client.clone(), &file.settings, clock.clone()).await?;
    let catalogue = Arc::new(catalogue);
    let desk = BootstrapDesk {
        broker: broker.clone(),
        client: client.clone(),
        catalogue: Arc::clone(&catalogue),
        settings: file.settings.clone(),
        clock: clock.clone(),
    };
    let contents = Arc::new(ObjectStoreContents(broker.clone()));
    let system = ClioSystem::new(file, client, catalogue, contents)?;
    tracing::info!("The bridge to Clio is at work.");

    // An error of one part ends both; a stop lets each finish what it is at.
    tokio::try_join!(
        serve(broker.clone(), system, budget, stop.clone()).err_into::<RunError>(),
        desk.run(stop).err_into()
    )?;
    Ok(())
}

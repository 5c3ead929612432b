//! The service.

use std::sync::Arc;

use databridge_bridge::{Pulls, Pushes, PushesError};
use databridge_broker::async_nats::SubscribeError;
use databridge_broker::{Broker, BucketError, TopologyError, ensure_topology};
use databridge_config::ConfigFolder;
use databridge_runtime::{CancellationToken, Clock};
use databridge_seal::MasterKey;
use url::Url;

use crate::bootstrap_desk::BootstrapDesk;
use crate::catalogue::Catalogue;
use crate::client::{ClioClient, OpenError};
use crate::settings::{Matters, SettingsError};
use crate::system::ClioSystem;
use crate::token::{AuthServiceTokens, PURPOSE};

/// What the service is told.
#[derive(Debug)]
pub struct Settings {
    /// Where Clio is (`CLIO_URL`).
    pub clio_url: Url,
    /// The key under which tokens come (`DATABRIDGE_KEY`).
    pub key: MasterKey,
    /// The config folder (`DATABRIDGE_CONFIG`).
    pub config: ConfigFolder,
}

/// The service cannot run (any more).
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system file cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The client of Clio cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Streams, consumers or buckets cannot be made ready.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A bucket cannot be opened.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Pushes cannot be answered.
    #[error(transparent)]
    Pushes(#[from] PushesError),
    /// Requests for a bootstrap cannot be received.
    #[error("requests for a bootstrap cannot be received: {0}")]
    Bootstrap(#[from] SubscribeError),
}

/// Answers sync requests, push requests and requests for a bootstrap, until told to stop.
pub async fn run(
    settings: Settings,
    broker: Broker,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let matters = Matters::read(&settings.config)?;
    ensure_topology(&broker).await?;
    let tokens = AuthServiceTokens::new(broker.clone(), settings.key.derive(PURPOSE), clock.clone());
    let client = ClioClient::new(&settings.clio_url, Arc::new(tokens), clock.clone())?;
    let catalogue = Catalogue::open(&broker, client.clone(), &matters.settings, clock.clone()).await?;
    let catalogue = Arc::new(catalogue);
    let desk = BootstrapDesk {
        broker: broker.clone(),
        client: client.clone(),
        catalogue: Arc::clone(&catalogue),
        settings: matters.settings.clone(),
        clock,
    };
    let system = Arc::new(ClioSystem::new(matters, client, catalogue));
    tracing::info!("The bridge to Clio is at work.");

    // An error of one part ends all; a stop lets each finish what it is at.
    let pulls = Pulls::new(broker.clone(), Arc::clone(&system)).run(stop.clone());
    let pushes = Pushes::new(broker, system).run(stop.clone());
    tokio::try_join!(
        async { pulls.await.map_err(RunError::from) },
        async { pushes.await.map_err(RunError::from) },
        async { desk.run(stop.clone()).await.map_err(RunError::from) },
    )?;
    Ok(())
}

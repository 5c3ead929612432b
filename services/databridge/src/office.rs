//! All services in one process.

use databridge_broker::{Broker, ensure_topology};
use databridge_config::ConfigFolder;
use databridge_config::env::{ClioAppEnv, ClioEnv, GisEnv, KeyEnv, NatsEnv};
use databridge_runtime::{CancellationToken, Clock};
use databridge_seal::{ExposeSecret, MasterKey};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Everything that the services are told.
#[derive(Clone, Debug)]
pub struct Office {
    /// NATS.
    pub nats: NatsEnv,
    /// Clio.
    pub clio: ClioEnv,
    /// Our application at Clio.
    pub clio_app: ClioAppEnv,
    /// The feature service.
    pub gis: GisEnv,
    /// The key.
    pub key: KeyEnv,
    /// The config folder.
    pub config: ConfigFolder,
}

/// The running services.
#[derive(Debug)]
pub struct OpenOffice {
    services: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Office {
    /// Reads everything from the environment.
    pub fn from_environment() -> anyhow::Result<Self> {
        use databridge_config::env::read;
        Ok(Self {
            nats: read()?,
            clio: read()?,
            clio_app: read()?,
            gis: read()?,
            key: read()?,
            config: crate::commands::config()?,
        })
    }

    /// Connects under a service's name.
    pub async fn connect(&self, service: &str) -> anyhow::Result<Broker> {
        Ok(Broker::connect(&self.nats, service, Clock::system(), Duration::from_secs(30)).await?)
    }

    /// Starts all services. They stop with the token.
    pub async fn open(&self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<OpenOffice> {
        ensure_topology(&self.connect("databridge").await?).await?;
        let clock = Clock::system();
        let key = MasterKey::parse(self.key.databridge_key.expose_secret())?;
        let mut services = JoinSet::new();

        let broker = self.connect("reconciler").await?;
        let (config, token) = (self.config.clone(), stop.clone());
        services.spawn(async move { Ok(Box::pin(reconciler::run(broker, &config, token)).await?) });

        let broker = self.connect("gis-bridge").await?;
        let settings = gis_bridge::Settings { gis: self.gis.clone(), config: self.config.clone() };
        let (token, time) = (stop.clone(), clock.clone());
        services.spawn(async move { Ok(Box::pin(gis_bridge::run(settings, broker, time, token)).await?) });

        let broker = self.connect("clio-bridge").await?;
        let settings =
            clio_bridge::Settings { clio_url: self.clio.clio_url.clone(), key, config: self.config.clone() };
        let (token, time) = (stop.clone(), clock.clone());
        services.spawn(async move { Ok(Box::pin(clio_bridge::run(settings, broker, time, token)).await?) });

        let broker = self.connect("auth-service").await?;
        let settings = auth_service::Settings::new(self.clio.clone(), self.clio_app.clone(), &self.key)?;
        let token = stop.clone();
        services.spawn(async move {
            Ok(Box::pin(auth_service::run(settings, broker, clock, listener, token)).await?)
        });
        Ok(OpenOffice { services, stop })
    }
}

impl OpenOffice {
    /// Waits until a service ends: with the order to stop, or by a failure, which stops the others too.
    pub async fn until_closed(mut self) -> anyhow::Result<()> {
        let mut ended = Ok(());
        while let Some(service) = self.services.join_next().await {
            let result = service.map_err(anyhow::Error::from).and_then(|result| result);
            if let Err(error) = result {
                tracing::error!(%error, "A service has ended; the others are stopped.");
                ended = ended.and(Err(error));
            }
            self.stop.cancel();
        }
        ended
    }
}

//! All services in one process.

use std::fmt;

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
    /// The clock that the services go by.
    pub clock: Clock,
}

/// Settings that cannot be used, each told in one line, all of them at once.
#[derive(Debug, Default)]
pub struct WrongSettings(Vec<String>);

impl std::error::Error for WrongSettings {}

impl fmt::Display for WrongSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => f.write_str(only),
            several => {
                write!(f, "{} settings cannot be used:", several.len())?;
                several.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
        }
    }
}

impl WrongSettings {
    /// What could be read; what could not is noted.
    pub(crate) fn note<T, E: fmt::Display>(&mut self, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                // Several services read the same setting.
                for line in error.to_string().lines().filter(|line| !line.is_empty()) {
                    if !self.0.iter().any(|noted| noted == line) {
                        self.0.push(line.to_owned());
                    }
                }
                None
            }
        }
    }

    /// Notes what the services find wrong in the environment, as far as it could be read.
    fn note_of_services(
        &mut self,
        clio: Option<&ClioEnv>,
        clio_app: Option<&ClioAppEnv>,
        gis: Option<&GisEnv>,
        key: Option<&KeyEnv>,
    ) {
        if let Some(gis) = gis {
            self.note(gis_bridge::Settings::check_environment(gis));
        }
        if let Some(key) = key {
            self.note(MasterKey::parse(key.databridge_key.expose_secret()));
        }
        if let (Some(clio), Some(clio_app), Some(key)) = (clio, clio_app, key) {
            self.note(auth_service::Settings::new(clio.clone(), clio_app.clone(), key));
        }
    }

    /// Notes what the bridges find wrong in their system files. Gives the systems whose files a bridge has looked at.
    pub(crate) fn note_of_files(&mut self, config: &ConfigFolder) -> Vec<&'static str> {
        let known = |system: &str| config.systems.keys().any(|known| known.as_str() == system);
        let mut looked_at = Vec::new();
        if known("gis") {
            self.note(gis_bridge::Settings::check_file(config));
            looked_at.push("gis");
        }
        if known("clio") {
            self.note(clio_bridge::Settings::check_file(config));
            looked_at.push("clio");
        }
        looked_at
    }

    /// An error if anything was noted.
    pub(crate) fn or_none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// The running services.
#[derive(Debug)]
pub struct OpenOffice {
    services: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Office {
    /// Reads everything from the environment, and checks it as the services do.
    pub fn from_environment() -> Result<Self, WrongSettings> {
        use databridge_config::env::read;
        let mut wrong = WrongSettings::default();
        let (nats, clio, clio_app) = (wrong.note(read()), wrong.note(read()), wrong.note(read()));
        let (gis, key) = (wrong.note(read()), wrong.note(read()));
        let config = wrong.note(ConfigFolder::from_environment());
        wrong.note_of_services(clio.as_ref(), clio_app.as_ref(), gis.as_ref(), key.as_ref());
        if let Some(config) = &config {
            wrong.note_of_files(config);
        }
        match (nats, clio, clio_app, gis, key, config) {
            (Some(nats), Some(clio), Some(clio_app), Some(gis), Some(key), Some(config))
                if wrong.0.is_empty() =>
            {
                Ok(Self { nats, clio, clio_app, gis, key, config, clock: Clock::system() })
            }
            _ => Err(wrong),
        }
    }

    /// Connects under a service's name.
    pub async fn connect(&self, service: &str) -> anyhow::Result<Broker> {
        Ok(Broker::connect(&self.nats, service, self.clock.clone(), Duration::from_secs(30)).await?)
    }

    /// Starts all services. They stop with the token.
    pub async fn open(&self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<OpenOffice> {
        let mut wrong = WrongSettings::default();
        wrong.note_of_services(Some(&self.clio), Some(&self.clio_app), Some(&self.gis), Some(&self.key));
        wrong.note_of_files(&self.config);
        wrong.or_none()?;
        ensure_topology(&self.connect("databridge").await?).await?;
        let clock = self.clock.clone();
        let key = MasterKey::parse(self.key.databridge_key.expose_secret())?;
        let mut services = JoinSet::new();

        let broker = self.connect("reconciler").await?;
        let (config, token) = (self.config.clone(), stop.clone());
        services.spawn(async move { Ok(Box::pin(reconciler::run(broker, &config, token)).await?) });

        let broker = self.connect("scheduler").await?;
        let (config, token) = (self.config.clone(), stop.clone());
        services.spawn(async move {
            scheduler::run(broker, &config, token).await;
            Ok(())
        });

        let broker = self.connect("gis-bridge").await?;
        let settings = gis_bridge::Settings { gis: self.gis.clone(), config: self.config.clone() };
        let (token, time) = (stop.clone(), clock.clone());
        services.spawn(async move { Ok(Box::pin(gis_bridge::run(settings, broker, time, token)).await?) });

        let broker = self.connect("clio-bridge").await?;
        let ClioEnv { clio_url, clio_calls_per_day: calls_per_day } = self.clio.clone();
        let settings = clio_bridge::Settings { clio_url, calls_per_day, key, config: self.config.clone() };
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

//! One service as a process of its own, built with fail points, to be killed.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use databridge::office::Office;
use databridge_runtime::{Clock, LogFormat};
use databridge_seal::{ExposeSecret, MasterKey};

/// Which service.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Service {
    /// Owns links and runs.
    Reconciler,
    /// Speaks to ArcGIS.
    GisBridge,
    /// Speaks to Clio.
    ClioBridge,
    /// Keeps Clio's tokens.
    #[value(name = "auth-service")]
    Auth,
    /// Keeps the schedules.
    Scheduler,
}

/// Runs a service with the settings of the environment until told to stop. The auth-service listens there.
pub async fn run(service: Service, listen: SocketAddr) -> anyhow::Result<()> {
    databridge_runtime::init_telemetry(LogFormat::Text, "warn");
    databridge_runtime::arm_failpoints_from_environment();
    let office = Office::from_environment()?;
    let stop = databridge_runtime::until_asked_to_stop()?;
    let clock = Clock::system();
    let patience = Duration::from_secs(30);
    let connect = async |name: &str| {
        databridge_broker::Broker::connect(&office.nats, name, clock.clone(), patience).await
    };
    match service {
        Service::Reconciler => {
            let broker = connect("reconciler").await?;
            Box::pin(reconciler::run(broker, &office.config, stop)).await?;
        }
        Service::GisBridge => {
            let broker = connect("gis-bridge").await?;
            let settings = gis_bridge::Settings { gis: office.gis.clone(), config: office.config.clone() };
            Box::pin(gis_bridge::run(settings, broker, clock.clone(), stop)).await?;
        }
        Service::ClioBridge => {
            let broker = connect("clio-bridge").await?;
            let settings = clio_bridge::Settings {
                clio_url: office.clio.clio_url.clone(),
                calls_per_day: office.clio.clio_calls_per_day,
                key: MasterKey::parse(office.key.databridge_key.expose_secret())?,
                config: office.config.clone(),
            };
            Box::pin(clio_bridge::run(settings, broker, clock.clone(), stop)).await?;
        }
        Service::Auth => {
            let broker = connect("auth-service").await?;
            let listener = tokio::net::TcpListener::bind(listen).await?;
            let settings =
                auth_service::Settings::new(office.clio.clone(), office.clio_app.clone(), &office.key)?;
            Box::pin(auth_service::run(settings, broker, clock.clone(), listener, stop)).await?;
        }
        Service::Scheduler => scheduler::run(connect("scheduler").await?, &office.config, stop).await,
    }
    Ok(())
}

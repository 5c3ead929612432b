//! One service as a process of its own, built with fail points, for the tests that kill it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use databridge::office::Office;
use databridge_runtime::{Clock, LogFormat};
use databridge_seal::{ExposeSecret, MasterKey};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Service {
    Reconciler,
    GisBridge,
    ClioBridge,
    #[value(name = "auth-service")]
    Auth,
    Scheduler,
}

/// Runs one service with the settings of the environment.
#[derive(Debug, Parser)]
struct Arguments {
    service: Service,
    /// Where the auth-service listens
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    databridge_runtime::init_telemetry(LogFormat::Text, "warn");
    databridge_runtime::arm_failpoints_from_environment();
    let office = Office::from_environment()?;
    let stop = databridge_runtime::until_asked_to_stop()?;
    let clock = Clock::system();
    let patience = Duration::from_secs(30);
    let connect = async |name: &str| {
        databridge_broker::Broker::connect(&office.nats, name, clock.clone(), patience).await
    };
    match arguments.service {
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
                key: MasterKey::parse(office.key.databridge_key.expose_secret())?,
                config: office.config.clone(),
            };
            Box::pin(clio_bridge::run(settings, broker, clock.clone(), stop)).await?;
        }
        Service::Auth => {
            let broker = connect("auth-service").await?;
            let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
            let settings =
                auth_service::Settings::new(office.clio.clone(), office.clio_app.clone(), &office.key)?;
            Box::pin(auth_service::run(settings, broker, clock.clone(), listener, stop)).await?;
        }
        Service::Scheduler => scheduler::run(connect("scheduler").await?, &office.config, stop).await,
    }
    Ok(())
}

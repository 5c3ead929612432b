//! Runs the auth-service. Settings come from the environment.

use std::time::Duration;

use anyhow::Context as _;
use auth_service::{Listen, Settings};
use clap::Parser;
use databridge_broker::Broker;
use databridge_config::env::{self, NatsEnv};
use databridge_runtime::{Clock, LogFormat};

/// Data Bridge's auth-service: consent at Clio, the token vault and the status page.
///
/// Settings: `NATS_URL`, `CLIO_URL`, `CLIO_API_KEY`, `CLIO_API_SECRET`, `CLIO_CALLBACK_URL`, `DATABRIDGE_KEY`, and
/// `AUTH_LISTEN` (default 127.0.0.1:8080).
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments {} = Arguments::parse();
    databridge_runtime::init_telemetry(LogFormat::Auto, "info");
    databridge_runtime::arm_failpoints_from_environment();

    let settings = Settings::from_environment()?;
    let Listen(address) = Listen::from_environment()?;
    let nats: NatsEnv = env::read()?;
    let stop = databridge_runtime::until_asked_to_stop()?;

    let clock = Clock::system();
    let broker = Broker::connect(&nats, "auth-service", clock.clone(), Duration::from_secs(30)).await?;
    databridge_broker::ensure_topology(&broker).await?;
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("AUTH_LISTEN: {address} cannot be listened on"))?;
    tracing::info!(%address, "The auth-service is ready.");
    auth_service::run(settings, broker, clock, listener, stop).await?;
    Ok(())
}

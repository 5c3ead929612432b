//! The auth-service's process.

use std::process::ExitCode;

use anyhow::Context as _;
use auth_service::{Listen, Settings};
use clap::Parser;
use databridge_broker::{Broker, health};
use databridge_runtime::{Clock, begin_service};

/// Data Bridge's auth-service: consent at Clio, the token vault and the status page.
///
/// Settings: `NATS_URL`, `CLIO_URL`, `CLIO_API_KEY`, `CLIO_API_SECRET`, `CLIO_CALLBACK_URL`, `DATABRIDGE_KEY`, and
/// `AUTH_LISTEN` (default 127.0.0.1:8080).
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    command: Option<health::Command>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    if let Some(health::Command::Health) = Arguments::parse().command {
        return Ok(health::check("auth-service").await);
    }
    let stop = begin_service()?;
    let settings = Settings::from_environment()?;
    let Listen(address) = Listen::from_environment()?;
    let clock = Clock::system();
    let broker = Broker::from_environment("auth-service", clock.clone()).await?;
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("AUTH_LISTEN: {address} cannot be listened on"))?;
    tracing::info!(%address, "The auth-service is ready.");
    auth_service::run(settings, broker, clock, listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}

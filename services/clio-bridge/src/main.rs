//! The clio-bridge's process.

use std::process::ExitCode;

use clap::Parser;
use clio_bridge::{Settings, run};
use databridge_broker::{Broker, health};
use databridge_runtime::{Clock, begin_service};

/// Data Bridge's bridge to Clio Manage. Settings come from the environment: `NATS_URL`, `CLIO_URL`,
/// `DATABRIDGE_CONFIG`, `DATABRIDGE_KEY`; README.md tells what they are.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<health::Command>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    if let Some(health::Command::Health) = Arguments::parse().command {
        return Ok(health::check("clio-bridge").await);
    }
    let stop = begin_service()?;
    let settings = Settings::from_environment()?;
    let clock = Clock::system();
    let broker = Broker::from_environment("clio-bridge", clock.clone()).await?;
    Box::pin(run(settings, broker, clock, stop)).await?;
    Ok(ExitCode::SUCCESS)
}

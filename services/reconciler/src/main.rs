//! The reconciler's process.

use std::process::ExitCode;

use clap::Parser;
use databridge_broker::{Broker, health};
use databridge_config::ConfigFolder;
use databridge_runtime::{Clock, begin_service};

/// Data Bridge's reconciler: decides what must be written where. Settings come from the environment: `NATS_URL`,
/// `DATABRIDGE_CONFIG`; README.md tells what they are.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<health::Command>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    if let Some(health::Command::Health) = Arguments::parse().command {
        return Ok(health::check("reconciler").await);
    }
    let stop = begin_service()?;
    let config = ConfigFolder::from_environment()?;
    let broker = Broker::from_environment("reconciler", Clock::system()).await?;
    Box::pin(reconciler::run(broker, &config, stop)).await?;
    Ok(ExitCode::SUCCESS)
}

//! The gis-bridge's process.

use std::process::ExitCode;

use clap::Parser;
use databridge_broker::{Broker, health};
use databridge_runtime::{Clock, begin_service};
use gis_bridge::{Settings, run};

/// Data Bridge's bridge to an ArcGIS feature service. Settings come from the environment: `NATS_URL`,
/// `GIS_SERVICE_URL`, `GIS_TOKEN` or `GIS_USERNAME` and `GIS_PASSWORD`, `DATABRIDGE_CONFIG`; README.md tells what
/// they are.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<health::Command>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    if let Some(health::Command::Health) = Arguments::parse().command {
        return Ok(health::check("gis-bridge").await);
    }
    let stop = begin_service()?;
    let settings = Settings::from_environment()?;
    let clock = Clock::system();
    let broker = Broker::from_environment("gis-bridge", clock.clone()).await?;
    run(settings, broker, clock, stop).await?;
    Ok(ExitCode::SUCCESS)
}

//! The gis-bridge's process.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use databridge_broker::Broker;
use databridge_config::ConfigFolder;
use databridge_config::env::{self, ConfigEnv, GisEnv, NatsEnv};
use databridge_runtime::{
    Clock, LogFormat, arm_failpoints_from_environment, init_telemetry, until_asked_to_stop,
};
use gis_bridge::{Settings, run};

/// Data Bridge's bridge to an ArcGIS feature service. Settings come from the environment: `NATS_URL`,
/// `GIS_SERVICE_URL`, `GIS_TOKEN` or `GIS_USERNAME` and `GIS_PASSWORD`, `DATABRIDGE_CONFIG`; README.md tells what
/// they are.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {}

/// How long nats-server may take to answer at the start.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    init_telemetry(LogFormat::Auto, "info");
    arm_failpoints_from_environment();
    let stop = until_asked_to_stop().context("signals cannot be received")?;
    let clock = Clock::system();

    let (nats, gis, config) = (env::read::<NatsEnv>()?, env::read::<GisEnv>()?, env::read::<ConfigEnv>()?);
    let settings = Settings { gis, config: ConfigFolder::read(&config.databridge_config)? };
    let broker = Broker::connect(&nats, "gis-bridge", clock.clone(), PATIENCE).await?;
    run(settings, broker, clock, stop).await?;
    Ok(())
}

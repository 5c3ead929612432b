//! The clio-bridge's process.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use clio_bridge::{Settings, run};
use databridge_broker::Broker;
use databridge_config::ConfigFolder;
use databridge_config::env::{self, ClioEnv, ConfigEnv, KeyEnv, NatsEnv};
use databridge_runtime::{
    Clock, LogFormat, arm_failpoints_from_environment, init_telemetry, until_asked_to_stop,
};
use databridge_seal::{ExposeSecret, MasterKey};

/// Data Bridge's bridge to Clio Manage. Settings come from the environment: `NATS_URL`, `CLIO_URL`,
/// `DATABRIDGE_CONFIG`, `DATABRIDGE_KEY`; README.md tells what they are.
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

    let (nats, clio, config, key) =
        (env::read::<NatsEnv>()?, env::read::<ClioEnv>()?, env::read::<ConfigEnv>()?, env::read::<KeyEnv>()?);
    let settings = Settings {
        clio_url: clio.clio_url,
        key: MasterKey::parse(key.databridge_key.expose_secret())?,
        config: ConfigFolder::read(&config.databridge_config)?,
    };
    let broker = Broker::connect(&nats, "clio-bridge", clock.clone(), PATIENCE).await?;
    Box::pin(run(settings, broker, clock, stop)).await?;
    Ok(())
}

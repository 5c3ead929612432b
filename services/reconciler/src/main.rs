//! The reconciler's process.

use std::time::Duration;

use clap::Parser;
use databridge_broker::{Broker, ensure_topology};
use databridge_config::{ConfigFolder, env};
use databridge_runtime::{Clock, LogFormat};

/// Data Bridge's reconciler: decides what must be written where. Settings come from the environment: `NATS_URL`,
/// `DATABRIDGE_CONFIG`; README.md tells what they are.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    databridge_runtime::init_telemetry(LogFormat::Auto, "info");
    databridge_runtime::arm_failpoints_from_environment();
    let nats: env::NatsEnv = env::read()?;
    let folder: env::ConfigEnv = env::read()?;
    let config = ConfigFolder::read(&folder.databridge_config)?;
    let stop = databridge_runtime::until_asked_to_stop()?;
    let broker = Broker::connect(&nats, "reconciler", Clock::system(), Duration::from_secs(30)).await?;
    ensure_topology(&broker).await?;
    tracing::info!("The reconciler is ready.");
    Box::pin(reconciler::run(broker, &config, stop)).await?;
    Ok(())
}

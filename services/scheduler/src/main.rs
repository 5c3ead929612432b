//! The scheduler's process.

use std::time::Duration;

use clap::Parser;
use databridge_broker::{Broker, ensure_topology};
use databridge_config::{ConfigFolder, env};
use databridge_runtime::Clock;

/// Data Bridge's scheduler: keeps the schedules by which nats-server asks for syncs. Settings come from the
/// environment: `NATS_URL`, `DATABRIDGE_CONFIG`; README.md tells what they are.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    let stop = databridge_runtime::begin_service()?;
    let nats: env::NatsEnv = env::read()?;
    let config = ConfigFolder::from_environment()?;
    let broker = Broker::connect(&nats, "scheduler", Clock::system(), Duration::from_secs(30)).await?;
    ensure_topology(&broker).await?;
    tracing::info!("The scheduler is ready.");
    scheduler::run(broker, &config, stop).await;
    Ok(())
}

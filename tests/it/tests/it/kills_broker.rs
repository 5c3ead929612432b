//! nats-server killed with SIGKILL while a service is at any step of a flow: nothing is lost, nothing done twice.

use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use it::Town;
use it::crash::{Crashes, Flow};

use crate::kills::steps;

type Result = anyhow::Result<()>;

async fn survives(flow: Flow) -> Result {
    let of = |(service, points)| Crashes::of_the_broker(flow, service, points);
    try_join_all(steps(flow).map(of)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_every_kill_of_the_broker() -> Result {
    survives(Flow::Create).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_survives_every_kill_of_the_broker() -> Result {
    survives(Flow::Migrate).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_the_map_survives_every_kill_of_the_broker() -> Result {
    survives(Flow::ToMatter).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_clio_survives_every_kill_of_the_broker() -> Result {
    survives(Flow::ToRow).await
}

/// Services that wait for work ask the broker for it for 20 seconds at a time; a broker that is back knows nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn services_at_rest_take_up_work_soon_after_the_broker_is_back() -> Result {
    let mut town = Town::of(1).await?;
    town.migrate().await?;
    town.nats.kill9()?;
    town.nats.restart().await?;
    tokio::time::timeout(Duration::from_secs(12), town.sync("gis"))
        .await
        .context("no work is taken up")??;
    Ok(())
}

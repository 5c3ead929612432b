//! nats-server killed with SIGKILL while a service is at any step of a flow: nothing is lost, nothing done twice.

use std::time::Duration;

use anyhow::Context;
use it::Town;
use it::crash::{Crashes, Flow};

use crate::kills::{CLIO, GIS, MIGRATE, PULL, PUSH, RECONCILER};

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_every_kill_of_the_broker() -> Result {
    tokio::try_join!(
        Crashes::of_the_broker(Flow::Create, "gis-bridge", &PULL),
        Crashes::of_the_broker(Flow::Create, "reconciler", &RECONCILER),
        Crashes::of_the_broker(Flow::Create, "clio-bridge", [&PUSH[..], &CLIO].concat()),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_survives_every_kill_of_the_broker() -> Result {
    tokio::try_join!(
        Crashes::of_the_broker(Flow::Migrate, "gis-bridge", &PULL),
        Crashes::of_the_broker(Flow::Migrate, "reconciler", [&RECONCILER[..], &MIGRATE].concat()),
        Crashes::of_the_broker(Flow::Migrate, "clio-bridge", [&PULL[..], &PUSH, &CLIO].concat()),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_the_map_survives_every_kill_of_the_broker() -> Result {
    tokio::try_join!(
        Crashes::of_the_broker(Flow::ToMatter, "gis-bridge", &PULL),
        Crashes::of_the_broker(Flow::ToMatter, "reconciler", &RECONCILER),
        Crashes::of_the_broker(Flow::ToMatter, "clio-bridge", [&PUSH[..], &CLIO].concat()),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_clio_survives_every_kill_of_the_broker() -> Result {
    tokio::try_join!(
        Crashes::of_the_broker(Flow::ToRow, "clio-bridge", &PULL),
        Crashes::of_the_broker(Flow::ToRow, "reconciler", &RECONCILER),
        Crashes::of_the_broker(Flow::ToRow, "gis-bridge", [&PUSH[..], &GIS].concat()),
    )?;
    Ok(())
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

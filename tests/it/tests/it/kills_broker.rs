//! nats-server killed with SIGKILL while a service is at any step of a flow: nothing is lost, nothing done twice.

use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use it::Town;
use it::crash::{Crashes, Flow};
use it::processes::SERVICES;

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

/// What a service asks the broker for as it begins is lost with the broker. It begins anew: nobody has to start it again.
#[tokio::test(flavor = "multi_thread")]
async fn services_that_begin_as_the_broker_is_killed_begin_anew() -> Result {
    let mut town = Town::of_processes(1).await?;
    town.migrate().await?;
    for moment in (0..300).step_by(20).map(Duration::from_millis) {
        for service in SERVICES {
            let processes = town.processes.as_mut().context("no processes")?;
            processes.kill(service).await?;
            processes.start_one(service, None)?;
        }
        tokio::time::sleep(moment).await;
        town.nats.kill9()?;
        town.nats.restart().await?;
        for system in ["gis", "clio"] {
            let synced = town.sync(system).await;
            for service in SERVICES {
                let processes = town.processes.as_mut().context("no processes")?;
                anyhow::ensure!(processes.is_alive(service)?, "{service} has ended: killed after {moment:?}");
            }
            synced.with_context(|| format!("{system}, where the broker was killed after {moment:?}"))?;
        }
    }
    Ok(())
}

//! Two and three replicas of each service side by side: one works, the others take over when it is gone.

use std::time::Duration;

use anyhow::Context;
use databridge_model::RunId;
use it::Town;
use it::processes::{Processes, SERVICES};
use it::town::{TownOptions, text, value, whole_config};
use nix::sys::signal::Signal;
use sandbox::GisOptions;
use tokio::net::TcpListener;
use tokio::time::Instant;

type Result = anyhow::Result<()>;

/// A town with so many replicas of each service; the first are the town's own.
async fn town(litigations: usize, replicas: usize) -> anyhow::Result<(Town, Vec<Processes>)> {
    let mut town = Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        config: whole_config(),
        processes: true,
        // The shipped value: what dies is replaced within the time that it allows.
        ack_wait_seconds: 20,
        ..TownOptions::default()
    })
    .await?;
    let mut all: Vec<_> = town.processes.take().into_iter().collect();
    while all.len() < replicas {
        let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        all.push(Processes::start(&town.office, &town.config, free, None)?);
    }
    Ok((town, all))
}

/// The process that has a service's lease. The auth-service has none: all its replicas are at work.
async fn holder(town: &Town, service: &str) -> anyhow::Result<Option<u32>> {
    let leases = town.broker.jetstream().get_key_value("leases").await?;
    let Some(held) = leases.get(service).await? else { return Ok(None) };
    let held: serde_json::Value = serde_json::from_slice(&held)?;
    Ok(held.get("process").and_then(serde_json::Value::as_u64).and_then(|process| process.try_into().ok()))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_of_each_do_nothing_twice() -> Result {
    let (town, _replicas) = town(30, 3).await?;
    let story = town.migrate().await?;
    assert_eq!((story.summary.failed, &story.summary.errors), (0, &Vec::new()), "{story:?}");
    let writes = town.writes().await?;
    assert_eq!(town.matters().await?.len(), 30);
    town.cycle().await?;
    assert_eq!(town.writes().await?, writes, "a second look wrote something");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_takes_over_within_half_a_minute_when_one_is_killed_at_work() -> Result {
    let (town, mut replicas) = town(12, 2).await?;
    town.migrate().await?;
    for service in SERVICES {
        let before = holder(&town, service).await?;
        let row = town.rows().await?.remove(1);
        town.edit_row(&row, "Court_Property_Owner", service).await?;
        // Whichever is at work dies in the middle of it.
        let run = RunId(town.publish("sync.request.gis", "").await?);
        for group in &mut replicas {
            if before.is_none() || before == group.pid(service) {
                group.kill(service).await?;
                break;
            }
        }
        let killed = Instant::now();
        town.ended(run).await?;
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(30), "{service} was replaced after {took:?}");
        if before.is_some() {
            assert_ne!(holder(&town, service).await?, before, "{service}");
        }
        assert_eq!(value(&town.matter(&text(&row, "CivilWarrant")).await?, "Property Owner"), service);
        for group in &mut replicas {
            if !group.is_alive(service)? {
                group.start_one(service, None)?;
            }
        }
    }
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_suspended_and_wakes_up_again_does_nothing_twice() -> Result {
    let (town, replicas) = town(12, 2).await?;
    town.migrate().await?;
    for service in ["reconciler", "gis-bridge", "clio-bridge"] {
        let before = holder(&town, service).await?;
        let suspended = replicas.iter().find(|group| group.pid(service) == before);
        let suspended = suspended.with_context(|| format!("nobody has the lease of {service}"))?;
        let row = town.rows().await?.remove(2);
        town.edit_row(&row, "Court_Property_Owner", service).await?;
        suspended.signal(service, Signal::SIGSTOP)?;
        let run = RunId(town.publish("sync.request.gis", "").await?);
        town.ended(run).await?;
        assert_ne!(holder(&town, service).await?, before, "{service} was not replaced");
        suspended.signal(service, Signal::SIGCONT)?;
        let writes = town.writes().await?;
        town.cycle().await?;
        assert_eq!(town.writes().await?, writes, "{service} wrote again after it woke up");
        assert_eq!(value(&town.matter(&text(&row, "CivilWarrant")).await?, "Property Owner"), service);
    }
    town.assert_same().await
}

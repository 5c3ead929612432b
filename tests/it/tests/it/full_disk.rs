//! The broker's disk is full.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use databridge::follow;
use databridge_model::RunId;
use indicatif::ProgressBar;
use it::small_disk::SmallDisk;
use it::town::value;
use it::watch::until;
use it::{Town, TownOptions};
use sandbox::GisOptions;

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_a_migrate_which_goes_on_when_there_is_room_again_and_loses_nothing() -> Result {
    let Some(disk) = SmallDisk::of(96)? else {
        eprintln!("NOT tested: only root may mount the small disk that this takes.");
        return Ok(());
    };
    let litigations = 150;
    let mut town = Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        ack_wait_seconds: 5,
        store: Some(disk.store()),
        ..TownOptions::default()
    })
    .await?;
    let run = RunId(town.publish("sync.request.gis", r#"{"mode":"migrate"}"#).await?);
    until("some matters", async || Ok((town.matters().await?.len() > 5).then_some(()))).await?;
    disk.fill_up_to(0)?;
    until("the broker to refuse", async || {
        let body = "x".repeat(100_000);
        let stored = town.broker.jetstream().publish("pull.gis.nothing.here", body.into()).await?;
        let stored = tokio::time::timeout(Duration::from_secs(5), stored.into_future()).await;
        Ok((!matches!(stored, Ok(Ok(_)))).then_some(()))
    })
    .await?;
    // It writes no more to what it could not write once, before it is started anew.
    disk.make_room()?;
    town.nats.restart().await?;
    let bar = ProgressBar::hidden();
    let story = tokio::time::timeout(Duration::from_secs(240), follow::follow(&town.broker, run, &bar));
    let story = story.await.context("the run does not end")??;
    assert!(story.summary.errors.is_empty(), "{:?}", story.summary);
    town.cycle().await?;
    town.cycle().await?;
    let mut of_warrant = BTreeMap::<String, usize>::new();
    for matter in town.matters().await? {
        *of_warrant.entry(value(&matter, "Civil Warrant")).or_default() += 1;
    }
    assert_eq!(
        (of_warrant.len(), of_warrant.values().max()),
        (litigations, Some(&1)),
        "one matter a warrant"
    );
    town.assert_same().await?;
    town.next_cycle_writes_nothing().await
}

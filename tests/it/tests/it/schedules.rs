//! Syncs that come by the clock, and many that come at once.

use std::time::Duration;

use anyhow::ensure;
use databridge_broker::{Broker, names};
use databridge_config::{Schedule, Timing};
use databridge_model::{Mode, Name, RunId, RunSummary};
use databridge_runtime::{CancellationToken, Clock};
use it::Town;
use it::town::{text, value};
use it::watch::until;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use serde_json::Value;

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_carries_an_edit_over_while_the_scheduler_is_down() -> Result {
    let town = Town::of(5).await?;
    town.migrate().await?;
    let name = Name::parse("gis")?;
    let timing = Timing::every("1s").map_err(anyhow::Error::msg)?;
    let schedule = Schedule {
        name: name.clone(),
        system: name.clone(),
        collection: None,
        mode: Mode::Incremental,
        timing,
    };
    let mut config = town.office.config.clone();
    config.schedules.insert(name, schedule);
    let broker =
        Broker::connect(&town.office.nats, "scheduler", Clock::system(), Duration::from_secs(10)).await?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    let scheduler = tokio::spawn(async move { scheduler::run(broker, &config, token).await });
    until("the schedule to be stored", async || {
        let stored = town.messages(names::SYNC).await?;
        Ok(stored.iter().any(|message| message.subject == "schedule.trace.gis").then_some(()))
    })
    .await?;
    stop.cancel();
    scheduler.await?;
    let row = town.rows().await?.remove(2);
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    let warrant = text(&row, "CivilWarrant");
    until("the edit to arrive", async || {
        let matter = town.matter(&warrant).await?;
        Ok((value(&matter, "Property Owner") == "New Owner").then_some(()))
    })
    .await?;
    let runs = town.broker.bucket::<Value>(names::RUNS).await?.all().await?;
    let of_ticks = runs.iter().filter(|(_, run)| run.value["request"]["reason"] == "schedule gis: every 1s");
    ensure!(of_ticks.count() > 0, "no run tells its schedule: {runs:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_during_a_run_share_the_next_listing_and_all_their_runs_end() -> Result {
    let town = Town::of(5).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    let rows = town.rows().await?;
    town.edit_row(&rows[1], "Court_Property_Owner", "First Owner").await?;
    let page = town.hold(Fault::new(System::Gis, Action::Hold).path("/2/query")).await?;
    town.admin.reset_calls().await?;
    let mut runs = vec![town.publish("sync.request.gis", "").await?];
    page.reached().await?;
    // What is edited now the listing under way may not show; so the others may not be answered by it.
    town.edit_row(&rows[3], "Court_Property_Owner", "Second Owner").await?;
    for _ in 0..5 {
        runs.push(town.publish("sync.request.gis", "").await?);
    }
    page.release().await?;
    let mut records = Vec::new();
    for run in runs {
        town.ended(RunId(run)).await?;
        let ends = town.messages(names::RUN).await?;
        let end = ends.iter().find(|event| event.subject == format!("run.{run}.ended")).map(|end| &end.body);
        let summary: RunSummary = serde_json::from_slice(end.map_or(&[], Vec::as_slice))?;
        ensure!(summary.errors.is_empty(), "{summary:?}");
        records.push(summary.records);
    }
    ensure!(records[0] >= 1 && records[1] >= 1 && records[2..] == [0; 4], "{records:?}");
    let calls = town.admin.calls().await?.gis;
    let queries: u64 =
        calls.by_path.iter().filter(|(path, _)| path.contains("query")).map(|(_, count)| count).sum();
    ensure!(queries == 2, "{:?}", calls.by_path);
    town.all_requests_taken_out().await?;
    until("both edits to arrive", async || Ok(town.compare(&[]).await?.differences.is_empty().then_some(())))
        .await
}

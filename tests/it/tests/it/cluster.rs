//! A broker of three servers, one of which is lost at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use databridge::follow;
use databridge_broker::names;
use databridge_model::{RunEvent, RunId, RunSummary};
use indicatif::ProgressBar;
use it::town::{value, whole_config};
use it::watch::until_in;
use it::{Town, TownOptions};
use sandbox::GisOptions;

type Result = anyhow::Result<()>;

/// How long a run may take whose broker loses its leaders three times.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a run last told of itself, and whether that was its end.
async fn standing(town: &Town, run: RunId) -> anyhow::Result<(RunSummary, bool)> {
    let mut last = (RunSummary::default(), false);
    for message in town.messages(names::RUN).await? {
        let mut tokens = message.subject.split('.').skip(1);
        let (of, event) = (tokens.next().unwrap_or_default(), tokens.next().unwrap_or_default());
        if of == run.to_string()
            && let Ok(RunEvent::Summary(summary)) = RunEvent::decode(event, &message.body)
        {
            last = (summary, event == "ended");
        }
    }
    Ok(last)
}

/// Waits until so many pushes of a run have written.
async fn written(town: &Town, run: RunId, least: u64) -> anyhow::Result<u64> {
    until_in(PATIENCE, &format!("{least} pushes to be done"), async || {
        // While a new leader is chosen nothing can be read.
        let Ok((summary, has_ended)) = standing(town, run).await else { return Ok(None) };
        anyhow::ensure!(!has_ended, "the run was over before a server was lost; it needs more litigations");
        Ok((summary.written >= least).then_some(summary.written))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_three_servers_dies_in_turn_while_migrating_and_nothing_is_lost_or_doubled() -> Result {
    let litigations = 200;
    let mut town = Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        config: whole_config(),
        servers: 3,
        ack_wait_seconds: 5,
        patience: PATIENCE,
        ..TownOptions::default()
    })
    .await?;
    town.copies_are_current().await?;
    let run = RunId(town.publish("sync.request.gis", r#"{"mode":"migrate"}"#).await?);
    let mut done = 0;
    for server in 0..3 {
        done = written(&town, run, done + 10).await?;
        town.server(server)?.kill9()?;
        // Two are enough to go on.
        done = written(&town, run, done + 5).await?;
        town.server(server)?.restart().await?;
        town.copies_are_current().await?;
    }
    let bar = ProgressBar::hidden();
    let story = follow::follow(&town.broker, run, &bar);
    let story = tokio::time::timeout(PATIENCE, story).await.context("the run does not end")??;
    assert_eq!((story.summary.errors.len(), story.summary.failed), (0, 0), "{:?}", story.summary);
    town.cycle().await?;
    town.cycle().await?;
    town.assert_same().await?;
    let mut of_warrant = BTreeMap::<String, usize>::new();
    for matter in town.matters().await? {
        *of_warrant.entry(value(&matter, "Civil Warrant")).or_default() += 1;
    }
    assert_eq!(
        (of_warrant.len(), of_warrant.values().max()),
        (litigations, Some(&1)),
        "one matter a warrant"
    );
    assert!(town.dead_letters().await?.is_empty());
    town.next_cycle_writes_nothing().await
}

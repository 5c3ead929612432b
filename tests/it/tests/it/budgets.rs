//! The budget of a day: no call goes beyond it, who waits is told, and nothing is lost.

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use databridge_broker::names;
use databridge_runtime::Clock;
use it::town::TownOptions;
use it::{Town, watch};
use sandbox::GisOptions;

use crate::waiting::{ended, waiting};

type Result = anyhow::Result<()>;

/// Enough for a bootstrap, and for a part of what is to be carried over.
const PER_DAY: u32 = 80;

/// A town that has not had a call of Clio yet.
async fn town(litigations: usize, processes: bool) -> anyhow::Result<Town> {
    Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        clio_calls_per_day: Some(PER_DAY),
        rate_limit: Some(1_000),
        connected: false,
        processes,
        ack_wait_seconds: if processes { 2 } else { 30 },
        ..TownOptions::default()
    })
    .await
}

/// The calls to Clio that are paid from the budget: all but those of the sign-in.
async fn calls(town: &Town) -> anyhow::Result<u32> {
    let by_path = town.admin.calls().await?.clio.by_path;
    let is_paid = |path: &str| !path.contains("oauth") && !path.contains("who_am_i");
    let paid: u64 = by_path.iter().filter(|(path, _)| is_paid(path)).map(|(_, count)| count).sum();
    Ok(u32::try_from(paid)?)
}

/// Waits until so many calls were made.
async fn made(town: &Town, wanted: u32) -> Result {
    watch::until("the budget to be used up", async || Ok((calls(town).await? >= wanted).then_some(()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_beyond_the_budget_waits_for_the_next_days_says_why_and_loses_nothing() -> Result {
    let town = town(150, false).await?;
    town.connect().await?;
    let today = town.office.clock.now().date_naive();
    let migrating = town.migrate();
    tokio::pin!(migrating);

    let told = async {
        made(&town, PER_DAY).await?;
        let told = watch::until("the run to be told", async || Ok(waiting(&town).await?.pop())).await?;
        anyhow::Ok(told)
    };
    let (subject, event) = tokio::select! {
        story = &mut migrating => anyhow::bail!("it ended on the first day: {story:?}"),
        told = told => told?,
    };
    let tomorrow = today.succ_opt().context("no tomorrow")?;
    let why = format!(
        "the budget of {PER_DAY} calls a day (CLIO_CALLS_PER_DAY) is used up until {tomorrow} 00:00 UTC; they go on by \
         themselves"
    );
    assert_eq!((subject.as_str(), &event.reason), ("run.1.waiting", &why), "{event:?}");
    assert!(event.pushes > 50, "{event:?}");
    assert_eq!(calls(&town).await?, PER_DAY);
    let (_, said, _) = ended(town.nats.url().as_str(), &["budgets"]).await?;
    assert_eq!(said.trim(), format!("clio: {PER_DAY} of {PER_DAY} calls of {today} (UTC) are taken"));

    let mut days = 1;
    let story = loop {
        town.office.clock.advance(TimeDelta::days(1));
        days += 1;
        tokio::select! {
            story = &mut migrating => break story?,
            used_up = made(&town, days * PER_DAY) => used_up?,
        }
        assert_eq!(calls(&town).await?, days * PER_DAY);
    };
    assert!(days >= 3 && calls(&town).await? <= days * PER_DAY, "{days} days");
    assert_eq!((story.summary.failed, &story.summary.errors), (0, &Vec::new()), "{story:?}");
    assert!(story.waited.iter().any(|waited| waited.reason == why), "{:?}", story.waited);
    assert_eq!(town.matters().await?.len(), 150);
    assert!(town.dead_letters().await?.is_empty());
    town.assert_same().await?;

    // A listing waits as well, and ends on the day on which it may.
    let left = days * PER_DAY - calls(&town).await?;
    let synced = async {
        for _ in 0..=left {
            town.sync("clio").await?;
        }
        anyhow::Ok(())
    };
    let used_up = async {
        made(&town, days * PER_DAY).await?;
        watch::until("the listing's run to be told", async || {
            let told = waiting(&town).await?;
            Ok(told
                .iter()
                .any(|(_, event)| event.pushes == 0 && event.reason.ends_with("it goes on by itself"))
                .then_some(()))
        })
        .await?;
        ensure!(calls(&town).await? == days * PER_DAY, "a listing went beyond the budget");
        town.office.clock.advance(TimeDelta::days(1));
        anyhow::Ok(())
    };
    let (synced, used_up) = tokio::join!(synced, used_up);
    used_up?;
    synced?;
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_is_killed_goes_on_with_what_is_left_of_the_day() -> Result {
    let clock = Clock::system();
    let began = clock.now().date_naive();
    let mut town = town(150, true).await?;
    town.connect().await?;
    town.publish("sync.request.gis", r#"{"mode":"migrate"}"#).await?;
    for share in [55, 65] {
        made(&town, share).await?;
        let processes = town.processes.as_mut().context("no processes")?;
        processes.kill("clio-bridge").await?;
        processes.start_one("clio-bridge", None)?;
    }
    made(&town, PER_DAY - 16).await?;
    watch::until("the run to be told", async || Ok(waiting(&town).await?.pop())).await?;
    if clock.now().date_naive() == began {
        let calls = calls(&town).await?;
        // A call that was paid for and not made yet died with its process.
        assert!((PER_DAY - 16..=PER_DAY).contains(&calls), "{calls} calls");
    }
    assert!(town.messages(names::PUSH).await?.len() > 60, "nothing that waits is lost");
    Ok(())
}

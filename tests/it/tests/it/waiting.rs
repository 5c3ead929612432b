//! What a person is told while something waits, by `databridge sync` and `databridge migrate` themselves.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use databridge_broker::names;
use databridge_config::env::NatsEnv;
use databridge_model::{RunId, UnderWay, Waiting};
use databridge_nats_server::NatsServer;
use databridge_runtime::Clock;
use it::processes::built;
use it::town::{TownOptions, config_of_matters};
use it::{Town, watch};
use sandbox::GisOptions;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::bad_input::litigation;

type Result = anyhow::Result<()>;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// The command, over this NATS and the config of the towns here.
fn databridge(nats: &str, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(built("databridge-under-test")?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env_remove("RUST_LOG");
    command.env("NATS_URL", nats).env("DATABRIDGE_CONFIG", config_of_matters());
    Ok(command)
}

pub(crate) async fn ended(nats: &str, arguments: &[&str]) -> anyhow::Result<(Output, String, String)> {
    let output = tokio::time::timeout(PATIENCE, databridge(nats, arguments)?.output());
    let output = output.await.with_context(|| format!("{arguments:?} does not end"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complaints) = (text(&output.stdout), text(&output.stderr));
    Ok((output, said, complaints))
}

/// The `waiting` events of all runs.
pub(crate) async fn waiting(town: &Town) -> anyhow::Result<Vec<(String, Waiting)>> {
    let events = town.messages(names::RUN).await?;
    let waiting = events.iter().filter(|event| event.subject.ends_with(".waiting"));
    waiting.map(|event| Ok((event.subject.clone(), serde_json::from_slice(&event.body)?))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_before_clio_is_connected_says_what_its_pushes_wait_for_and_goes_on_afterwards() -> Result {
    let gis = GisOptions::city(3, 7);
    let town = Town::with(TownOptions { gis, connected: false, ..TownOptions::default() }).await?;
    let mut sync = databridge(town.nats.url().as_str(), &["sync", "gis"])?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut complaints = BufReader::new(sync.stderr.take().context("no standard error")?).lines();
    let told = tokio::time::timeout(PATIENCE, complaints.next_line()).await?;
    let told = told?.context("the command ended without a word")?;
    assert!(told.contains("3 pushes to clio wait: "), "{told}");
    assert!(told.contains("run `databridge connect`"), "{told}");
    let events = waiting(&town).await?;
    let [(subject, event)] = events.as_slice() else { panic!("once: {events:?}") };
    assert!(told.ends_with(&event.reason), "{told} {event:?}");
    assert_eq!((event.system.as_str(), event.pushes), ("clio", 3), "{subject}");

    town.connect().await?;
    let output = tokio::time::timeout(PATIENCE, sync.wait_with_output()).await??;
    let said = String::from_utf8(output.stdout)?;
    assert!(output.status.success() && said.contains("3 records read, 3 written"), "{said}");
    assert_eq!(waiting(&town).await?.len(), 1, "no more than once a minute");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_says_which_records_an_earlier_run_has_under_way_and_how_that_run_stands() -> Result {
    // With a limit it knows, the bridge lists while the write is held.
    let gis = GisOptions::city(0, 7);
    let town = Town::with(TownOptions { gis, rate_limit: Some(1_000), ..TownOptions::default() }).await?;
    town.admin.add_features(town.layer(), &[litigation("E-1", "1 A St")]).await?;
    let held = town.hold(Fault::new(System::Clio, Action::Hold).method("POST").path("/matters")).await?;
    let run = RunId(town.publish("sync.request.gis", "").await?);
    held.reached().await?;
    let story = town.migrate().await?;
    assert_eq!(story.summary.under_way, [UnderWay { run: Some(run), records: 1 }]);

    watch::until("the counts of the first run", async || {
        let progress = format!("run.{run}.progress");
        let said = town.messages(names::RUN).await?;
        Ok(said
            .iter()
            .any(|event| event.subject == progress && event.text().contains("\"pushes\":1"))
            .then_some(()))
    })
    .await?;
    let (output, said, complaints) = ended(town.nats.url().as_str(), &["migrate"]).await?;
    assert!(output.status.success(), "{complaints}");
    assert!(said.contains(&format!("1 under way from an earlier run (run {run})")), "{said}");
    assert!(!said.contains("nothing to write"), "{said}");
    assert!(said.contains(&format!("run {run} is not at its end; at ")), "{said}");
    assert!(said.contains("0 of 1 written"), "{said}");

    held.release().await?;
    town.ended(run).await?;
    let story = town.migrate().await?;
    assert_eq!((story.summary.under_way.as_slice(), story.summary.pushes), ([].as_slice(), 0));
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_things_wait_for_a_person_as_are_listed() -> Result {
    let town = Town::of(1).await?;
    let mut keyless = litigation("E-3", "3 C St");
    keyless.attributes.insert("CivilWarrant".to_owned(), Value::Null);
    let rows = [litigation("E-1", "1 A St"), litigation("E-1", "2 B St"), keyless];
    town.admin.add_features(town.layer(), &rows).await?;
    // The bridge itself tells of this one, the reconciler of the others.
    town.admin.layer_settings(town.layer(), json!({"remove_field": "PARCEL_ID"})).await?;
    let (_, said, complaints) = ended(town.nats.url().as_str(), &["migrate"]).await?;
    let listed = said.lines().filter(|line| line.starts_with("  waits for a person: ")).count();
    assert_eq!(listed, 4, "the field, the record without key, and both of one key: {said}{complaints}");
    assert!(said.contains(&format!(" {listed} wait for a person")), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_takes_up_is_said_to_stay() -> Result {
    let nats = NatsServer::ephemeral().await?;
    let (output, _, complaints) = ended(nats.url().as_str(), &["sync", "gis"]).await?;
    assert_eq!(output.status.code(), Some(2));
    assert!(complaints.contains("The request stays, as run 1, and is done once they run"), "{complaints}");
    let settings = NatsEnv::at(nats.url().clone());
    let broker =
        databridge_broker::Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(5))
            .await?;
    let stream = broker.jetstream().get_stream(names::SYNC).await?;
    assert_eq!(stream.get_raw_message(1).await?.subject.as_str(), "sync.request.gis");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_it_is_asked_once_whether_it_runs() -> Result {
    let (output, _, complaints) = ended("nats://127.0.0.1:1", &["sync", "gis"]).await?;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(complaints.matches("Connection refused").count(), 1, "{complaints}");
    assert!(complaints.contains("is nats-server running?"), "{complaints}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_of_no_system_in_particular_names_those_there_are() -> Result {
    for name in ["all", "knack"] {
        let (output, _, complaints) = ended("nats://127.0.0.1:1", &["migrate", name]).await?;
        assert_eq!(output.status.code(), Some(2));
        assert!(complaints.contains("name one of: clio, gis"), "{complaints}");
    }
    Ok(())
}

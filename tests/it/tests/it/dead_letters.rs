//! Dead letters by the operator's own command: looked at, mended, replayed, discarded.

use std::process::Stdio;
use std::time::Duration;

use databridge_broker::names;
use databridge_model::OutcomeResult;
use it::Town;
use it::processes::built;
use it::town::{text, value};
use it::watch::until;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

type Result = anyhow::Result<()>;

/// Calls `databridge` as an operator does: its status, what it prints and what it complains of.
async fn called(town: &Town, arguments: &[&str], input: &str) -> anyhow::Result<(i32, String, String)> {
    let mut command = Command::new(built("databridge-under-test")?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
        .env("NATS_URL", town.nats.url())
        .env("DATABRIDGE_CONFIG", &town.office.config.path)
        .env("USER", "ann")
        .env_remove("SUDO_USER")
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_with_a_typo_is_mended_and_applied_once_though_it_is_replayed_twice() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let matter = town.matter(&warrant).await?;
    let subject = format!("push.live.clio.matters.{warrant}");
    let wrong =
        json!({ "op": "update", "target": { "id": matter.id.to_string() }, "sett": {}, "why": "by hand" });
    let sequence = town.publish(&subject, wrong.to_string()).await?;
    town.dead_letter(names::PUSH, sequence).await?;

    let (status, listed, _) = called(&town, &["dead"], "").await?;
    assert_eq!(status, 0);
    assert!(listed.contains(&subject) && listed.contains("unknown field `sett`"), "{listed}");
    let number = listed.split_whitespace().next().unwrap_or_default().to_owned();
    let (_, shown, _) = called(&town, &["dead", "show", &number], "").await?;
    assert!(shown.contains("\"sett\"") && shown.contains("dead replay"), "{shown}");

    let mended = json!({
        "op": "update",
        "target": { "id": matter.id.to_string() },
        "set": { "Location": "12 Beale St" },
        "why": "by hand",
    });
    let (status, said, _) =
        called(&town, &["dead", "edit", &number, "--body", "-"], &mended.to_string()).await?;
    assert_eq!(status, 0, "{said}");
    let (status, said, _) = called(&town, &["dead", "replay"], "").await?;
    assert_eq!((status, said.as_str()), (2, ""), "nothing is done without a word which");
    let (status, said, _) = called(&town, &["dead", "replay", "--stage", "push"], "").await?;
    assert_eq!(status, 0, "{said}");
    until("the push to be applied", async || {
        let matter = town.matter(&warrant).await?;
        Ok((value(&matter, "Location") == "12 Beale St").then_some(()))
    })
    .await?;
    // The operator's machine died before it was taken out, and somebody does it again, weeks later.
    let pushes = town.messages(names::OUTCOME).await?;
    let outcome: Value =
        serde_json::from_slice(&pushes.last().map(|it| it.body.clone()).unwrap_or_default())?;
    let again = json!({ "push": outcome["push"], "op": "update", "target": { "id": matter.id.to_string() },
        "set": { "Location": "12 Beale St" }, "why": "by hand" });
    town.admin.reset_calls().await?;
    town.publish(&subject, again.to_string()).await?;
    until("the copy to be answered", async || {
        let outcomes = town.messages(names::OUTCOME).await?;
        Ok((outcomes.len() > pushes.len()).then_some(()))
    })
    .await?;
    assert_eq!(town.writes().await?, (0, 0), "it is answered from what was applied");
    assert_eq!(outcome["result"], json!(OutcomeResult::Written));

    let (_, listed, _) = called(&town, &["dead"], "").await?;
    assert_eq!(listed.trim(), "There are no dead letters.");
    let (_, audit, _) = called(&town, &["audit"], "").await?;
    assert!(audit.contains("ann@") && audit.contains("edited") && audit.contains("replayed"), "{audit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_are_discarded_are_told_of_in_the_audit_and_an_unknown_number_is_told() -> Result {
    let town = Town::of(1).await?;
    for body in ["<html>", "not json"] {
        let sequence = town.publish("sync.request.gis", body).await?;
        town.dead_letter(names::SYNC, sequence).await?;
    }
    let (status, said, _) = called(&town, &["dead", "discard", "999"], "").await?;
    assert_eq!(status, 1);
    assert!(said.contains("there is no dead letter 999"), "{said}");
    let (status, _, error) = called(&town, &["dead", "list", "--stage", "no stage"], "").await?;
    assert_eq!(status, 2);
    assert!(error.contains("`no stage` is no name"), "{error}");
    let (status, said, _) = called(&town, &["dead", "discard", "--all"], "").await?;
    assert_eq!(status, 0, "{said}");
    assert!(town.dead_letters().await?.is_empty());
    let (_, audit, _) = called(&town, &["audit"], "").await?;
    assert_eq!(audit.matches("discarded").count(), 2, "{audit}");
    assert!(audit.contains("<html>"), "{audit}");
    Ok(())
}

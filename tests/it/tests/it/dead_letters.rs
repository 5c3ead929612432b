//! Dead letters by the operator's own command: looked at, mended, replayed, discarded.

use databridge_broker::names;
use databridge_model::OutcomeResult;
use it::Town;
use it::town::{text, value};
use it::watch::until;
use serde_json::{Value, json};

type Result = anyhow::Result<()>;

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

    let listed = town.databridge(&["dead"]).await?;
    assert_eq!(listed.status, 0);
    let listed = listed.said;
    assert!(listed.contains(&subject) && listed.contains("unknown field `sett`"), "{listed}");
    let number = listed.split_whitespace().next().unwrap_or_default().to_owned();
    let shown = town.databridge(&["dead", "show", &number]).await?.said;
    assert!(shown.contains("\"sett\"") && shown.contains("dead replay"), "{shown}");

    let mended = json!({
        "op": "update",
        "target": { "id": matter.id.to_string() },
        "set": { "Location": "12 Beale St" },
        "why": "by hand",
    });
    let arguments = ["dead", "edit", &number, "--body", "-"];
    let edited = town.databridge_reading(&arguments, &mended.to_string()).await?;
    assert_eq!(edited.status, 0, "{edited:?}");
    let replayed = town.databridge(&["dead", "replay"]).await?;
    assert_eq!((replayed.status, replayed.said.as_str()), (2, ""), "nothing is done without a word which");
    let before = town.messages(names::OUTCOME).await?.len();
    let replayed = town.databridge(&["dead", "replay", "--stage", "push"]).await?;
    assert_eq!(replayed.status, 0, "{replayed:?}");
    // Its outcome, not what Clio shows: that is told a moment before.
    let pushes = until("the push to be answered", async || {
        let outcomes = town.messages(names::OUTCOME).await?;
        Ok((outcomes.len() > before).then_some(outcomes))
    })
    .await?;
    assert_eq!(value(&town.matter(&warrant).await?, "Location"), "12 Beale St");
    // The operator's machine died before it was taken out, and somebody does it again, weeks later.
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

    assert_eq!(town.databridge(&["dead"]).await?.said.trim(), "There are no dead letters.");
    let audit = town.databridge(&["audit"]).await?.said;
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
    let called = town.databridge(&["dead", "discard", "999"]).await?;
    assert_eq!(called.status, 1);
    assert!(called.said.contains("there is no dead letter 999"), "{called:?}");
    let called = town.databridge(&["dead", "list", "--stage", "no stage"]).await?;
    assert_eq!(called.status, 2);
    assert!(called.error.contains("`no stage` is no name"), "{called:?}");
    let called = town.databridge(&["dead", "discard", "--all"]).await?;
    assert_eq!(called.status, 0, "{called:?}");
    assert!(town.dead_letters().await?.is_empty());
    let audit = town.databridge(&["audit"]).await?.said;
    assert_eq!(audit.matches("discarded").count(), 2, "{audit}");
    assert!(audit.contains("<html>"), "{audit}");
    Ok(())
}

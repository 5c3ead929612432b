//! Messages that nobody can read, and requests that nobody can answer: each a dead letter with a reason, and nothing
//! waits behind it.

use anyhow::{Context, bail};
use databridge_broker::names;
use databridge_model::{OutcomeResult, RunId};
use futures::StreamExt;
use it::Town;
use it::town::{text, value};
use serde_json::{Value, json};

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_message_is_a_dead_letter_and_the_next_one_passes() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    for (stream, subject, body, dead, words) in [
        (
            names::SYNC,
            "sync.request.gis".to_owned(),
            "{\"mod\":\"full\"}",
            "dead.sync.gis._._",
            "unknown field `mod`",
        ),
        (names::SYNC, "sync.request.gis".to_owned(), "{\"ids\":[1]}", "dead.sync.gis._._", "invalid type"),
        (
            names::SYNC,
            "sync.request.clio.matters".to_owned(),
            "not json",
            "dead.sync.clio.matters._",
            "a sync request cannot be read",
        ),
        (
            names::PULL,
            format!("pull.gis.active_litigations.{warrant}"),
            "{\"system\":\"gis\"",
            "dead.pull.gis.active_litigations.",
            "a pull result cannot be read",
        ),
        (
            names::PULL,
            "pull.gis.active_litigations.X".to_owned(),
            "{}",
            "dead.pull.gis.active_litigations.X",
            "missing field",
        ),
        (
            names::PUSH,
            format!("push.live.clio.matters.{warrant}"),
            "<html>",
            "dead.push.clio.matters.",
            "a push request cannot be read",
        ),
        (
            names::PUSH,
            "push.live.gis.active_litigations.X".to_owned(),
            "{\"op\":\"destroy\"}",
            "dead.push.gis.active_litigations.X",
            "unknown variant `destroy`",
        ),
        (
            names::OUTCOME,
            format!("outcome.clio.matters.{warrant}"),
            "[]",
            "dead.outcome.clio.matters.",
            "an outcome cannot be read",
        ),
    ] {
        let sequence = town.publish(&subject, body).await?;
        let (dead_subject, letter) = town.dead_letter(stream, sequence).await?;
        assert!(dead_subject.starts_with(dead), "{dead_subject}");
        assert_eq!((letter.subject.as_str(), letter.body.as_deref()), (subject.as_str(), Some(body)));
        assert!(letter.error.contains(words), "{subject}: {}", letter.error);
    }
    let letters = town.dead_letters().await?;
    assert_eq!(letters.len(), 8, "each once, whoever reads it: {letters:?}");
    let bytes = town.publish("pull.gis.active_litigations.X", vec![0xff, 0xfe]).await?;
    let (_, letter) = town.dead_letter(names::PULL, bytes).await?;
    assert_eq!((letter.body, letter.body_base64.as_deref()), (None, Some("//4=")));
    // Nothing waits behind any of them.
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    town.cycle().await?;
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "New Owner");
    town.assert_same().await?;
    town.all_requests_taken_out().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_push_has_an_outcome_all_the_same() -> Result {
    let town = Town::of(1).await?;
    let sequence = town.publish("push.live.clio.matters.E-1", "{\"op\":\"update\",\"sett\":{}}").await?;
    let (_, letter) = town.dead_letter(names::PUSH, sequence).await?;
    assert!(letter.error.contains("unknown field `sett`"), "{}", letter.error);
    let outcome = it::watch::until("the outcome", async || {
        let outcomes = town.messages(names::OUTCOME).await?;
        Ok(outcomes.into_iter().find(|outcome| outcome.subject == "outcome.clio.matters.E-1"))
    })
    .await?;
    let outcome: databridge_model::Outcome = serde_json::from_slice(&outcome.body)?;
    assert_eq!(outcome.result, OutcomeResult::Dead);
    assert_eq!(outcome.push.to_string(), format!("person#{sequence}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_system_is_refused_with_the_list_of_systems() -> Result {
    let town = Town::of(1).await?;
    let sequence = town.publish("sync.request.knack", "").await?;
    let (subject, letter) = town.dead_letter(names::SYNC, sequence).await?;
    assert_eq!(subject, "dead.sync.knack._._");
    assert!(letter.error.contains("no system `knack`"), "{}", letter.error);
    assert!(letter.error.contains("clio") && letter.error.contains("gis"), "{}", letter.error);
    let sequence = town.publish("sync.request.gis.dogs", "").await?;
    let (subject, letter) = town.dead_letter(names::SYNC, sequence).await?;
    assert_eq!(subject, "dead.sync.gis.dogs._");
    assert!(
        letter.error.contains("no collection `dogs`") && letter.error.contains("active_litigations"),
        "{}",
        letter.error
    );
    town.all_requests_taken_out().await?;
    assert_eq!(town.dead_letters().await?.len(), 2);
    town.migrate().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_an_unknown_collection_is_dead_and_says_so() -> Result {
    let town = Town::of(1).await?;
    let sequence = town.publish("push.live.clio.dogs.E-1", json!({"op": "update"}).to_string()).await?;
    let (_, letter) = town.dead_letter(names::PUSH, sequence).await?;
    assert!(letter.error.contains("clio has no collection `dogs`"), "{}", letter.error);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_request_mended_and_published_again_is_answered() -> Result {
    let town = Town::of(1).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    let id = it::town::object_id(&row)?.to_string();
    let asked = town.publish("sync.request.gis", json!({"ids": [id, 7]}).to_string()).await?;
    let (_, letter) = town.dead_letter(names::SYNC, asked).await?;
    let mut body: Value = serde_json::from_str(letter.body.as_deref().unwrap_or_default())?;
    body["ids"] = json!([id]);
    let again = town.publish(&letter.subject, body.to_string()).await?;
    town.ended(RunId(again)).await?;
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "New Owner");
    Ok(())
}

/// Lets PULL take no more messages than it holds, or as many as come.
async fn fill_pull(town: &Town, full: bool) -> Result {
    let jetstream = town.broker.jetstream();
    let info = jetstream.get_stream(names::PULL).await?.get_info().await?;
    let mut config = info.config;
    config.max_messages = if full { info.state.messages.try_into()? } else { -1 };
    jetstream.update_stream(config).await?;
    Ok(())
}

/// Gives each request that the gis-bridge puts off back to it at once: its twenty tries would take ten minutes.
async fn hurry_the_tries(town: &Town) -> anyhow::Result<impl Future<Output = anyhow::Error>> {
    let client = town.broker.client().clone();
    let mut answers = client.subscribe("$JS.ACK.>").await?;
    client.flush().await?;
    Ok(async move {
        while let Some(answer) = answers.next().await {
            let is_put_off = answer.payload.starts_with(b"-NAK {");
            if is_put_off
                && answer.subject.contains(".SYNC.gis-bridge.")
                && let Err(error) = client.publish(answer.subject, "-NAK".into()).await
            {
                return error.into();
            }
        }
        anyhow::anyhow!("the subscription to the answers ended")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_its_bridge_gives_up_closes_its_run_with_a_reason_and_the_next_run_catches_up()
-> Result {
    let town = Town::of(1).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    fill_pull(&town, true).await?;
    let hurry = hurry_the_tries(&town).await?;
    let story = tokio::select! {
        story = town.sync("gis") => story?,
        error = hurry => bail!("the tries are not hurried any more: {error}"),
    };
    let run = story.run.context("the run has no id")?;
    let (subject, letter) = town.dead_letter(names::SYNC, run.0).await?;
    assert_eq!((subject.as_str(), letter.attempts.len()), ("dead.sync.gis._._", 20));
    assert!(letter.error.contains("NATS refused the batch"), "{}", letter.error);
    assert_eq!(story.summary.errors, [format!("gis.active_litigations: {}", letter.error)]);
    town.all_requests_taken_out().await?;
    fill_pull(&town, false).await?;
    assert_eq!(town.sync("gis").await?.summary.errors, [] as [String; 0]);
    assert_eq!(value(&town.matter(&text(&row, "CivilWarrant")).await?, "Property Owner"), "New Owner");
    town.assert_same().await
}

//! What must be true once a flow that was broken off has gone on.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use databridge::follow::{self, Story};
use databridge_broker::async_nats::jetstream::stream::Stream;
use databridge_broker::{Envelope, names};
use databridge_model::{RunId, SyncRequest, subject};
use futures::TryStreamExt;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::town::Town;
use crate::watch::until;

/// How long a broken flow may take to its end, and what it left to be tidied.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Follows a run to its end.
pub(super) async fn follow_to_the_end(town: &Town, run: RunId) -> anyhow::Result<Story> {
    let hidden = ProgressBar::hidden();
    match tokio::time::timeout(PATIENCE, follow::follow(&town.broker, run, &hidden)).await {
        Ok(story) => Ok(story?),
        Err(_) => bail!("the run did not end; left over: {}", left_over(town).await?.join("; ")),
    }
}

/// What is under way still: open runs, intents, records that wait for their parents, contents, requests, pushes; and
/// dead letters.
pub async fn left_over(town: &Town) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    for (run, found) in town.broker.bucket::<Value>(names::RUNS).await?.all().await? {
        if found.value.get("ended_at").is_none_or(Value::is_null) {
            left.push(format!("run {run} is open: {}", found.value));
        }
    }
    for (bucket, what) in [(names::INTENTS, "intent"), (names::WAITING, "waiting")] {
        for (key, found) in town.broker.bucket::<Value>(bucket).await?.all().await? {
            left.push(format!("{what} {key}: {}", found.value));
        }
    }
    // Not by a list of the object store, which waits without an end for an object that is dropped meanwhile.
    let contents = town.broker.jetstream().get_stream_no_info(format!("OBJ_{}", names::CONTENT)).await?;
    let objects = contents.info_with_subjects(format!("$O.{}.M.>", names::CONTENT)).await?;
    for (object, _) in objects.try_collect::<Vec<_>>().await? {
        left.push(format!("the content {object}"));
    }
    // One message stands first in PUSH for ever.
    for (name, stays) in [(names::SYNC, 0), (names::PUSH, 1)] {
        let stream = town.broker.jetstream().get_stream_no_info(name).await?;
        let messages = stream.get_info().await?.state.messages;
        if messages > stays {
            let first = first_of(&stream, stays + 1).await;
            left.push(format!("{} messages in {name}, such as {first}", messages - stays));
        }
    }
    let dead = town.messages(names::DEAD).await?;
    let dead = dead.iter().filter(|message| !message.text().contains(ACKNOWLEDGED_BEFORE));
    left.extend(dead.map(|message| format!("dead: {}: {}", message.subject, message.text())));
    Ok(left)
}

/// The first message of a stream from a sequence on, as far as it can be told.
async fn first_of(stream: &Stream<()>, from: u64) -> String {
    match stream.get_first_raw_message_by_subject(">", from).await {
        Ok(first) => format!("{}: {}", first.subject, String::from_utf8_lossy(&first.payload)),
        Err(error) => error.to_string(),
    }
}

/// No run open, no request, push or intent left, no record that waits for its parent, no content, no dead letter.
pub(super) async fn must_be_tidy(town: &Town) -> anyhow::Result<()> {
    let tidied =
        until("nothing to be left over", async || Ok(left_over(town).await?.is_empty().then_some(()))).await;
    if tidied.is_err() {
        bail!("left over: {}", left_over(town).await?.join("; "));
    }
    Ok(())
}

/// What a broker that was killed says of a message whose acknowledgement it had carried out but not written down: it
/// is gone from the work queue, and yet seems to be under way.
const ACKNOWLEDGED_BEFORE: &str = "Unacknowledged message was deleted";

/// A cycle, whose runs end well.
pub(super) async fn cycle(town: &Town) -> anyhow::Result<()> {
    for system in ["gis", "clio"] {
        let run = ask(town, system, SyncRequest::default()).await?;
        must_end_well(town, run).await.with_context(|| format!("the cycle's sync of {system}"))?;
    }
    Ok(())
}

/// Asks for a sync.
pub async fn ask(town: &Town, system: &str, request: SyncRequest) -> anyhow::Result<RunId> {
    let subject = subject::sync_request(&system.parse()?, None);
    Ok(RunId(town.broker.publish(subject, &request, &Envelope::default()).await?))
}

/// The run ends, nothing waits for a person, and nothing failed.
pub(super) async fn must_end_well(town: &Town, run: RunId) -> anyhow::Result<()> {
    let story = follow_to_the_end(town, run).await?;
    ensure!(story.parked.is_empty(), "something was parked: {:?}", story.parked);
    ensure!(story.conflicts.is_empty(), "conflicts came of it: {:?}", story.conflicts);
    ensure!(story.summary.failed == 0 && story.summary.errors.is_empty(), "it failed: {:?}", story.summary);
    Ok(())
}

/// Whether a run has ended.
pub(super) async fn has_ended(town: &Town, run: RunId) -> anyhow::Result<bool> {
    let stream = town.broker.jetstream().get_stream_no_info(names::RUN).await?;
    Ok(stream.get_last_raw_message_by_subject(&format!("run.{run}.ended")).await.is_ok())
}

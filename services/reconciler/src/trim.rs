//! Keeping PULL from filling up: what is decided is purged, some days later or when room is needed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_broker::{Broker, Inbox, names};
use databridge_runtime::CancellationToken;

/// How long decided pull results are kept: they are a record's story.
const KEPT: TimeDelta = TimeDelta::days(7);

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(600);

/// Above this share of its bytes everything decided goes, however young.
const FULL_PERCENT: u64 = 70;

/// Above this share of its bytes the stream of dead letters is an alarm: full, it refuses.
const ALARM_PERCENT: u64 = 80;

/// Trims until told to stop.
pub(crate) async fn run(broker: Broker, pulls: Inbox, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = trim(&broker, &pulls).await {
            tracing::warn!(error, "The stream PULL could not be trimmed; trying again later.");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn trim(broker: &Broker, pulls: &Inbox) -> Result<(), String> {
    let failed = |error: &dyn std::error::Error| error.to_string();
    if let Some(percent) = filled(broker, names::DEAD).await?
        && percent >= ALARM_PERCENT
    {
        tracing::error!(percent, "The stream of dead letters is nearly full; look through them.");
    }
    let decided = pulls.settled_up_to().await.map_err(|e| failed(&e))?;
    let full = filled(broker, names::PULL).await?.is_some_and(|percent| percent >= FULL_PERCENT);
    let old = broker.clock().now() - KEPT;
    let up_to = if full { decided } else { decided.min(last_before(broker, old).await?) };
    if up_to == 0 {
        return Ok(());
    }
    let stream = broker.jetstream().get_stream_no_info(names::PULL).await.map_err(|e| failed(&e))?;
    // Purging by sequence keeps the sequence itself. Cursors are not covered.
    let purged = stream.purge().filter("pull.>").sequence(up_to + 1).await.map_err(|e| failed(&e))?;
    if purged.purged > 0 {
        tracing::info!(purged = purged.purged, "Decided pull results are purged.");
    }
    Ok(())
}

/// How full a stream is, in percent of its limit of bytes; `None` without a limit.
async fn filled(broker: &Broker, name: &str) -> Result<Option<u64>, String> {
    let stream = broker.jetstream().get_stream(name).await.map_err(|e| e.to_string())?;
    let info = stream.cached_info();
    let limit = u64::try_from(info.config.max_bytes).ok().filter(|limit| *limit > 0);
    Ok(limit.map(|limit| info.state.bytes * 100 / limit))
}

/// The last sequence in PULL that was stored before a moment; 0 if none was.
async fn last_before(broker: &Broker, moment: DateTime<Utc>) -> Result<u64, String> {
    let stream = broker.jetstream().get_stream(names::PULL).await.map_err(|e| e.to_string())?;
    let state = &stream.cached_info().state;
    let seconds = |at: DateTime<Utc>| at.timestamp();
    if state.messages == 0 || state.first_timestamp.unix_timestamp() >= seconds(moment) {
        return Ok(0);
    }
    if state.last_timestamp.unix_timestamp() < seconds(moment) {
        return Ok(state.last_sequence);
    }
    let mut reading = broker.read_since(names::PULL, None, moment).await.map_err(|e| e.to_string())?;
    let first = reading.next(1).await.map_err(|e| e.to_string())?.first().map(|(sequence, _)| *sequence);
    reading.done().await;
    Ok(first.map_or(0, |sequence| sequence - 1))
}

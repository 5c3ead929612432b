//! What the commands share by which a person mends what the services keep; and `databridge audit`, which tells of it.

use anyhow::{Context, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use databridge_broker::{Broker, Envelope, health, names};
use databridge_model::{Audit, CollectionName, Key, RunId, SyncRequest, SystemName, decode, subject};

use crate::commands::{broker, tell};
use crate::follow;
use crate::say::say;

/// `databridge audit`
pub async fn audit() -> anyhow::Result<bool> {
    let broker = broker().await?;
    let mut from = 1;
    while let Some(message) = broker.next_stored(names::AUDIT, ">", from).await? {
        from = message.sequence + 1;
        match decode::<Audit>("what somebody did", &message.payload) {
            Ok(done) => {
                say!("{} {}: {} {}", moment(done.at), done.by, done.action, done.about);
                if let Some(more) = &done.more {
                    say!("    {more}");
                }
            }
            Err(error) => say!("{}: {error}", message.subject),
        }
    }
    if from == 1 {
        say!("Nobody has done anything by hand.");
    }
    Ok(true)
}

/// The numbers that were given; `None` where a filter or `--all` says which.
pub(super) fn chosen(
    numbers: &[u64],
    filter_is_all: bool,
    all: bool,
    example: &str,
) -> anyhow::Result<Option<Vec<u64>>> {
    match (numbers.is_empty(), filter_is_all, all) {
        (false, true, false) => Ok(Some(numbers.to_vec())),
        (true, false, false) | (true, true, true) => Ok(None),
        (true, true, false) => bail!("say which: their numbers, a filter such as {example}, or --all"),
        _ => bail!("numbers, a filter and --all exclude each other"),
    }
}

/// Does something to each, and goes on where it fails for one; whether all went well.
pub(super) async fn each_of(
    numbers: &[u64],
    action: impl AsyncFn(u64) -> anyhow::Result<String>,
) -> anyhow::Result<bool> {
    let mut well = true;
    for number in numbers {
        match action(*number).await {
            Ok(done) => say!("{done}"),
            Err(error) => {
                well = false;
                say!("{number}: {error}");
            }
        }
    }
    Ok(well)
}

/// A key as it was typed.
pub(super) fn key_of(text: Option<&String>) -> anyhow::Result<Option<Key>> {
    text.map(|key| Key::parse(key).with_context(|| format!("`{key}` is no key"))).transpose()
}

/// A moment in UTC, to the second.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Who works here, for the audit.
pub(super) fn somebody() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    format!("{}@{}", name.unwrap_or_else(|| "somebody".to_owned()), health::host())
}

/// Has a record read again, so that what somebody did to it goes over now and not with the next sync; whether all went
/// well.
pub(super) async fn read_again(
    broker: &Broker,
    system: &SystemName,
    collection: &CollectionName,
    id: &str,
    why: &str,
) -> anyhow::Result<bool> {
    let request =
        SyncRequest { ids: vec![id.to_owned()], reason: Some(why.to_owned()), ..SyncRequest::default() };
    let on = subject::sync_request(system, Some(collection));
    let run = RunId(broker.publish(on, &request, &Envelope::default()).await?);
    let title = format!("sync {system} {id}");
    let story = follow::follow(broker, run, &follow::bar(&title)).await?;
    Ok(tell(broker, &title, &story).await)
}

//! `databridge import`

use anyhow::{Context, bail};
use clio_bridge::{BridgeSettings, Found};
use databridge_broker::{Broker, Envelope, names};
use databridge_config::ConfigFolder;
use databridge_model::{RunId, SyncRequest, SystemName, subject};

use super::{broker, config, tell};
use crate::cli::ImportArgs;
use crate::follow::{self, Story};
use crate::import::{DataFolder, Stranger};
use crate::say::say;

/// `databridge import`
pub async fn import(args: &ImportArgs) -> anyhow::Result<bool> {
    let folder = DataFolder::read(&args.folder)?;
    for line in folder.words() {
        say!("{line}");
    }
    let config = config()?;
    let broker = if args.dry_run { None } else { Some(broker().await?) };
    let strangers = strangers(&folder, &config, broker.as_ref()).await?;
    for stranger in &strangers {
        say!("  {}", stranger.words());
    }
    let mut well = folder.unread.is_empty() && strangers.is_empty();
    let Some(broker) = broker.filter(|_| !folder.is_empty()) else { return Ok(well) };
    if !args.go_on && strangers.iter().any(Stranger::hides_matters) {
        bail!(
            "nothing was asked for, because the scripts' matters are not ours (see above); --go-on asks all the same"
        );
    }
    for (title, story) in import_of(&broker, &folder, &config, &args.folder.display().to_string()).await? {
        well &= tell(&broker, &title, &story).await;
    }
    for line in folder.advice() {
        say!("\n{line}");
    }
    Ok(well)
}

/// Asks for every record that waited in a folder, and follows the runs to their ends; each with its title.
pub async fn import_of(
    broker: &Broker,
    folder: &DataFolder,
    config: &ConfigFolder,
    name: &str,
) -> anyhow::Result<Vec<(String, Story)>> {
    let (requests, lacking) = folder.requests(config);
    for (collection, records) in lacking {
        say!(
            "  {records} records of {collection} are not asked for: there is no such collection in {}",
            config.path.display()
        );
    }
    let mut stories = Vec::new();
    for ((system, collection), ids) in requests {
        let request =
            SyncRequest { ids, reason: Some(format!("waited in {name}")), ..SyncRequest::default() };
        let subject = subject::sync_request(&system, Some(&collection));
        let run = RunId(broker.publish(subject, &request, &Envelope::default()).await?);
        let title = format!("import {system}.{collection}");
        let story = follow::follow(broker, run, &follow::bar(&title)).await?;
        stories.push((title, story));
    }
    Ok(stories)
}

/// The things of the scripts in Clio that are not those of ours.
async fn strangers(
    folder: &DataFolder,
    config: &ConfigFolder,
    broker: Option<&Broker>,
) -> anyhow::Result<Vec<Stranger>> {
    let clio: SystemName = "clio".parse()?;
    if !config.systems.contains_key(&clio) {
        return Ok(Vec::new());
    }
    let ours: BridgeSettings = config.bridge_part(&clio)?;
    let found = match broker {
        Some(broker) => {
            let bucket = broker.bucket::<Found>(names::FOUND).await?;
            bucket.get(clio.as_str()).await.context("what bootstrap found is not known")?
        }
        None => None,
    };
    Ok(folder.strangers(&ours, found.as_ref().map(|found| &found.value)))
}

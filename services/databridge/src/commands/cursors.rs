//! `databridge cursors`

use anyhow::{Context, bail};
use databridge_broker::{BeginAt, CursorDesk, StoredCursor};
use databridge_config::ConfigFolder;
use databridge_model::{CollectionName, SystemName};

use crate::cli::{CursorSet, CursorsArgs, CursorsCommand};
use crate::commands::by_hand::{moment, somebody};
use crate::commands::{broker, config, known};
use crate::say::say;

/// `databridge cursors`
pub async fn cursors(args: &CursorsArgs) -> anyhow::Result<bool> {
    let config = config()?;
    let broker = broker().await?;
    let desk = CursorDesk::new(&broker, &somebody());
    match args.command.as_ref().unwrap_or(&CursorsCommand::List) {
        CursorsCommand::List => {
            let all = desk.all().await?;
            for cursor in &all {
                say!("{}", line(cursor));
            }
            if all.is_empty() {
                say!("Nothing was read yet.");
            }
        }
        CursorsCommand::Show { collection } => {
            let (system, collection) = collection_of(&config, collection)?;
            let of_it = |it: &StoredCursor| it.system == system && it.collection == collection;
            let found: Vec<_> = desk.all().await?.into_iter().filter(of_it).collect();
            if found.is_empty() {
                say!("Nothing of {system}.{collection} was read yet.");
            }
            for cursor in &found {
                say!("{}", line(cursor));
                if let Ok(whole) = &cursor.cursor {
                    say!("{}", serde_json::to_string_pretty(whole).context("it cannot be shown")?);
                }
            }
        }
        CursorsCommand::Rewind(to) => {
            let (system, collection) = collection_of(&config, &to.collection)?;
            desk.rewind(&system, &collection, begin_at(to)).await?;
            say!("{}", told(&system, &collection, to));
        }
        CursorsCommand::Set(to) => {
            let (system, collection) = collection_of(&config, &to.collection)?;
            desk.set(&system, &collection, begin_at(to)).await?;
            say!("{}", told(&system, &collection, to));
        }
    }
    Ok(true)
}

fn begin_at(to: &CursorSet) -> BeginAt {
    to.to.map_or(BeginAt::Start, BeginAt::Moment)
}

fn told(system: &SystemName, collection: &CollectionName, to: &CursorSet) -> String {
    let what =
        to.to.map_or_else(|| "all of it".to_owned(), |at| format!("what changed since {}", moment(at)));
    format!("the next sync of {system} reads {what} in {collection}: `databridge sync {system}`")
}

/// A collection that the config has.
fn collection_of(config: &ConfigFolder, name: &str) -> anyhow::Result<(SystemName, CollectionName)> {
    let (system, collection) = name
        .split_once('.')
        .with_context(|| format!("`{name}` is no collection: write it as gis.active_litigations"))?;
    let Some((system, file)) = config.systems.iter().find(|(known, _)| known.as_str() == system) else {
        bail!(
            "there is no system `{system}` in {}; the systems are: {}",
            config.path.display(),
            known(config)
        );
    };
    match file.collections.keys().find(|known| known.as_str() == collection) {
        Some(collection) => Ok((system.clone(), collection.clone())),
        None => {
            let names: Vec<_> = file.collections.keys().map(ToString::to_string).collect();
            bail!("{system} has no collection `{collection}`; it has: {}", names.join(", "))
        }
    }
}

/// One in a line.
fn line(stored: &StoredCursor) -> String {
    let name = format!("{}.{}", stored.system, stored.collection);
    let what = match &stored.cursor {
        Err(why) => format!("cannot be read ({why}); the next sync reads all"),
        Ok(cursor) if !cursor.done => {
            format!(
                "a listing is under way, for request {}: {} records so far",
                cursor.request, cursor.records
            )
        }
        Ok(cursor) => match (stored.lane.as_str(), cursor.begin_at, cursor.reads_from) {
            ("full", ..) => format!("{} records listed, for request {}", cursor.records, cursor.request),
            (_, Some(BeginAt::Start), _) => "the next sync reads all: somebody set it so".to_owned(),
            (_, Some(BeginAt::Moment(at)), _) => {
                format!("the next sync reads what changed since {}: somebody set it so", moment(at))
            }
            (_, None, Some(from)) => format!("the next sync reads what changed since {}", moment(from)),
            (_, None, None) => "the system does not tell what changed".to_owned(),
        },
    };
    format!("{name:<28} {:<5} {}  {what}", stored.lane, moment(stored.at))
}

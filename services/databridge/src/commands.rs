//! The commands that speak to running services.

mod budgets;
mod by_hand;
mod conflicts;
mod cursors;
mod dead;
mod import;
mod links;
mod plan;
mod schedules;

use std::time::Duration;

use anyhow::{Context, bail};
use databridge_broker::async_nats::{Request, RequestErrorKind};
use databridge_broker::{Broker, ensure_topology};
use databridge_config::{ConfigFolder, env};
use databridge_model::{Key, Mode, SyncRequest, SystemName};
use databridge_runtime::Clock;
use databridge_seal::MasterKey;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::{ConnectArgs, KeyArgs, MigrateArgs, SyncArgs};
use crate::follow::{self, Story};
use crate::report;
use crate::say::say;

pub use self::budgets::budgets;
pub use self::by_hand::audit;
pub use self::conflicts::conflicts;
pub use self::cursors::cursors;
pub use self::dead::dead;
pub use self::import::{import, import_of};
pub use self::links::links;
pub use self::plan::plan;
pub use self::schedules::schedules;

/// The config folder that the environment names.
pub fn config() -> anyhow::Result<ConfigFolder> {
    let folder: env::ConfigEnv = env::read()?;
    Ok(ConfigFolder::read(&folder.databridge_config)?)
}

/// A connection, with everything in NATS made ready.
pub async fn broker() -> anyhow::Result<Broker> {
    broker_within(Duration::from_secs(5)).await
}

async fn broker_within(patience: Duration) -> anyhow::Result<Broker> {
    let nats: env::NatsEnv = env::read()?;
    let broker = Broker::connect(&nats, "databridge", Clock::system(), patience).await?;
    ensure_topology(&broker).await?;
    Ok(broker)
}

/// `databridge setup`
pub async fn setup() -> anyhow::Result<bool> {
    // It may have been started together with nats-server.
    broker_within(Duration::from_secs(30)).await?;
    say!("The streams and buckets are ready.");
    Ok(true)
}

/// `databridge sync`
pub async fn sync(args: &SyncArgs) -> anyhow::Result<bool> {
    let config = config()?;
    let systems = systems(&config, &args.system)?;
    let broker = broker().await?;
    let request = SyncRequest {
        mode: if args.full { Mode::Full } else { Mode::Incremental },
        since: args.since,
        max_records: args.max,
        dry_run: args.dry_run,
        accept_missing: args.accept_missing,
        reason: Some("asked for by hand".to_owned()),
        ..SyncRequest::default()
    };
    let mut well = true;
    for system in systems {
        let title = format!("sync {system}");
        let story = follow::request(&broker, &system, &request, &follow::bar(&title)).await?;
        well &= tell(&broker, &title, &story).await;
    }
    Ok(well)
}

/// `databridge migrate`
pub async fn migrate(args: &MigrateArgs) -> anyhow::Result<bool> {
    let config = config()?;
    let system = system(&config, &args.system).with_context(|| {
        format!(
            "migrate carries the records of one system over, and `{}` is none of {}; name one of: {}",
            args.system,
            config.path.display(),
            known(&config)
        )
    })?;
    let broker = broker().await?;
    let request = SyncRequest {
        mode: Mode::Migrate,
        dry_run: args.dry_run,
        reason: Some("asked for by hand".to_owned()),
        ..SyncRequest::default()
    };
    let story = follow::request(&broker, &system, &request, &follow::bar("migrate")).await?;
    Ok(tell(&broker, "migrate", &story).await)
}

/// Prints a run's story, and how the runs stand that have its records under way; whether all went well.
pub(crate) async fn tell(broker: &Broker, title: &str, story: &Story) -> bool {
    let well = report::print(title, story);
    for run in story.summary.under_way.iter().filter_map(|under_way| under_way.run) {
        if let Some(standing) = follow::standing(broker, run).await {
            say!("  run {run} {standing}");
        }
    }
    well
}

pub(crate) fn system(config: &ConfigFolder, name: &str) -> Option<SystemName> {
    config.systems.keys().find(|system| system.as_str() == name).cloned()
}

pub(crate) fn known(config: &ConfigFolder) -> String {
    config.systems.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(crate) fn systems(config: &ConfigFolder, name: &str) -> anyhow::Result<Vec<SystemName>> {
    if name == "all" {
        // The left sides of the routes first: what they make is then read back by the others' sync.
        let mut systems: Vec<SystemName> = Vec::new();
        let lefts = config.routes.values().map(|route| &route.left.collection.system);
        for system in lefts.chain(config.systems.keys()) {
            if !systems.contains(system) {
                systems.push(system.clone());
            }
        }
        return Ok(systems);
    }
    match system(config, name) {
        Some(system) => Ok(vec![system]),
        None => bail!(
            "there is no system `{name}` in {}; the systems are: {}, or all",
            config.path.display(),
            known(config)
        ),
    }
}

/// `databridge bootstrap`
pub async fn bootstrap() -> anyhow::Result<bool> {
    let broker = broker().await?;
    let bar = follow::bar("bootstrap");
    let answer = ask(&broker, "bootstrap.clio", &Value::Object(serde_json::Map::new()), "clio-bridge").await;
    bar.finish_and_clear();
    let report = bootstrap_report(answer?)?;
    for (done, things) in [("found", &report.found), ("made", &report.made)] {
        for thing in things {
            say!("{done}: {thing}");
        }
    }
    Ok(true)
}

/// What bootstrap found, and what it made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BootstrapReport {
    /// What was there.
    pub found: Vec<String>,
    /// What was missing.
    pub made: Vec<String>,
}

/// Reads the answer to a request for a bootstrap.
pub fn bootstrap_report(answer: Value) -> anyhow::Result<BootstrapReport> {
    if let Some(error) = answer.get("error") {
        bail!("{}", text_of(error));
    }
    let report = answer.get("report").cloned().unwrap_or(answer);
    serde_json::from_value(report).context("the clio-bridge's answer cannot be read")
}

/// `databridge connect`
pub async fn connect(args: &ConnectArgs) -> anyhow::Result<bool> {
    let broker = broker().await?;
    let body = serde_json::json!({ "another_account": args.another_account });
    let answer = ask(&broker, "auth.link.clio", &body, "auth-service").await?;
    let Some(url) = answer.get("url").and_then(Value::as_str) else {
        bail!("{}", answer.get("error").map_or_else(|| answer.to_string(), text_of));
    };
    say!(
        "Open this link once, within 15 minutes, in the browser of somebody who may sign in to Clio:\n\n  {url}\n"
    );
    Ok(true)
}

/// `databridge key`
pub fn key(args: &KeyArgs) -> anyhow::Result<bool> {
    match &args.text {
        Some(text) => {
            let key = Key::parse(text).context("a key cannot be empty")?;
            say!("{}", key.token());
        }
        None => {
            use databridge_seal::ExposeSecret;
            say!("{}", MasterKey::generate(&mut rand::rngs::OsRng)?.expose_secret());
        }
    }
    Ok(true)
}

/// How long a service that has just been started may take to listen.
const LISTENING: Duration = Duration::from_secs(10);

/// Asks a service and reads its answer. Where nobody listens yet, it is asked again: nothing was done.
pub async fn ask(broker: &Broker, subject: &str, body: &Value, service: &str) -> anyhow::Result<Value> {
    let deadline = tokio::time::Instant::now() + LISTENING;
    loop {
        let request = Request::new().payload(body.to_string().into()).timeout(Some(Duration::from_secs(180)));
        let error = match broker.client().send_request(subject.to_owned(), request).await {
            Ok(answer) => {
                return serde_json::from_slice(&answer.payload)
                    .with_context(|| format!("the {service}'s answer cannot be read"));
            }
            Err(error) => error,
        };
        if error.kind() != RequestErrorKind::NoResponders {
            return Err(error).with_context(|| format!("the {service} has not answered"));
        }
        if tokio::time::Instant::now() >= deadline {
            bail!("the {service} is not running; `databridge serve` runs all services");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

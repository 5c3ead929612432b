//! Whether a service is at work: told on request over NATS, so that what is said includes the way there.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use databridge_config::env;
use databridge_runtime::Clock;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::Broker;

/// What a service's program does other than serve.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Asks this service on this machine whether it is at work; exit status 0 if it is, or stands by
    Health,
}

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "standing", content = "what")]
pub enum Standing {
    /// It waits for something that must be there first.
    Waiting(String),
    /// Another replica is at work, and this one takes over when that is gone.
    By,
    /// It is at work.
    AtWork,
}

/// What a service says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// Which service.
    pub service: String,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl HealthReport {
    /// Whether nothing is wrong with it.
    pub fn is_well(&self) -> bool {
        !matches!(self.standing, Standing::Waiting(_))
    }
}

impl std::fmt::Display for HealthReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { service, since, .. } = self;
        let since = since.format("%Y-%m-%d %H:%M:%S UTC");
        match &self.standing {
            Standing::Waiting(what) => write!(f, "The {service} waits since {since}: {what}"),
            Standing::By => write!(f, "The {service} stands by since {since}; another replica is at work."),
            Standing::AtWork => write!(f, "The {service} is at work since {since}."),
        }
    }
}

/// How this process's service stands. Clones share it.
#[derive(Clone, Debug)]
pub struct Health {
    report: Arc<Mutex<HealthReport>>,
    clock: Clock,
}

impl Health {
    pub(crate) fn new(service: &str, clock: Clock) -> Self {
        let standing = Standing::Waiting("it is starting".to_owned());
        let report = HealthReport { service: service.to_owned(), standing, since: clock.now() };
        Self { report: Arc::new(Mutex::new(report)), clock }
    }

    /// Says how the service stands now.
    pub fn stands(&self, standing: Standing) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.standing != standing {
            (report.standing, report.since) = (standing, self.clock.now());
        }
    }

    /// What the service says.
    pub fn report(&self) -> HealthReport {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers, for as long as the process lives, whoever asks for the health of the service on this machine.
pub(crate) async fn answer(broker: &Broker) -> Result<(), async_nats::SubscribeError> {
    let (client, health) = (broker.client().clone(), broker.health().clone());
    let mut asked = client.subscribe(subject_of(broker.service())).await?;
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let (Some(reply), Ok(body)) = (message.reply, serde_json::to_vec(&health.report())) else {
                continue;
            };
            if let Err(error) = client.publish(reply, body.into()).await {
                tracing::debug!(%error, "Who asked for the health is not answered.");
            }
        }
    });
    Ok(())
}

/// The subcommand `health` of a service: asks the process of that service on this machine, prints what it says, and
/// gives exit status 0 if it is well.
pub async fn check(service: &str) -> ExitCode {
    match ask(service).await {
        Ok(report) if report.is_well() => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Ok(report) => {
            println!("{report}");
            ExitCode::FAILURE
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(service: &str) -> Result<HealthReport, String> {
    let settings = env::read().map_err(|error| error.to_string())?;
    let broker = Broker::connect(&settings, service, Clock::system(), Duration::ZERO)
        .await
        .map_err(|error| error.to_string())?;
    let asked = broker.client().request(subject_of(service), "".into());
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => serde_json::from_slice(&answer.payload)
            .map_err(|error| format!("The {service}'s answer cannot be read: {error}")),
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            Err(format!("No {service} of this machine is connected to NATS."))
        }
        Ok(Err(error)) => Err(format!("The {service} does not answer: {error}")),
        Err(_) => Err(format!("The {service} has not answered within {} s.", PATIENCE.as_secs())),
    }
}

/// Where the process of a service on this machine is asked.
fn subject_of(service: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let host: String = host().chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("health.{service}.{host}")
}

/// The name of this machine or container.
pub fn host() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

//! The connection.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::{ConnectErrorKind, ConnectOptions, Event, jetstream};
use chrono::DateTime;
use databridge_config::env::{self, EnvError, NatsEnv};
use databridge_model::ReadAfter;
use databridge_runtime::Clock;
use tokio::sync::watch;

use crate::{PublishError, names};

/// The oldest nats-server that has what we need and keeps what it acknowledged (nats.md, section 4).
pub const OLDEST_SERVER: (u32, u32, u32) = (2, 14, 6);

/// No connection that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The settings cannot be read.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The server cannot be reached or refuses us.
    #[error("NATS at {url} (NATS_URL) cannot be used: {source}{}", question(source))]
    Refused {
        /// Where, without credentials.
        url: String,
        /// Why.
        source: async_nats::ConnectError,
    },
    /// The server is too old.
    #[error(
        "nats-server {found} at {url} is too old: 2.14.6 or later is needed; install a newer one and restart it"
    )]
    TooOld {
        /// Where.
        url: String,
        /// Its version.
        found: String,
    },
}

/// A connection with JetStream. Clones share it.
#[derive(Clone, Debug)]
pub struct Broker {
    pub(crate) client: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) clock: Clock,
    pub(crate) service: Arc<str>,
    /// Grows with each loss of the connection: what was fetched before may be stale.
    pub(crate) losses: Arc<watch::Sender<u64>>,
    pub(crate) ack_wait: Duration,
    pub(crate) replicas: usize,
}

/// How long a service waits at its start for the server to answer.
const PATIENCE_AT_START: Duration = Duration::from_secs(30);

impl Broker {
    /// Connects a service at its start, by the settings of the environment ([`NatsEnv`]).
    pub async fn from_environment(service: &str, clock: Clock) -> Result<Self, ConnectError> {
        Self::connect(&env::read()?, service, clock, PATIENCE_AT_START).await
    }

    /// Connects, and goes on trying until the server answers or `patience` has passed.
    pub async fn connect(
        settings: &NatsEnv,
        service: &str,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        let url = settings.nats_url.as_str();
        let losses = Arc::new(watch::Sender::new(0));
        let deadline = tokio::time::Instant::now() + patience;
        let client = loop {
            let counted = Arc::clone(&losses);
            let options = ConnectOptions::new()
                .name(service)
                .connection_timeout(Duration::from_secs(5))
                .ping_interval(Duration::from_secs(5))
                .reconnect_delay_callback(|attempt| {
                    Duration::from_millis((50 * u64::try_from(attempt).unwrap_or(1)).min(1_000))
                })
                .event_callback(move |event| {
                    let counted = Arc::clone(&counted);
                    async move { note(&event, &counted) }
                });
            match options.connect(url).await {
                Ok(client) => break client,
                Err(source) if tokio::time::Instant::now() >= deadline => {
                    return Err(ConnectError::Refused { url: without_credentials(url), source });
                }
                Err(error) => tracing::debug!(%error, "NATS does not answer yet."),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let found = client.server_info().version;
        if version(&found).is_none_or(|version| version < OLDEST_SERVER) {
            return Err(ConnectError::TooOld { url: without_credentials(url), found });
        }
        let jetstream = ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .ack_timeout(Duration::from_secs(5))
            .backpressure_on_inflight(true)
            .build(client.clone());
        let ack_wait = Duration::from_secs(settings.nats_ack_wait_seconds.max(1));
        let replicas = settings.nats_replicas;
        Ok(Self { client, jetstream, clock, service: service.into(), losses, ack_wait, replicas })
    }

    /// The client, for requests and replies.
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// The JetStream context.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// The clock of this service.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The service that connected.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// How long a message may be worked on before the broker gives it to another; a worker at work says so.
    pub fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// Whether the connection stands.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// A name that no other worker has had or will have.
    pub fn new_worker_name(&self) -> String {
        format!("{}-{}", self.service, uuid::Uuid::now_v7().simple())
    }

    /// How far the outcomes have come: what is read from now on is not older than that.
    pub async fn read_after(&self) -> Result<ReadAfter, PublishError> {
        let failed = |e: &dyn std::error::Error| PublishError::NotStored("OUTCOME".to_owned(), e.to_string());
        let stream = self.jetstream.get_stream_no_info(names::OUTCOME).await.map_err(|e| failed(&e))?;
        let info = stream.get_info().await.map_err(|e| failed(&e))?;
        let created = info.created.unix_timestamp_nanos();
        let stream_created = DateTime::from_timestamp_nanos(i64::try_from(created).unwrap_or_default());
        Ok(ReadAfter { sequence: info.state.last_sequence, stream_created })
    }

    pub(crate) fn losses(&self) -> u64 {
        *self.losses.borrow()
    }
}

fn note(event: &Event, losses: &watch::Sender<u64>) {
    match event {
        Event::Disconnected => {
            losses.send_modify(|losses| *losses += 1);
            tracing::warn!("The connection to NATS is lost; trying to get it back.");
        }
        Event::Connected => tracing::debug!("Connected to NATS."),
        // A denial comes as an event only; the request itself would just time out (nats.md, section 2, Auth).
        Event::ServerError(error) => tracing::error!(%error, "NATS refuses something."),
        other => tracing::info!(event = %other, "NATS connection event."),
    }
}

/// What to look at first where nobody answers.
fn question(error: &async_nats::ConnectError) -> &'static str {
    match error.kind() {
        ConnectErrorKind::Io | ConnectErrorKind::TimedOut => "; is nats-server running?",
        _ => "",
    }
}

fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split(['.', '-']).map(str::parse::<u32>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

fn without_credentials(url: &str) -> String {
    url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("2.9.10").unwrap() < OLDEST_SERVER);
        assert!(version("2.14.5").unwrap() < OLDEST_SERVER);
        assert!(version("2.15.1").unwrap() >= OLDEST_SERVER);
        assert!(version("2.15.0-dev").unwrap() >= OLDEST_SERVER);
        assert_eq!(version("nightly"), None);
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        assert_eq!(without_credentials("nats://u:p@h:4222"), "h:4222");
    }
}

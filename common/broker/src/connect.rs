//! The connection.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::{ConnectErrorKind, ConnectOptions, Event, jetstream};
use chrono::DateTime;
use databridge_config::env::{self, EnvError, NatsEnv};
use databridge_model::ReadAfter;
use databridge_runtime::{CancellationToken, Clock};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::denial::Denials;
use crate::{Health, PublishError, health, names};

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
    /// The files for TLS are not as they should be.
    #[error("{0}")]
    Tls(String),
    /// The server does not let us subscribe.
    #[error("NATS cannot be listened to: {0}")]
    Subscribe(#[from] async_nats::SubscribeError),
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
    pub(crate) denials: Denials,
    pub(crate) ack_wait: Duration,
    pub(crate) replicas: usize,
    health: Health,
}

/// How long a service waits at its start for the server to answer.
const PATIENCE_AT_START: Duration = Duration::from_secs(30);

/// How long between two looks whether the connection is back.
const LOOKED_APART: Duration = Duration::from_millis(100);

impl Broker {
    /// Connects a service at its start, by the settings of the environment ([`NatsEnv`]), and answers from then on who
    /// asks for its health.
    pub async fn from_environment(service: &str, clock: Clock) -> Result<Self, ConnectError> {
        let broker = Self::connect(&env::read()?, service, clock, PATIENCE_AT_START).await?;
        health::answer(&broker).await?;
        Ok(broker)
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
        let denials = Denials::of(settings.nats_user.as_deref());
        let deadline = tokio::time::Instant::now() + patience;
        let client = loop {
            let (counted, denied) = (Arc::clone(&losses), denials.clone());
            let options = signed_in(settings, service)?
                .name(service)
                .connection_timeout(Duration::from_secs(5))
                .ping_interval(Duration::from_secs(5))
                .reconnect_delay_callback(|attempt| {
                    Duration::from_millis((50 * u64::try_from(attempt).unwrap_or(1)).min(1_000))
                })
                .event_callback(move |event| {
                    let (counted, denied) = (Arc::clone(&counted), denied.clone());
                    async move { note(&event, &counted, &denied) }
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
        let health = Health::new(service, clock.clone());
        let service = service.into();
        Ok(Self { client, jetstream, clock, service, losses, denials, ack_wait, replicas, health })
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

    /// How the service stands.
    pub fn health(&self) -> &Health {
        &self.health
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
        self.position_of(names::OUTCOME).await
    }

    /// How far a stream has come by now: its last sequence, and when it was made, for another one has other sequences.
    pub async fn position_of(&self, stream: &'static str) -> Result<ReadAfter, PublishError> {
        let failed = |e: &dyn std::error::Error| PublishError::NotStored(stream.to_owned(), e.to_string());
        let stream = self.jetstream.get_stream_no_info(stream).await.map_err(|e| failed(&e))?;
        let info = stream.get_info().await.map_err(|e| failed(&e))?;
        let created = info.created.unix_timestamp_nanos();
        let stream_created = DateTime::from_timestamp_nanos(i64::try_from(created).unwrap_or_default());
        Ok(ReadAfter { sequence: info.state.last_sequence, stream_created })
    }

    /// How often the connection was lost so far: then nats-server may have been killed.
    pub fn losses(&self) -> u64 {
        *self.losses.borrow()
    }

    /// Whether what failed is to be begun anew: the connection was lost since it was begun, and that alone may have been
    /// why. `losses` is how often it had been lost before. Waits then for the connection, or for the order to stop.
    pub async fn begins_anew(&self, losses: u64, error: impl fmt::Display, stop: &CancellationToken) -> bool {
        if stop.is_cancelled() || (self.losses() == losses && self.is_connected()) {
            return false;
        }
        tracing::warn!(service = self.service(), %error, "The connection to NATS was lost; the service begins anew.");
        while !self.is_connected() && !stop.is_cancelled() {
            tokio::time::sleep(LOOKED_APART).await;
        }
        true
    }
}

/// How the connection is made: as which user, and by TLS where the settings say so. Answers come under a subject of the
/// service's own, so that its rights need not include those of others.
fn signed_in(settings: &NatsEnv, service: &str) -> Result<ConnectOptions, ConnectError> {
    let mut options = ConnectOptions::new().custom_inbox_prefix(format!("_INBOX_{service}"));
    if let (Some(user), Some(password)) = (&settings.nats_user, &settings.nats_password) {
        options = options.user_and_password(user.clone(), password.expose_secret().to_owned());
    }
    let files = [
        ("NATS_CA_FILE", &settings.nats_ca_file),
        ("NATS_CERT_FILE", &settings.nats_cert_file),
        ("NATS_KEY_FILE", &settings.nats_key_file),
    ];
    for (name, file) in files {
        if let Some(Err(error)) = file.as_ref().map(std::fs::File::open) {
            let file = file.as_deref().unwrap_or(Path::new("")).display();
            return Err(ConnectError::Tls(format!("{name} names {file}, which cannot be read: {error}")));
        }
    }
    if settings.nats_cert_file.is_some() != settings.nats_key_file.is_some() {
        let both = "NATS_CERT_FILE and NATS_KEY_FILE go together: set both, or neither";
        return Err(ConnectError::Tls(both.to_owned()));
    }
    if let Some(authority) = &settings.nats_ca_file {
        options = options.add_root_certificates(authority.clone()).require_tls(true);
    }
    if let (Some(certificate), Some(key)) = (&settings.nats_cert_file, &settings.nats_key_file) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

fn note(event: &Event, losses: &watch::Sender<u64>, denials: &Denials) {
    match event {
        Event::Disconnected => {
            losses.send_modify(|losses| *losses += 1);
            tracing::warn!("The connection to NATS is lost; trying to get it back.");
        }
        Event::Connected => tracing::debug!("Connected to NATS."),
        Event::ServerError(error) => {
            if denials.note(&error.to_string()) {
                tracing::error!(%error, "NATS denies something; the user lacks the right in the server's configuration.");
            } else {
                tracing::error!(%error, "NATS refuses something.");
            }
        }
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

//! Publishing one durable message.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use databridge_model::RunId;
use databridge_runtime::jittered;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Broker, Denied};

/// The largest body, in bytes. A larger record is dead-lettered by its bridge.
pub(crate) const LARGEST_BODY: usize = 512 * 1024;

/// A message could not be stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// The body is too large.
    #[error("the message for {subject} has {bytes} bytes; {LARGEST_BODY} are allowed")]
    TooLarge {
        /// Its subject.
        subject: String,
        /// Its size.
        bytes: usize,
    },
    /// The body is no JSON. Cannot happen with the project's own types.
    #[error("the message for {0} cannot be written as JSON: {1}")]
    Unwritable(String, String),
    /// The broker does not allow it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The broker did not take it in time.
    #[error("NATS did not store a message for {0}: {1}")]
    NotStored(String, String),
}

/// What travels with a body: `CloudEvents` attributes in binary mode, and the trace of the run.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The run, from which the trace id is made: all messages of a run are one trace.
    pub run: Option<RunId>,
    /// The message's identity for the broker's deduplication.
    pub message_id: Option<String>,
}

impl Envelope {
    /// An envelope of a run's message.
    pub fn of_run(run: Option<RunId>) -> Self {
        Self { run, message_id: None }
    }

    /// With an identity: published twice within ten minutes, the message is stored once.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }
}

impl Broker {
    /// Stores a message and gives its sequence. Tries again for half a minute while the broker is away.
    pub async fn publish<T: Serialize>(
        &self,
        subject: String,
        body: &T,
        envelope: &Envelope,
    ) -> Result<u64, PublishError> {
        let payload = body_of(&subject, body)?;
        let headers = self.headers(&subject, envelope);
        self.publish_bytes(subject, payload, headers).await
    }

    pub(crate) async fn publish_bytes(
        &self,
        subject: String,
        payload: Bytes,
        headers: HeaderMap,
    ) -> Result<u64, PublishError> {
        let mut wait = Duration::from_millis(50);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let message = PublishMessage::build().payload(payload.clone()).headers(headers.clone());
            let stored = async {
                match self.jetstream.send_publish(subject.clone(), message).await {
                    Ok(ack) => ack.await,
                    Err(error) => Err(error),
                }
            };
            let error = match self.unless_denied(&[&subject], stored).await? {
                Ok(ack) => return Ok(ack.sequence),
                Err(error) => error,
            };
            if tokio::time::Instant::now() >= deadline {
                return Err(PublishError::NotStored(subject, error.to_string()));
            }
            tracing::debug!(%error, subject, "A message is not stored yet; trying again.");
            tokio::time::sleep(jittered(wait)).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }

    pub(crate) fn headers(&self, subject: &str, envelope: &Envelope) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let id = envelope.message_id.as_ref().map_or_else(|| uuid::Uuid::now_v7().to_string(), Clone::clone);
        if envelope.message_id.is_some() {
            headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
        }
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-id", id.as_str());
        headers.insert("ce-source", format!("/databridge/{}", self.service).as_str());
        let kind = subject.split('.').next().unwrap_or_default();
        headers.insert("ce-type", format!("org.databridge.{kind}.v1").as_str());
        headers.insert("ce-subject", subject);
        headers.insert("ce-time", self.clock.now().to_rfc3339().as_str());
        headers.insert("content-type", "application/json");
        if let Some(run) = envelope.run {
            headers.insert("traceparent", traceparent(run).as_str());
        }
        headers
    }
}

/// A W3C trace parent whose trace id is the run's.
fn traceparent(run: RunId) -> String {
    let digest = hex::encode(Sha256::digest(format!("run:{run}")));
    let span = uuid::Uuid::new_v4().simple().to_string();
    format!("00-{}-{}-01", digest.get(..32).unwrap_or_default(), span.get(..16).unwrap_or_default())
}

pub(crate) fn body_of<T: Serialize>(subject: &str, body: &T) -> Result<Bytes, PublishError> {
    let bytes =
        serde_json::to_vec(body).map_err(|e| PublishError::Unwritable(subject.to_owned(), e.to_string()))?;
    if bytes.len() > LARGEST_BODY {
        return Err(PublishError::TooLarge { subject: subject.to_owned(), bytes: bytes.len() });
    }
    Ok(bytes.into())
}

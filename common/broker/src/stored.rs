//! Looking through what a stream holds, and taking out of it, beside those who work on it.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind};
use chrono::{DateTime, Utc};
use futures::StreamExt;

use crate::{Broker, names};

/// A stream cannot be looked through.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the stream {stream} cannot be read: NATS: {why}")]
pub struct ReadError {
    /// The stream.
    pub stream: String,
    /// What NATS says.
    pub why: String,
}

impl ReadError {
    pub(crate) fn of(stream: &str, why: &dyn std::fmt::Display) -> Self {
        Self { stream: stream.to_owned(), why: why.to_string() }
    }
}

/// A message cannot be taken out of its stream.
#[derive(Debug, Clone, thiserror::Error)]
#[error("message {sequence} cannot be taken out of the stream {stream}: NATS: {why}")]
pub struct TakeOutError {
    /// The stream.
    pub stream: String,
    /// The message's sequence there.
    pub sequence: u64,
    /// What NATS says.
    pub why: String,
}

/// Many messages of a stream, read in their order.
#[derive(Debug)]
pub struct Reading {
    broker: Broker,
    stream: String,
    consumer: PullConsumer,
}

/// So long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The broker forgets a reading that nobody goes on with, as it does one that is done.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

impl Broker {
    /// The first message of a stream from this sequence on whose subject this filter takes; `None` where there is none.
    pub async fn next_stored(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, ReadError> {
        let opened =
            self.jetstream.get_stream_no_info(stream).await.map_err(|e| ReadError::of(stream, &e))?;
        match opened.get_first_raw_message_by_subject(filter, from).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(ReadError::of(stream, &error)),
        }
    }

    /// Takes a message out of a stream. One that is not there any more is out.
    pub async fn take_out(&self, stream: &str, sequence: u64) -> Result<(), TakeOutError> {
        let failed = |why: &dyn std::fmt::Display| TakeOutError {
            stream: stream.to_owned(),
            sequence,
            why: why.to_string(),
        };
        let opened = self.jetstream.get_stream_no_info(stream).await.map_err(|e| failed(&e))?;
        let Err(error) = opened.delete_message(sequence).await else { return Ok(()) };
        match opened.get_raw_message(sequence).await {
            Err(found) if found.kind() == RawMessageErrorKind::NoMessageFound => Ok(()),
            _ => Err(failed(&error)),
        }
    }

    /// Whether any push waits, is in hand, or is put off.
    pub async fn has_pushes(&self) -> Result<bool, ReadError> {
        let failed = |why: &dyn std::fmt::Display| ReadError::of(names::PUSH, why);
        let stream = self.jetstream.get_stream(names::PUSH).await.map_err(|e| failed(&e))?;
        // One message stands first for ever.
        Ok(stream.cached_info().state.messages > 1)
    }

    /// Begins to read what a stream has got on these subjects since a moment; all subjects without a filter.
    pub async fn read_since(
        &self,
        stream: &str,
        filter: Option<String>,
        since: DateTime<Utc>,
    ) -> Result<Reading, ReadError> {
        let failed = |why: &dyn std::fmt::Display| ReadError::of(stream, why);
        let nanoseconds = i128::from(since.timestamp_nanos_opt().unwrap_or_default());
        let start_time = async_nats::datetime::from_nanos(nanoseconds).map_err(|e| failed(&e))?;
        let opened = self.jetstream.get_stream_no_info(stream).await.map_err(|e| failed(&e))?;
        let config = pull::Config {
            filter_subject: filter.unwrap_or_default(),
            deliver_policy: DeliverPolicy::ByStartTime { start_time },
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN_AFTER,
            // On disk a server that dies again and again would bring hundreds of them back at each start.
            memory_storage: true,
            ..pull::Config::default()
        };
        let consumer = opened.create_consumer(config).await.map_err(|e| failed(&e))?;
        Ok(Reading { broker: self.clone(), stream: stream.to_owned(), consumer })
    }
}

impl Reading {
    /// Ends the reading: nothing of it stays in the broker.
    pub async fn done(self) {
        let name = &self.consumer.cached_info().name;
        let deleted = async {
            let stream = self.broker.jetstream.get_stream_no_info(&self.stream).await.ok()?;
            stream.delete_consumer(name).await.ok()
        };
        if deleted.await.is_none() {
            tracing::debug!(consumer = name, "What read a stream goes by itself in a minute.");
        }
    }

    /// The next messages, up to so many and each with its sequence in the stream; none at the end.
    ///
    /// After an error nothing more comes of this reading, for what was on its way is lost: it is to be begun anew.
    pub async fn next(&mut self, most: usize) -> Result<Vec<(u64, jetstream::Message)>, ReadError> {
        let failed = |why: &dyn std::fmt::Display| ReadError::of(&self.stream, why);
        let mut losses = self.broker.losses.subscribe();
        let mut batch = self.consumer.fetch().max_messages(most).messages().await.map_err(|e| failed(&e))?;
        let mut found = Vec::new();
        loop {
            let next = tokio::select! {
                next = tokio::time::timeout(PATIENCE, batch.next()) => next.map_err(|_| failed(&"no answer"))?,
                // The broker has forgotten the question with the connection: no answer will ever come.
                _ = losses.changed() => return Err(failed(&"the connection was lost")),
            };
            let Some(message) = next else { return Ok(found) };
            let message = message.map_err(|e| failed(&e))?;
            let sequence = message.info().map_err(|e| failed(&e))?.stream_sequence;
            found.push((sequence, message));
        }
    }
}

//! Taking work from a durable consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::{self, AckKind, consumer};
use bytes::Bytes;
use databridge_model::{BodyError, DeadAttempt, decode};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use crate::burial::Dead;
use crate::{Broker, ConsumerPlan, PublishError, TopologyError};

/// The messages of one durable consumer, taken as many at a time as can be worked on now: none wait in memory,
/// where a broken connection would make them stale.
#[derive(Clone, Debug)]
pub struct Inbox {
    broker: Broker,
    plan: ConsumerPlan,
    consumer: consumer::PullConsumer,
}

/// A longer wait is not a NAK's business.
const LONGEST_NAK: Duration = Duration::from_secs(60);

/// The most messages asked for at once: the largest bodies of so many are less than the 64 MB that the broker lets a
/// client owe. It is not asked for bytes, because one that keeps several copies then says that the request is filled
/// before it sends what fills it, and the client listens no more.
const MOST_AT_ONCE: usize = 64;

impl Inbox {
    /// Opens the consumer, making it if need be.
    pub async fn open(broker: &Broker, plan: ConsumerPlan) -> Result<Self, TopologyError> {
        let consumer = made(broker, &plan).await?;
        Ok(Self { broker: broker.clone(), plan, consumer })
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Up to `most` messages. Waits up to `patience` for the first, then `linger` for others to come with it.
    ///
    /// While the broker is away it gives nothing, and waits a second so that the caller's loop does not spin.
    pub async fn take(&self, most: usize, patience: Duration, linger: Duration) -> Vec<Job> {
        let first = match self.first(patience).await {
            Ok(Some(message)) => message,
            Ok(None) => return Vec::new(),
            Err(why) => return self.nothing_for_now(&why).await,
        };
        let mut jobs = vec![Job::new(&self.broker, self.plan.stream, first)];
        if most > 1 {
            tokio::time::sleep(linger).await;
            jobs.extend(self.take_waiting(most - 1).await);
        }
        jobs
    }

    /// The first message that comes within `patience`, or why none can be had.
    ///
    /// With an error the question is taken back. One that the client has not sent yet reaches the broker that is back, and
    /// while anybody listened for the answer it would be given a message, which nobody would take.
    async fn first(&self, patience: Duration) -> Result<Option<jetstream::Message>, String> {
        let mut losses = self.broker.losses.subscribe();
        let asked = self.consumer.batch().max_messages(1).expires(patience).messages().await;
        let mut batch = asked.map_err(|error| error.to_string())?;
        tokio::select! {
            first = tokio::time::timeout(patience + Duration::from_secs(2), batch.next()) => {
                let first = first.map_err(|_| "no answer")?;
                first.transpose().map_err(|error| error.to_string())
            }
            // The broker has forgotten the question with the connection: no answer will come.
            _ = losses.changed() => Err("the connection was lost".to_owned()),
        }
    }

    /// Up to `most` of the messages that wait already.
    pub async fn take_waiting(&self, most: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        while jobs.len() < most {
            let asked = MOST_AT_ONCE.min(most - jobs.len());
            let mut came = self.take_waiting_at_once(asked).await;
            let are_all = came.len() < asked;
            jobs.append(&mut came);
            if are_all {
                break;
            }
        }
        jobs
    }

    async fn take_waiting_at_once(&self, most: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        let fetched = self.consumer.fetch().max_messages(most).messages().await;
        let Ok(mut batch) = fetched else { return jobs };
        while let Ok(Some(next)) = tokio::time::timeout(Duration::from_secs(5), batch.next()).await {
            let Ok(message) = next else {
                self.make_anew_if_gone().await;
                break;
            };
            jobs.push(Job::new(&self.broker, self.plan.stream, message));
        }
        jobs
    }

    /// Every message up to the returned sequence of the stream has been answered for good.
    pub async fn settled_up_to(&self) -> Result<u64, TopologyError> {
        let info = self
            .consumer
            .get_info()
            .await
            .map_err(|error| TopologyError::consumer(&self.plan.durable, self.plan.stream, &error))?;
        Ok(info.ack_floor.stream_sequence)
    }

    async fn nothing_for_now(&self, why: &str) -> Vec<Job> {
        tracing::debug!(why, consumer = self.plan.durable, "Nothing can be taken at the moment.");
        self.make_anew_if_gone().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Vec::new()
    }

    /// A consumer may be gone behind a living connection: taken away by hand, or by a server that found its file damaged.
    /// A new one begins at the first message of its stream, so what it had gives again does no harm.
    async fn make_anew_if_gone(&self) {
        if !self.broker.is_connected() {
            return;
        }
        let info = self.consumer.get_info().await;
        if !info.is_err_and(|error| error.kind() == ConsumerInfoErrorKind::NotFound) {
            return;
        }
        let (stream, consumer) = (self.plan.stream, &self.plan.durable);
        match made(&self.broker, &self.plan).await {
            Ok(_) => tracing::warn!(stream, consumer, "A consumer was gone, and is made anew."),
            Err(error) => tracing::warn!(%error, "A consumer is gone, and cannot be made anew yet."),
        }
    }
}

/// The consumer, made if need be.
async fn made(broker: &Broker, plan: &ConsumerPlan) -> Result<consumer::PullConsumer, TopologyError> {
    let failed = |error: &dyn std::error::Error| TopologyError::consumer(&plan.durable, plan.stream, error);
    let made = broker.jetstream.create_consumer_on_stream(plan.config(broker.ack_wait), plan.stream);
    let about = format!("CONSUMER.CREATE.{}.{}", plan.stream, plan.durable);
    let made = broker.unless_denied(&[&about], made).await.map_err(|denied| failed(&denied))?;
    made.map_err(|error| failed(&error))
}

/// One message to be worked on, and answered once.
#[derive(Clone, Debug)]
pub struct Job {
    broker: Broker,
    stream: &'static str,
    message: jetstream::Message,
    sequence: u64,
    losses: u64,
    answered: Arc<AtomicBool>,
}

impl Job {
    fn new(broker: &Broker, stream: &'static str, message: jetstream::Message) -> Self {
        let sequence = message.info().map_or(0, |info| info.stream_sequence);
        Self {
            losses: broker.losses(),
            broker: broker.clone(),
            stream,
            message,
            sequence,
            answered: Arc::default(),
        }
    }

    /// The subject.
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// The body.
    pub fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// The sequence in the stream.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads the body.
    pub fn read<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, BodyError> {
        decode(what, &self.message.payload)
    }

    /// Whether the broker may have given the message to another by now: then no effect may be begun.
    pub fn is_stale(&self) -> bool {
        self.losses != self.broker.losses()
    }

    /// Tells the broker that it is still worked on. Says nothing of a message that was answered: to one given back it
    /// would mean a longer wait.
    pub async fn working(&self) {
        if self.answered.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.message.ack_with(AckKind::Progress).await {
            tracing::debug!(%error, "The broker could not be told of progress.");
        }
    }

    /// Done. Waits for the broker's word, and tells whether it came; without it the message comes again, which must do no
    /// harm.
    pub async fn done(&self) -> bool {
        self.answered.store(true, Ordering::Release);
        // Not `double_ack`: it takes "no responders" for a yes (nats.md, section 3, pitfall 1).
        let Some(reply) = self.message.reply.clone() else { return false };
        let request = async_nats::Request::new().payload("+ACK".into()).timeout(Some(Duration::from_secs(3)));
        let confirmed = self.broker.client.send_request(reply, request).await;
        if let Err(error) = &confirmed {
            tracing::debug!(%error, subject = self.subject(), "An acknowledgement is not confirmed.");
        }
        confirmed.is_ok()
    }

    /// Stores it under another subject, with this body and its own headers. The caller answers it with [`Job::done`]
    /// afterwards; stored again because that was lost, it is there once, for ten minutes at least.
    pub async fn store_as(&self, subject: String, body: Bytes) -> Result<u64, PublishError> {
        let mut headers = HeaderMap::new();
        for (name, values) in self.message.headers.iter().flat_map(HeaderMap::iter) {
            // What the broker was told of the message itself is not for the copy.
            if !name.to_string().starts_with("Nats-") {
                for value in values {
                    headers.append(name.clone(), value.clone());
                }
            }
        }
        let id = format!("{}-{}", self.stream, self.sequence);
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
        self.broker.publish_bytes(subject, body, headers).await
    }

    /// Gives it back, to come again after so long (at most a minute; longer waits are schedules).
    pub async fn again_after(&self, wait: Duration) {
        self.answered.store(true, Ordering::Release);
        if let Err(error) = self.message.ack_with(AckKind::Nak(Some(wait.min(LONGEST_NAK)))).await {
            tracing::debug!(%error, subject = self.subject(), "A message could not be given back.");
        }
    }

    /// Stores it as a dead letter. The caller answers it with [`Job::done`] afterwards.
    pub async fn bury(
        &self,
        stage: &str,
        error: String,
        attempts: Vec<DeadAttempt>,
    ) -> Result<(), PublishError> {
        let dead = Dead {
            stream: self.stream,
            sequence: self.sequence,
            subject: self.subject(),
            body: self.payload(),
        };
        dead.bury(&self.broker, stage, error, attempts).await
    }
}

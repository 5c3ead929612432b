//! KV buckets of one type, written by compare-and-set only.

use std::marker::PhantomData;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::kv;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use databridge_runtime::jittered;
use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Broker, Denied};

/// A bucket could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BucketError {
    /// Another wrote first.
    #[error("{0} was changed by another meanwhile")]
    Moved(String),
    /// What is stored cannot be read.
    #[error("{key} holds what cannot be read: {why}")]
    Unreadable {
        /// Bucket and key.
        key: String,
        /// Why.
        why: String,
    },
    /// The broker does not allow it.
    #[error("{key}: {denied}")]
    Denied {
        /// Bucket and key.
        key: String,
        /// What it says.
        denied: Denied,
    },
    /// The broker does not answer or refuses.
    #[error("{key}: NATS: {why}")]
    Broker {
        /// Bucket and key.
        key: String,
        /// Why.
        why: String,
    },
}

/// A value and its revision in the bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its revision, for the compare-and-set.
    pub revision: u64,
}

/// A bucket whose values are JSON of one type.
#[derive(Clone, Debug)]
pub struct Bucket<T> {
    store: kv::Store,
    broker: Broker,
    kind: PhantomData<fn() -> T>,
}

/// How long a copy of a bucket may lag behind.
const LAG: Duration = Duration::from_secs(30);

/// Writes a key of a bucket over this revision, for ever or for a time. The library's own update cannot say for how long
/// (nats.md, section 2, TTL).
pub(crate) async fn put(
    broker: &Broker,
    store: &kv::Store,
    key: &str,
    value: Bytes,
    revision: u64,
    time: Option<Duration>,
) -> Result<u64, PublishError> {
    let mut message = PublishMessage::build().payload(value).expected_last_subject_sequence(revision);
    if let Some(time) = time {
        message = message.ttl(time);
    }
    let stored = broker.jetstream.send_publish(format!("{}{key}", store.prefix), message).await?;
    Ok(stored.await?.sequence)
}

/// How long a write is tried while the broker is away.
const PATIENCE: Duration = Duration::from_secs(30);

impl Broker {
    /// Opens a bucket.
    pub async fn bucket<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Bucket<T>, BucketError> {
        let opened = self.unless_denied(&[&format!("KV_{name}")], self.jetstream.get_key_value(name)).await;
        let opened = opened.map_err(|denied| BucketError::Denied { key: name.to_owned(), denied })?;
        let store = opened.map_err(|e| BucketError::Broker { key: name.to_owned(), why: e.to_string() })?;
        Ok(Bucket { store, broker: self.clone(), kind: PhantomData })
    }
}

impl<T: Serialize + DeserializeOwned> Bucket<T> {
    /// The value of a key.
    pub async fn get(&self, key: &str) -> Result<Option<Versioned<T>>, BucketError> {
        match self.entry(key).await? {
            Some(entry) if entry.operation == kv::Operation::Put => {
                let value = self.read(key, &entry.value)?;
                Ok(Some(Versioned { value, revision: entry.revision }))
            }
            _ => Ok(None),
        }
    }

    /// Writes a key that has no value. [`BucketError::Moved`] if it has one.
    pub async fn create(&self, key: &str, value: &T) -> Result<u64, BucketError> {
        self.make(key, value, None).await
    }

    /// The same for a value that the broker takes away by itself after this time. The bucket must allow it.
    pub async fn create_for(&self, key: &str, value: &T, time: Duration) -> Result<u64, BucketError> {
        self.make(key, value, Some(time)).await
    }

    async fn make(&self, key: &str, value: &T, time: Option<Duration>) -> Result<u64, BucketError> {
        // A deleted key has a marker; writing over it needs the marker's revision.
        let revision = match self.entry(key).await? {
            None => 0,
            Some(entry) if entry.operation == kv::Operation::Put => {
                return Err(BucketError::Moved(self.named(key)));
            }
            Some(entry) => entry.revision,
        };
        self.write(key, value, revision, time).await
    }

    /// Writes a key whose last revision is this one. [`BucketError::Moved`] if it is not.
    pub async fn update(&self, key: &str, value: &T, revision: u64) -> Result<u64, BucketError> {
        self.write(key, value, revision, None).await
    }

    /// The same for a value that the broker takes away by itself after this time. The bucket must allow it.
    pub async fn update_for(
        &self,
        key: &str,
        value: &T,
        revision: u64,
        time: Duration,
    ) -> Result<u64, BucketError> {
        self.write(key, value, revision, Some(time)).await
    }

    async fn write(
        &self,
        key: &str,
        value: &T,
        revision: u64,
        time: Option<Duration>,
    ) -> Result<u64, BucketError> {
        let bytes: Bytes = serde_json::to_vec(value)
            .map_err(|e| BucketError::Unreadable { key: self.named(key), why: e.to_string() })?
            .into();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut doubtful = false;
        loop {
            let put = put(&self.broker, &self.store, key, bytes.clone(), revision, time);
            let error = match self.allowed(key, put).await? {
                Ok(revision) => return Ok(revision),
                Err(error) => error,
            };
            if error.kind() == PublishErrorKind::WrongLastSequence {
                // After an attempt without an answer, the other may have been ourselves.
                if doubtful
                    && let Some(entry) = self.entry(key).await?
                    && entry.operation == kv::Operation::Put
                    && entry.value == bytes
                {
                    return Ok(entry.revision);
                }
                return Err(BucketError::Moved(self.named(key)));
            }
            doubtful = true;
            self.pause(key, &error, deadline).await?;
        }
    }

    /// Removes a key whose last revision is this one.
    pub async fn delete(&self, key: &str, revision: u64) -> Result<(), BucketError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let deleted = self.allowed(key, self.store.delete_expect_revision(key, Some(revision))).await?;
            let Err(error) = deleted else {
                return Ok(());
            };
            match self.entry(key).await? {
                None => return Ok(()),
                Some(entry) if entry.operation != kv::Operation::Put => return Ok(()),
                Some(entry) if entry.revision != revision => return Err(BucketError::Moved(self.named(key))),
                Some(_) => self.pause(key, &error, deadline).await?,
            }
        }
    }

    /// Every key and value. Values that cannot be read are left out and logged.
    pub async fn all(&self) -> Result<Vec<(String, Versioned<T>)>, BucketError> {
        let mut found = Vec::new();
        self.each(|key, value| found.push((key, value))).await?;
        Ok(found)
    }

    /// Hands over every key and value, one after the other. Values that cannot be read are left out and logged.
    pub async fn each(&self, mut take: impl FnMut(String, Versioned<T>)) -> Result<(), BucketError> {
        let up_to = self.last_revision().await?;
        if up_to == 0 {
            return Ok(());
        }
        let watch = self.allowed(">", self.store.watch_with_history(">")).await?;
        let mut watch = watch.map_err(|e| self.failed(">", &e))?;
        loop {
            // A copy of the bucket that lags says too early that this is all.
            let entry = match tokio::time::timeout(LAG, watch.next()).await {
                Ok(Some(entry)) => entry.map_err(|e| self.failed(">", &e))?,
                Ok(None) => break,
                Err(_) => {
                    let why = format!("it was listed without what it holds up to revision {up_to}");
                    return Err(BucketError::Broker { key: self.named(">"), why });
                }
            };
            let is_all = entry.delta == 0 && entry.revision >= up_to;
            if entry.operation == kv::Operation::Put {
                match self.read(&entry.key, &entry.value) {
                    Ok(value) => take(entry.key, Versioned { value, revision: entry.revision }),
                    Err(error) => tracing::error!(%error, "A value in a bucket is left out."),
                }
            }
            if is_all {
                break;
            }
        }
        Ok(())
    }

    /// The revision of the last value or marker that the bucket holds, 0 if it holds none. The stream's own last sequence
    /// may be that of a value whose time is over.
    async fn last_revision(&self) -> Result<u64, BucketError> {
        let every = format!("{}>", self.store.prefix);
        match self.allowed(">", self.store.stream.get_last_raw_message_by_subject(&every)).await? {
            Ok(last) => Ok(last.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
            Err(error) => Err(self.failed(">", &error)),
        }
    }

    async fn entry(&self, key: &str) -> Result<Option<kv::Entry>, BucketError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.allowed(key, self.store.entry(key)).await? {
                Ok(entry) => return Ok(entry),
                Err(error) => self.pause(key, &error, deadline).await?,
            }
        }
    }

    /// Asks the broker, unless it does not allow that.
    fn allowed<'a, A>(
        &'a self,
        key: &'a str,
        ask: impl Future<Output = A> + 'a,
    ) -> impl Future<Output = Result<A, BucketError>> + 'a {
        let ask = Box::pin(ask);
        async move {
            let name = &self.store.name;
            let about = [format!("KV_{name}"), format!("$KV.{name}.")];
            let answer = self.broker.unless_denied(&about.each_ref().map(String::as_str), ask).await;
            answer.map_err(|denied| BucketError::Denied { key: self.named(key), denied })
        }
    }

    /// Waits a moment after an error, or gives it back when the patience is at its end.
    async fn pause(
        &self,
        key: &str,
        error: &(dyn std::error::Error + Sync),
        deadline: tokio::time::Instant,
    ) -> Result<(), BucketError> {
        if tokio::time::Instant::now() >= deadline {
            return Err(self.failed(key, error));
        }
        tokio::time::sleep(jittered(Duration::from_millis(200))).await;
        Ok(())
    }

    fn read(&self, key: &str, bytes: &[u8]) -> Result<T, BucketError> {
        serde_json::from_slice(bytes)
            .map_err(|e| BucketError::Unreadable { key: self.named(key), why: e.to_string() })
    }

    fn named(&self, key: &str) -> String {
        format!("{}/{key}", self.store.name)
    }

    fn failed(&self, key: &str, error: &dyn std::error::Error) -> BucketError {
        BucketError::Broker { key: self.named(key), why: error.to_string() }
    }
}

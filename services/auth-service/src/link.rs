//! One-time links: the way from `databridge connect` into a browser.

use async_nats::jetstream::kv;
use chrono::{DateTime, TimeDelta, Utc};
use databridge_broker::{Broker, Bucket, BucketError, names};
use databridge_runtime::Clock;
use futures::TryStreamExt as _;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::secret_code::{self, NoRandomness};

/// How long a link can be opened.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// How long an old link is remembered, so that the page can say why it does not work.
const MEMORY: TimeDelta = TimeDelta::days(1);

const PREFIX: &str = "link.";

/// A link that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// There is none with this code.
    #[error("the one-time link is not known")]
    Unknown,
    /// It was opened before.
    #[error("the one-time link was used already")]
    Used(DateTime<Utc>),
    /// It is too old.
    #[error("the one-time link has expired")]
    Expired(DateTime<Utc>),
    /// The broker does not answer.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// No code could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What is kept of a link, under the digest of its code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Whether it may connect another account than before.
    pub(crate) another_account: bool,
    /// Until when it can be opened.
    pub(crate) expires_at: DateTime<Utc>,
    /// When it was opened.
    used_at: Option<DateTime<Utc>>,
}

/// Makes links and opens each once.
pub(crate) struct Links {
    bucket: Bucket<Link>,
    store: kv::Store,
    clock: Clock,
}

impl Links {
    pub(crate) async fn open(broker: &Broker, clock: Clock) -> Result<Self, BucketError> {
        let store = broker.jetstream().get_key_value(names::TOKENS).await;
        let store =
            store.map_err(|e| BucketError::Broker { key: names::TOKENS.to_owned(), why: e.to_string() })?;
        Ok(Self { bucket: broker.bucket(names::TOKENS).await?, store, clock })
    }

    /// Makes a link and gives its code, which is stored nowhere.
    pub(crate) async fn make(&self, another_account: bool) -> Result<(SecretString, Link), LinkError> {
        let code = secret_code::new()?;
        let link = Link { another_account, expires_at: self.clock.now() + LINK_LIFETIME, used_at: None };
        self.bucket.create(&key_of(&code), &link).await?;
        self.forget_old_ones().await;
        Ok((code.into(), link))
    }

    /// Opens a link, which uses it up.
    pub(crate) async fn use_up(&self, code: &str) -> Result<Link, LinkError> {
        let now = self.clock.now();
        let key = key_of(code);
        let found = self.bucket.get(&key).await?.ok_or(LinkError::Unknown)?;
        if let Some(at) = found.value.used_at {
            return Err(LinkError::Used(at));
        }
        if now >= found.value.expires_at {
            return Err(LinkError::Expired(found.value.expires_at));
        }
        let used = Link { used_at: Some(now), ..found.value };
        match self.bucket.update(&key, &used, found.revision).await {
            Ok(_) => Ok(used),
            Err(BucketError::Moved(_)) => Err(LinkError::Used(now)),
            Err(error) => Err(error.into()),
        }
    }

    async fn forget_old_ones(&self) {
        if let Err(error) = self.try_forgetting_old_ones().await {
            tracing::debug!(error, "Old one-time links are kept until the next one is made.");
        }
    }

    async fn try_forgetting_old_ones(&self) -> Result<(), String> {
        let keys: Vec<String> = match self.store.keys().await {
            Ok(keys) => keys.try_collect().await.map_err(|e| e.to_string())?,
            Err(error) => return Err(error.to_string()),
        };
        for key in keys.into_iter().filter(|key| key.starts_with(PREFIX)) {
            let link = self.bucket.get(&key).await.map_err(|e| e.to_string())?;
            if link.is_some_and(|link| link.value.expires_at + MEMORY < self.clock.now()) {
                // Not a delete, which would leave a marker behind for each link ever made.
                let subject = format!("$KV.{}.{key}", names::TOKENS);
                self.store.stream.purge().filter(subject).await.map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }
}

fn key_of(code: &str) -> String {
    format!("{PREFIX}{}", secret_code::digest(code))
}

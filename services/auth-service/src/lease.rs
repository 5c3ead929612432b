//! The right to renew the token, held by one replica at a time.

use chrono::{DateTime, TimeDelta, Utc};
use databridge_broker::{Broker, Bucket, BucketError, names};
use databridge_runtime::Clock;
use serde::{Deserialize, Serialize};

use crate::secret_code;

const KEY: &str = "lease.clio";

/// Longer than a call to Clio may take, so that it ends only when its holder has died.
const LIFETIME: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    /// Tells two holders apart who ask in the same millisecond.
    holder: String,
    until: DateTime<Utc>,
}

/// Hands out the lease.
pub(crate) struct Leases {
    bucket: Bucket<Lease>,
    clock: Clock,
}

/// The lease, to be given back.
pub(crate) struct HeldLease {
    revision: u64,
}

impl Leases {
    pub(crate) async fn open(broker: &Broker, clock: Clock) -> Result<Self, BucketError> {
        Ok(Self { bucket: broker.bucket(names::TOKENS).await?, clock })
    }

    /// Takes the lease, unless another holds it.
    pub(crate) async fn try_take(&self) -> Result<Option<HeldLease>, BucketError> {
        let now = self.clock.now();
        let Ok(holder) = secret_code::new() else { return Ok(None) };
        let lease = Lease { holder, until: now + LIFETIME };
        let taken = match self.bucket.get(KEY).await? {
            Some(held) if held.value.until > now => return Ok(None),
            Some(ended) => self.bucket.update(KEY, &lease, ended.revision).await,
            None => self.bucket.create(KEY, &lease).await,
        };
        match taken {
            Ok(revision) => Ok(Some(HeldLease { revision })),
            Err(BucketError::Moved(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives it back. If that fails the lease ends by itself.
    pub(crate) async fn give_back(&self, lease: HeldLease) {
        if let Err(error) = self.bucket.delete(KEY, lease.revision).await {
            tracing::warn!(%error, "The lease for renewing Clio's token could not be given back; it ends in a minute.");
        }
    }
}

//! The right to renew the token, held by one replica at a time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_broker::{Broker, Bucket, BucketError, names};
use databridge_runtime::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::secret_code;

const KEY: &str = "lease.clio";

/// How long a lease outlives its holder. A holder that lives extends it, however long Clio takes.
const LIFETIME: TimeDelta = TimeDelta::seconds(12);

/// How often the holder extends it.
const EXTENDED_EVERY: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// The lease, to be given back; dropping it gives it back too, a moment later.
pub(crate) struct HeldLease {
    over: oneshot::Sender<()>,
    kept: JoinHandle<()>,
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
            Ok(revision) => Ok(Some(self.kept(lease, revision))),
            Err(BucketError::Moved(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives it back. If that fails the lease ends by itself.
    pub(crate) async fn give_back(&self, lease: HeldLease) {
        drop(lease.over);
        if let Err(error) = lease.kept.await {
            tracing::warn!(%error, "The lease for renewing Clio's token was not kept to its end.");
        }
    }

    fn kept(&self, mut lease: Lease, mut revision: u64) -> HeldLease {
        let (bucket, clock) = (self.bucket.clone(), self.clock.clone());
        let (over, mut is_over) = oneshot::channel();
        let kept = tokio::spawn(async move {
            while tokio::time::timeout(EXTENDED_EVERY, &mut is_over).await.is_err() {
                lease.until = clock.now() + LIFETIME;
                match bucket.update(KEY, &lease, revision).await {
                    Ok(extended) => revision = extended,
                    // Another has it: it had ended, as when the broker was away for long.
                    Err(BucketError::Moved(_)) => return,
                    Err(error) => {
                        tracing::warn!(%error, "The lease for renewing Clio's token is not extended.");
                    }
                }
            }
            if let Err(error) = bucket.delete(KEY, revision).await {
                tracing::warn!(%error, "The lease for renewing Clio's token is not given back; it ends by itself.");
            }
        });
        HeldLease { over, kept }
    }
}

//! The right to renew the token, held by one replica at a time. Its time runs on the broker's clock, whatever the replicas
//! take the time to be.

use std::time::Duration;

use databridge_broker::{Broker, Bucket, BucketError, names};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const KEY: &str = "auth-service.clio";

/// How long a lease outlives its holder. A holder that lives extends it, however long Clio takes.
const LIFETIME: Duration = Duration::from_secs(12);

/// How often the holder extends it.
const EXTENDED_EVERY: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    /// Tells two holders apart who ask at once.
    holder: String,
}

/// Hands out the lease.
pub(crate) struct Leases {
    bucket: Bucket<Lease>,
    broker: Broker,
}

/// The lease, to be given back; dropping it gives it back too, a moment later.
pub(crate) struct HeldLease {
    over: oneshot::Sender<()>,
    kept: JoinHandle<()>,
}

impl Leases {
    pub(crate) async fn open(broker: &Broker) -> Result<Self, BucketError> {
        Ok(Self { bucket: broker.bucket(names::LEASES).await?, broker: broker.clone() })
    }

    /// Takes the lease, unless another holds it.
    pub(crate) async fn try_take(&self) -> Result<Option<HeldLease>, BucketError> {
        let lease = Lease { holder: self.broker.new_worker_name() };
        match self.bucket.create_for(KEY, &lease, LIFETIME).await {
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

    fn kept(&self, lease: Lease, mut revision: u64) -> HeldLease {
        let bucket = self.bucket.clone();
        let (over, mut is_over) = oneshot::channel();
        let kept = tokio::spawn(async move {
            while tokio::time::timeout(EXTENDED_EVERY, &mut is_over).await.is_err() {
                match bucket.update_for(KEY, &lease, revision, LIFETIME).await {
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

//! The right to work, which one replica of a service has at a time.
//!
//! The lease is a key of the bucket `leases`, written by compare-and-set. Its holder renews it, and the broker removes
//! it when nobody does. Whoever finds it held asks the holder, who listens on a subject of its own: where nobody does,
//! its connection is gone, and there is no need to wait until the lease runs out.
//!
//! A lease makes two replicas share one limit and one memory; it is no fence. One that was suspended may believe for a
//! moment that it still has it. What keeps effects from being doubled then are the compare-and-set of links and runs,
//! and the intents.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::kv;
use databridge_runtime::{CancellationToken, jittered};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::{Broker, BucketError, Standing, bucket, health, names};

/// What the key of a lease holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    /// The worker, by a name that no other has.
    holder: String,
    /// The machine or container where it runs, for people.
    host: String,
    /// Its process there.
    process: u32,
}

/// How long the work may take to end after the lease is lost.
const GRACE: Duration = Duration::from_secs(25);

/// How often a holder is asked, and does not listen, before it counts as gone. Its connection may just come back.
const TIMES_UNHEARD: u32 = 2;

/// Works while this replica has the lease of its service, and waits for it while another has it. Ends when `stop` is
/// cancelled, or when the work ends by itself; work that a loss of the connection ended is [begun anew].
///
/// The token that the work gets is cancelled by `stop`, and when another replica has taken over.
///
/// [begun anew]: Broker::begins_anew
pub async fn one_at_a_time<F, W, E>(broker: &Broker, stop: CancellationToken, work: F) -> Result<(), E>
where
    F: Fn(CancellationToken) -> W,
    W: Future<Output = Result<(), E>>,
    E: From<BucketError> + fmt::Display,
{
    loop {
        let losses = broker.losses();
        broker.health().stands(Standing::By);
        let taken = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            taken = Lease::take(broker) => taken,
        };
        // What came of the work; nothing where another has taken over.
        let ended = match taken {
            Err(error) => Some(Err(error.into())),
            Ok(mut lease) => {
                broker.health().stands(Standing::AtWork);
                let tenure = stop.child_token();
                let mut working = Box::pin(work(tenure.clone()));
                tokio::select! {
                    ended = &mut working => {
                        lease.give_back().await;
                        Some(ended)
                    }
                    () = lease.keep() => {
                        let service = broker.service();
                        tracing::warn!(service, "Another replica has taken over; this one stands by.");
                        tenure.cancel();
                        tokio::time::timeout(GRACE, working).await.ok().filter(Result::is_err)
                    }
                }
            }
        };
        match ended {
            None => {}
            Some(Err(error)) if broker.begins_anew(losses, &error, &stop).await => {}
            Some(ended) => return ended,
        }
    }
}

/// A lease that is held.
struct Lease {
    broker: Broker,
    store: kv::Store,
    held: Held,
    revision: u64,
    /// Listens while the lease is held, so that others know.
    _listener: Listener,
}

struct Listener(tokio::task::AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What came of a try.
enum Tried {
    /// It is ours, at this revision.
    Ours(u64),
    /// Another has it.
    OfAnother(Held, u64),
}

impl Lease {
    /// Waits until the lease of the broker's service is to be had.
    async fn take(broker: &Broker) -> Result<Self, BucketError> {
        let opened = broker.jetstream().get_key_value(names::LEASES).await;
        let store = opened.map_err(|e| failed(broker, &e))?;
        let held =
            Held { holder: broker.new_worker_name(), host: health::host(), process: std::process::id() };
        let listener = listen(broker, &held).await?;
        let mut told = false;
        loop {
            match try_take(broker, &store, &held).await {
                Ok(Tried::Ours(revision)) => {
                    tracing::info!(service = broker.service(), "This replica is at work.");
                    return Ok(Self { broker: broker.clone(), store, held, revision, _listener: listener });
                }
                Ok(Tried::OfAnother(other, revision)) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!(
                            service = broker.service(),
                            host = other.host,
                            process = other.process,
                            "Another replica is at work; this one stands by."
                        );
                    }
                    if is_gone(broker, &other).await {
                        match put(broker, &store, &held, revision).await {
                            Ok(_) | Err(Refused::Moved) => continue,
                            Err(Refused::Other(error)) => tracing::debug!(error, "The lease is not taken."),
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "The lease cannot be looked at."),
            }
            tokio::time::sleep(jittered(broker.ack_wait() / 20)).await;
        }
    }

    /// Renews it until another has taken it.
    async fn keep(&mut self) {
        let mut losses = self.broker.losses.subscribe();
        loop {
            // Who was away for a moment may have been taken for gone.
            tokio::select! {
                () = tokio::time::sleep(self.broker.ack_wait() / 3) => {}
                _ = losses.changed() => {}
            }
            match put(&self.broker, &self.store, &self.held, self.revision).await {
                Ok(revision) => self.revision = revision,
                Err(Refused::Moved) => match try_take(&self.broker, &self.store, &self.held).await {
                    Ok(Tried::Ours(revision)) => self.revision = revision,
                    Ok(Tried::OfAnother(..)) => return,
                    Err(error) => tracing::debug!(%error, "The lease cannot be looked at."),
                },
                Err(Refused::Other(error)) => tracing::debug!(error, "The lease is not renewed."),
            }
        }
    }

    /// Gives it back, so that another need not wait.
    async fn give_back(self) {
        let key = self.broker.service();
        if let Err(error) = self.store.delete_expect_revision(key, Some(self.revision)).await {
            tracing::debug!(%error, "The lease is not given back; it runs out.");
        }
    }
}

/// Takes the lease if nobody has it.
async fn try_take(broker: &Broker, store: &kv::Store, held: &Held) -> Result<Tried, BucketError> {
    loop {
        let entry = store.entry(broker.service()).await.map_err(|e| failed(broker, &e))?;
        let revision = match entry {
            None => 0,
            Some(entry) if entry.operation == kv::Operation::Put => {
                let other: Held = serde_json::from_slice(&entry.value).map_err(|error| {
                    BucketError::Unreadable { key: name_of(broker), why: error.to_string() }
                })?;
                let revision = entry.revision;
                return Ok(if other == *held {
                    Tried::Ours(revision)
                } else {
                    Tried::OfAnother(other, revision)
                });
            }
            Some(marker) => marker.revision,
        };
        match put(broker, store, held, revision).await {
            Ok(revision) => return Ok(Tried::Ours(revision)),
            Err(Refused::Moved) => {}
            Err(Refused::Other(why)) => {
                return Err(BucketError::Broker { key: name_of(broker), why });
            }
        }
    }
}

/// Why a lease was not written.
enum Refused {
    /// Another has written first.
    Moved,
    /// Anything else.
    Other(String),
}

/// Writes the lease over this revision.
async fn put(broker: &Broker, store: &kv::Store, held: &Held, revision: u64) -> Result<u64, Refused> {
    let body = serde_json::to_vec(held).map_err(|e| Refused::Other(e.to_string()))?;
    let time = Some(broker.ack_wait());
    bucket::put(broker, store, broker.service(), body.into(), revision, time).await.map_err(|error| {
        match error.kind() {
            PublishErrorKind::WrongLastSequence => Refused::Moved,
            _ => Refused::Other(error.to_string()),
        }
    })
}

/// Whether nobody listens where the holder does.
async fn is_gone(broker: &Broker, holder: &Held) -> bool {
    for times in 0..TIMES_UNHEARD {
        if times > 0 {
            tokio::time::sleep(broker.ack_wait() / 40).await;
        }
        let asked = broker.client().request(subject_of(broker, holder), "".into()).await;
        if !asked.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders) {
            return false;
        }
    }
    true
}

/// Answers those who ask whether this replica is there.
async fn listen(broker: &Broker, held: &Held) -> Result<Listener, BucketError> {
    let client = broker.client().clone();
    let mut asked = client.subscribe(subject_of(broker, held)).await.map_err(|e| failed(broker, &e))?;
    let listening = tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let Some(reply) = message.reply else { continue };
            if let Err(error) = client.publish(reply, "".into()).await {
                tracing::debug!(%error, "Who asked for this replica is not answered.");
            }
        }
    });
    Ok(Listener(listening.abort_handle()))
}

/// Where a holder listens.
fn subject_of(broker: &Broker, held: &Held) -> String {
    format!("lease.{}.{}", broker.service(), held.holder)
}

fn name_of(broker: &Broker) -> String {
    format!("{}/{}", names::LEASES, broker.service())
}

fn failed(broker: &Broker, error: &dyn std::error::Error) -> BucketError {
    BucketError::Broker { key: name_of(broker), why: error.to_string() }
}

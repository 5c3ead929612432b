//! Reads of records whose parent is in no link yet. They wait in a bucket and are decided when it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use databridge_broker::{Broker, Bucket, BucketError, names};
use databridge_model::{KeyToken, Name, PullResult};
use serde::{Deserialize, Serialize};

use crate::plan::ParentRef;

/// A read that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiter {
    /// The route for which it waits.
    pub(crate) route: Name,
    /// The parent.
    pub(crate) parent: ParentRef,
    /// What was read.
    pub(crate) read: PullResult,
    /// Its sequence in PULL.
    pub(crate) sequence: u64,
}

/// The reads that wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    bucket: Bucket<Waiter>,
    by_parent: Mutex<HashMap<ParentRef, BTreeSet<String>>>,
}

impl Waiting {
    /// Opens the bucket and indexes it.
    pub(crate) async fn open(broker: &Broker) -> Result<Self, BucketError> {
        let bucket: Bucket<Waiter> = broker.bucket(names::WAITING).await?;
        let mut by_parent: HashMap<ParentRef, BTreeSet<String>> = HashMap::new();
        bucket
            .each(|name, found| {
                by_parent.entry(found.value.parent).or_default().insert(name);
            })
            .await?;
        Ok(Self { bucket, by_parent: Mutex::new(by_parent) })
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Lets a read wait. A later one of the same record takes its place.
    pub(crate) async fn add(&self, waiter: &Waiter) -> Result<(), BucketError> {
        let read = &waiter.read;
        let name =
            format!("{}.{}.{}.{}", waiter.route, read.system, read.collection, KeyToken::of(None, &read.id));
        self.lock().entry(waiter.parent.clone()).or_default().insert(name.clone());
        loop {
            let stored = match self.bucket.get(&name).await? {
                Some(found) if found.value.sequence >= waiter.sequence => return Ok(()),
                Some(found) => self.bucket.update(&name, waiter, found.revision).await,
                None => self.bucket.create(&name, waiter).await,
            };
            match stored {
                Err(BucketError::Moved(_)) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Those that wait for a parent.
    pub(crate) async fn of(&self, parent: &ParentRef) -> Result<Vec<(String, u64, Waiter)>, BucketError> {
        let names: Vec<_> = self.lock().get(parent).into_iter().flatten().cloned().collect();
        let mut waiters = Vec::new();
        for name in names {
            match self.bucket.get(&name).await? {
                Some(found) if found.value.parent == *parent => {
                    waiters.push((name, found.revision, found.value));
                }
                _ => self.forget(parent, &name),
            }
        }
        Ok(waiters)
    }

    /// One of them is decided.
    pub(crate) async fn done(
        &self,
        parent: &ParentRef,
        name: &str,
        revision: u64,
    ) -> Result<(), BucketError> {
        match self.bucket.delete(name, revision).await {
            // A later read of the same record came meanwhile: its turn comes with it.
            Err(BucketError::Moved(_)) => Ok(()),
            other => {
                other?;
                self.forget(parent, name);
                Ok(())
            }
        }
    }

    fn forget(&self, parent: &ParentRef, name: &str) {
        let mut index = self.lock();
        if let Some(names) = index.get_mut(parent) {
            names.remove(name);
            if names.is_empty() {
                index.remove(parent);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ParentRef, BTreeSet<String>>> {
        self.by_parent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

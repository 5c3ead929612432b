//! Reads of records whose parent is in no link yet. They wait in a bucket and are decided when it is.

use std::collections::{BTreeMap, HashMap};
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
    /// Their names in the bucket, each with the revision that was last seen of it.
    by_parent: Mutex<HashMap<ParentRef, BTreeMap<String, u64>>>,
}

impl Waiting {
    /// Opens the bucket and indexes it.
    pub(crate) async fn open(broker: &Broker) -> Result<Self, BucketError> {
        let bucket: Bucket<Waiter> = broker.bucket(names::WAITING).await?;
        let mut by_parent: HashMap<ParentRef, BTreeMap<String, u64>> = HashMap::new();
        bucket
            .each(|name, found| {
                by_parent.entry(found.value.parent).or_default().insert(name, found.revision);
            })
            .await?;
        Ok(Self { bucket, by_parent: Mutex::new(by_parent) })
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The parents for which something waits.
    pub(crate) fn parents(&self) -> Vec<ParentRef> {
        self.lock().keys().cloned().collect()
    }

    /// Lets a read wait. A later one of the same record takes its place.
    pub(crate) async fn add(&self, waiter: &Waiter) -> Result<(), BucketError> {
        let read = &waiter.read;
        let name =
            format!("{}.{}.{}.{}", waiter.route, read.system, read.collection, KeyToken::of(None, &read.id));
        let (parent, revision) = loop {
            let stored = match self.bucket.get(&name).await? {
                Some(found) if found.value.sequence >= waiter.sequence => {
                    break (found.value.parent, found.revision);
                }
                Some(found) => self.bucket.update(&name, waiter, found.revision).await,
                None => self.bucket.create(&name, waiter).await,
            };
            match stored {
                Err(BucketError::Moved(_)) => {}
                stored => break (waiter.parent.clone(), stored?),
            }
        };
        // Not before it is stored: who looks for those that wait would not find it, and forget it.
        self.lock().entry(parent).or_default().insert(name, revision);
        Ok(())
    }

    /// Those that wait for a parent.
    pub(crate) async fn of(&self, parent: &ParentRef) -> Result<Vec<(String, u64, Waiter)>, BucketError> {
        let names: Vec<_> =
            self.lock().get(parent).into_iter().flatten().map(|(n, r)| (n.clone(), *r)).collect();
        let mut waiters = Vec::new();
        for (name, known) in names {
            match self.bucket.get(&name).await? {
                Some(found) if found.value.parent == *parent => {
                    waiters.push((name, found.revision, found.value));
                }
                _ => self.forget(parent, &name, known),
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
                self.forget(parent, name, revision);
                Ok(())
            }
        }
    }

    /// It is not there any more, unless it has come again meanwhile.
    fn forget(&self, parent: &ParentRef, name: &str, revision: u64) {
        let mut index = self.lock();
        if let Some(names) = index.get_mut(parent) {
            if names.get(name).is_some_and(|known| *known <= revision) {
                names.remove(name);
            }
            if names.is_empty() {
                index.remove(parent);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ParentRef, BTreeMap<String, u64>>> {
        self.by_parent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use databridge_broker::ensure_topology;
    use databridge_config::Side;
    use databridge_config::env::NatsEnv;
    use databridge_model::ReadAfter;
    use databridge_nats_server::NatsServer;
    use databridge_runtime::Clock;

    use super::*;
    use crate::samples::now;

    fn note(number: usize, parent: &ParentRef) -> Waiter {
        let read = PullResult {
            system: Name::parse("office").unwrap(),
            collection: Name::parse("notes").unwrap(),
            id: number.to_string(),
            key: None,
            parent: Some("7".to_owned()),
            revision: None,
            deleted: false,
            fields: databridge_model::Fields::new(),
            made_by: None,
            handle: serde_json::Value::Null,
            run: None,
            read_after: ReadAfter { sequence: 0, stream_created: now() },
        };
        Waiter { route: Name::parse("remarks").unwrap(), parent: parent.clone(), read, sequence: 1 }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_comes_as_others_are_looked_for_is_found_by_the_next_look() {
        let nats = NatsServer::ephemeral().await.unwrap();
        let settings = NatsEnv::at(nats.url());
        let connected = Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(10)).await;
        let broker = connected.unwrap();
        ensure_topology(&broker).await.unwrap();
        let waiting = Arc::new(Waiting::open(&broker).await.unwrap());
        let parent = ParentRef::Id(Name::parse("case_matter").unwrap(), Side::Right, "7".to_owned());
        let look = {
            let (waiting, parent) = (Arc::clone(&waiting), parent.clone());
            tokio::spawn(async move { while waiting.of(&parent).await.unwrap().len() < 60 {} })
        };
        let adds = (0..60).map(|number| {
            let (waiting, waiter) = (Arc::clone(&waiting), note(number, &parent));
            tokio::spawn(async move { waiting.add(&waiter).await.unwrap() })
        });
        futures::future::join_all(adds.collect::<Vec<_>>()).await;
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("one was forgotten").unwrap();
    }
}

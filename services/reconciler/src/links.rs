//! The store of links: the bucket, and the indexes over it.

mod index;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chrono::{DateTime, Utc};
use databridge_broker::{Broker, Bucket, BucketError, Versioned, names};
use databridge_config::Side;
use databridge_model::{Key, Name, RunId};
use tokio::sync::OwnedMutexGuard;

use self::index::Index;
pub(crate) use self::index::{LinkNumber, Open};
use crate::link::Link;
use crate::plan::ParentRef;

/// The links of all routes. Reads and writes go to the bucket; what must be found fast is indexed in memory.
#[derive(Debug)]
pub(crate) struct Links {
    bucket: Bucket<Link>,
    index: Mutex<Index>,
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// The right to change one link in this process; other processes are kept off by the compare-and-set.
#[derive(Debug)]
pub(crate) struct LinkLock {
    _guard: OwnedMutexGuard<()>,
}

impl Links {
    /// Opens the bucket and indexes it.
    pub(crate) async fn open(broker: &Broker) -> Result<Self, BucketError> {
        let bucket: Bucket<Link> = broker.bucket(names::LINKS).await?;
        let links = Self { bucket, index: Mutex::default(), locks: Mutex::default() };
        // One after the other: all together would fill the memory.
        links.bucket.each(|name, found| links.index().take_in(&name, &found.value)).await?;
        Ok(links)
    }

    /// Whether there is a link of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.index().number(name).is_some()
    }

    /// The link that has this record on this side.
    pub(crate) fn by_id(&self, route: &Name, side: Side, id: &str) -> Option<String> {
        self.index().by_id(route, side, id)
    }

    /// The link that has this key now.
    pub(crate) fn by_key(&self, route: &Name, key: &Key) -> Option<String> {
        self.index().by_key(route, key)
    }

    /// The link of the parent route of which a record speaks.
    pub(crate) fn by_parent(&self, parent: &ParentRef) -> Option<String> {
        match parent {
            ParentRef::Id(route, side, id) => self.by_id(route, *side, id),
            ParentRef::Key(route, key) => self.by_key(route, key),
        }
    }

    /// This name, or one like it: a link whose key was edited keeps the name of its first key.
    pub(crate) fn free_name(&self, name: String) -> String {
        let index = self.index();
        let is_free = |name: &str| index.number(name).is_none();
        if is_free(&name) {
            return name;
        }
        let numbered = (2_u64..).map(|number| format!("{name}.{number}"));
        numbered.into_iter().find(|name| is_free(name)).unwrap_or(name)
    }

    /// The links that are open in one of these ways, by their names.
    pub(crate) fn open_ones(&self, whys: impl Fn(Open) -> bool) -> Vec<LinkNumber> {
        self.index().open_ones(whys)
    }

    /// The name of a link.
    pub(crate) fn name(&self, link: LinkNumber) -> Option<String> {
        self.index().name(link)
    }

    /// Whether any link is open in this way.
    pub(crate) fn any_open(&self, why: Open) -> bool {
        self.index().any_open(why)
    }

    /// Whether this link is open in this way.
    pub(crate) fn is_open(&self, name: &str, why: Open) -> bool {
        self.index().is_open(name, why)
    }

    /// The runs of a link's pushes under way.
    pub(crate) fn under_way(&self, name: &str) -> Vec<Option<RunId>> {
        self.index().under_way(name)
    }

    /// The links that wait for a record beside this parent.
    pub(crate) fn awaiting(&self, parent: &ParentRef) -> Vec<String> {
        self.index().awaiting(parent)
    }

    /// The links whose choice has changed by itself by this moment.
    pub(crate) fn to_look_at(&self, now: DateTime<Utc>) -> Vec<String> {
        self.index().to_look_at(now)
    }

    /// The links of a route that have a record on this side which is not among these ids, and how many have any.
    pub(crate) fn without(&self, route: &Name, side: Side, ids: &HashSet<String>) -> (Vec<String>, usize) {
        self.index().without(route, side, ids)
    }

    /// Waits for the right to change a link.
    pub(crate) async fn lock(&self, name: &str) -> LinkLock {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() > 10_000 {
                locks.retain(|_, lock| lock.strong_count() > 0);
            }
            match locks.get(name).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::new(tokio::sync::Mutex::new(()));
                    locks.insert(name.to_owned(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        LinkLock { _guard: lock.lock_owned().await }
    }

    /// Reads a link.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Versioned<Link>>, BucketError> {
        self.bucket.get(name).await
    }

    /// Writes a link that was read at this revision, or that is new.
    pub(crate) async fn save(
        &self,
        name: &str,
        link: &Link,
        revision: Option<u64>,
    ) -> Result<(), BucketError> {
        match revision {
            Some(revision) => self.bucket.update(name, link, revision).await?,
            None => self.bucket.create(name, link).await?,
        };
        self.index().take_in(name, link);
        Ok(())
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

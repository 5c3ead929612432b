//! The store of links: the bucket, and the indexes over it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use databridge_broker::{Broker, Bucket, BucketError, Versioned, names};
use databridge_config::Side;
use databridge_model::{Key, Name, RunId};
use tokio::sync::OwnedMutexGuard;

use crate::link::Link;

/// The links of all routes. Reads and writes go to the bucket; what must be found fast is indexed in memory.
#[derive(Debug)]
pub(crate) struct Links {
    bucket: Bucket<Link>,
    index: Mutex<Index>,
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Debug, Default)]
struct Index {
    by_id: HashMap<(Name, Side, String), String>,
    by_key: HashMap<(Name, Key), String>,
    facts: HashMap<String, Facts>,
    /// Links with something open, so that runs need not look through all.
    open: HashSet<String>,
}

/// What the indexes hold of one link, so that a change takes out what is no longer so.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    ids: BTreeSet<(Side, String)>,
    key: Option<Key>,
    route: Option<Name>,
    /// The runs of the pushes under way.
    pub(crate) under_way: Vec<Option<RunId>>,
    /// The run whose listing is awaited.
    pub(crate) awaits: Option<RunId>,
    /// To be looked at by the next run.
    pub(crate) due: bool,
    /// To be read again.
    pub(crate) reread: bool,
    /// Has rivals on a side.
    pub(crate) rivalled: bool,
}

impl Facts {
    fn of(link: &Link) -> Self {
        let mut facts = Self {
            key: Some(link.key.clone()),
            route: Some(link.route.clone()),
            awaits: link.awaits_listing,
            due: link.due,
            ..Self::default()
        };
        for side in Side::BOTH {
            let state = link.side(side);
            facts.ids.extend(state.id.iter().chain(state.rivals.keys()).map(|id| (side, id.clone())));
            facts.under_way.extend(state.outstanding.iter().map(|outstanding| outstanding.push.run));
            facts.reread |= state.reread;
            facts.rivalled |= !state.rivals.is_empty();
        }
        facts
    }

    fn is_open(&self) -> bool {
        !self.under_way.is_empty() || self.awaits.is_some() || self.due || self.reread || self.rivalled
    }
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
        for (name, found) in links.bucket.all().await? {
            links.index_link(&name, &found.value);
        }
        Ok(links)
    }

    /// The link that has this record on this side.
    pub(crate) fn by_id(&self, route: &Name, side: Side, id: &str) -> Option<String> {
        self.index().by_id.get(&(route.clone(), side, id.to_owned())).cloned()
    }

    /// The link that has this key now.
    pub(crate) fn by_key(&self, route: &Name, key: &Key) -> Option<String> {
        self.index().by_key.get(&(route.clone(), key.clone())).cloned()
    }

    /// This name, or one like it: a link whose key was edited keeps the name of its first key.
    pub(crate) fn free_name(&self, name: String) -> String {
        let index = self.index();
        if !index.facts.contains_key(&name) {
            return name;
        }
        let mut number = 2_u64;
        loop {
            let numbered = format!("{name}.{number}");
            if !index.facts.contains_key(&numbered) {
                return numbered;
            }
            number += 1;
        }
    }

    /// The links with something open, and what.
    pub(crate) fn open_ones(&self) -> Vec<(String, Facts)> {
        let index = self.index();
        index.open.iter().filter_map(|name| Some((name.clone(), index.facts.get(name)?.clone()))).collect()
    }

    /// Whether anything open matches.
    pub(crate) fn any_open(&self, test: impl Fn(&Facts) -> bool) -> bool {
        let index = self.index();
        index.open.iter().filter_map(|name| index.facts.get(name)).any(test)
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
        self.index_link(name, link);
        Ok(())
    }

    fn index_link(&self, name: &str, link: &Link) {
        let facts = Facts::of(link);
        let mut index = self.index();
        let before = index.facts.insert(name.to_owned(), facts.clone()).unwrap_or_default();
        if before.key != facts.key
            && let (Some(route), Some(key)) = (before.route, before.key)
            && index.by_key.get(&(route.clone(), key.clone())).is_some_and(|holder| holder == name)
        {
            index.by_key.remove(&(route, key));
        }
        for (side, id) in before.ids.difference(&facts.ids) {
            let place = (link.route.clone(), *side, id.clone());
            if index.by_id.get(&place).is_some_and(|holder| holder == name) {
                index.by_id.remove(&place);
            }
        }
        index.by_key.insert((link.route.clone(), link.key.clone()), name.to_owned());
        for (side, id) in &facts.ids {
            index.by_id.insert((link.route.clone(), *side, id.clone()), name.to_owned());
        }
        if facts.is_open() {
            index.open.insert(name.to_owned());
        } else {
            index.open.remove(name);
        }
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The store of links: the bucket, and the indexes over it.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chrono::{DateTime, Utc};
use databridge_broker::{Broker, Bucket, BucketError, Versioned, names};
use databridge_config::Side;
use databridge_model::{Key, Name, RunId};
use tokio::sync::OwnedMutexGuard;

use crate::link::Link;
use crate::plan::ParentRef;

/// The links of all routes. Reads and writes go to the bucket; what must be found fast is indexed in memory.
#[derive(Debug)]
pub(crate) struct Links {
    bucket: Bucket<Link>,
    index: Mutex<Index>,
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// Hundreds of thousands of links are the rule for a large city, so the index holds hashes of 128 bits in place of
/// ids and keys, and numbers in place of names.
#[derive(Debug, Default)]
struct Index {
    hashers: [RandomState; 2],
    /// The links by number.
    slots: Vec<Slot>,
    by_name: HashMap<Hash, u32>,
    /// By what they can be found: the ids of their records, and their keys.
    by_mark: HashMap<Hash, u32>,
    /// Links with something open, so that runs need not look through all.
    open: HashMap<u32, Facts>,
    /// Links that wait for a record beside their parent.
    awaiting: HashMap<ParentRef, HashSet<u32>>,
    /// When a link's choice changes by itself.
    look_at: HashMap<u32, DateTime<Utc>>,
}

type Hash = [u64; 2];

#[derive(Debug)]
struct Slot {
    name: Box<str>,
    marks: Box<[Mark]>,
}

/// By what a link can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    hash: Hash,
    /// Of a record that is there, its side.
    there: Option<Side>,
}

/// What is open in a link.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all pairs of them occur")]
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// The runs of the pushes under way.
    pub(crate) under_way: Vec<Option<RunId>>,
    /// The run whose listing is awaited.
    pub(crate) awaits: Option<RunId>,
    /// The parent whose partner is awaited.
    pub(crate) awaits_parent: Option<ParentRef>,
    /// Has taken over the partner of another link.
    pub(crate) takes_over: bool,
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
            awaits: link.awaits_listing,
            awaits_parent: link.awaits_parent.clone(),
            takes_over: link.takes_over.is_some(),
            due: link.due,
            ..Self::default()
        };
        for side in Side::BOTH {
            let state = link.side(side);
            facts.under_way.extend(state.outstanding.iter().map(|outstanding| outstanding.push.run));
            facts.reread |= !link.to_reread(side).is_empty();
            facts.rivalled |= !state.rivals.is_empty();
        }
        facts
    }

    fn is_open(&self) -> bool {
        *self != Self::default()
    }
}

impl Index {
    fn hash(&self, what: impl std::hash::Hash) -> Hash {
        [self.hashers[0].hash_one(&what), self.hashers[1].hash_one(&what)]
    }

    fn hash_of_id(&self, route: &Name, side: Side, id: &str) -> Hash {
        self.hash((route, side, id))
    }

    fn hash_of_key(&self, route: &Name, key: &Key) -> Hash {
        self.hash((route, key))
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.by_name.get(&self.hash(name)).copied()
    }

    fn name(&self, number: u32) -> Option<String> {
        Some(self.slots.get(usize::try_from(number).ok()?)?.name.to_string())
    }

    fn find(&self, mark: Hash) -> Option<String> {
        self.name(*self.by_mark.get(&mark)?)
    }

    fn marks_of(&self, link: &Link) -> Box<[Mark]> {
        let mut marks = vec![Mark { hash: self.hash_of_key(&link.route, &link.key), there: None }];
        for side in Side::BOTH {
            let state = link.side(side);
            let children = link.children.keys().filter(|_| side == Side::Right);
            let own = state.id.iter().chain(children);
            marks.extend(own.map(|id| Mark {
                hash: self.hash_of_id(&link.route, side, id),
                there: (!state.gone).then_some(side),
            }));
            let rivals = state.rivals.keys();
            marks.extend(rivals.map(|id| Mark { hash: self.hash_of_id(&link.route, side, id), there: None }));
        }
        marks.into()
    }

    fn take_in(&mut self, name: &str, link: &Link) {
        let marks = self.marks_of(link);
        let number = match self.number(name) {
            Some(number) => number,
            None => {
                let Ok(number) = u32::try_from(self.slots.len()) else { return };
                self.slots.push(Slot { name: name.into(), marks: Box::default() });
                self.by_name.insert(self.hash(name), number);
                number
            }
        };
        let Some(slot) = usize::try_from(number).ok().and_then(|at| self.slots.get_mut(at)) else { return };
        let before = std::mem::replace(&mut slot.marks, marks.clone());
        for mark in &before {
            let is_lost = !marks.iter().any(|now| now.hash == mark.hash);
            if is_lost && self.by_mark.get(&mark.hash) == Some(&number) {
                self.by_mark.remove(&mark.hash);
            }
        }
        for mark in &marks {
            self.by_mark.insert(mark.hash, number);
        }
        let facts = Facts::of(link);
        let awaited = self.open.get(&number).and_then(|before| before.awaits_parent.clone());
        if awaited != facts.awaits_parent {
            if let Some(before) = awaited
                && let Some(waiting) = self.awaiting.get_mut(&before)
            {
                waiting.remove(&number);
                if waiting.is_empty() {
                    self.awaiting.remove(&before);
                }
            }
            if let Some(parent) = &facts.awaits_parent {
                self.awaiting.entry(parent.clone()).or_default().insert(number);
            }
        }
        if facts.is_open() {
            self.open.insert(number, facts);
        } else {
            self.open.remove(&number);
        }
        match link.look_at {
            Some(at) => drop(self.look_at.insert(number, at)),
            None => drop(self.look_at.remove(&number)),
        }
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
            links.index().take_in(&name, &found.value);
        }
        Ok(links)
    }

    /// Whether there is a link of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.index().number(name).is_some()
    }

    /// The link that has this record on this side.
    pub(crate) fn by_id(&self, route: &Name, side: Side, id: &str) -> Option<String> {
        let index = self.index();
        index.find(index.hash_of_id(route, side, id))
    }

    /// The link that has this key now.
    pub(crate) fn by_key(&self, route: &Name, key: &Key) -> Option<String> {
        let index = self.index();
        index.find(index.hash_of_key(route, key))
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

    /// The links with something open, and what.
    pub(crate) fn open_ones(&self) -> Vec<(String, Facts)> {
        let index = self.index();
        index.open.iter().filter_map(|(number, facts)| Some((index.name(*number)?, facts.clone()))).collect()
    }

    /// Whether anything open matches.
    pub(crate) fn any_open(&self, test: impl Fn(&Facts) -> bool) -> bool {
        self.index().open.values().any(test)
    }

    /// The runs of a link's pushes under way.
    pub(crate) fn under_way(&self, name: &str) -> Vec<Option<RunId>> {
        let index = self.index();
        let facts = index.number(name).and_then(|number| index.open.get(&number));
        facts.map(|facts| facts.under_way.clone()).unwrap_or_default()
    }

    /// Whether a link is to be looked at again.
    pub(crate) fn is_due(&self, name: &str) -> bool {
        let index = self.index();
        index.number(name).and_then(|number| index.open.get(&number)).is_some_and(|facts| facts.due)
    }

    /// Whether any link waits for a record beside its parent.
    pub(crate) fn any_awaiting(&self) -> bool {
        !self.index().awaiting.is_empty()
    }

    /// The links that wait for a record beside this parent.
    pub(crate) fn awaiting(&self, parent: &ParentRef) -> Vec<String> {
        let index = self.index();
        let waiting = index.awaiting.get(parent).into_iter().flatten();
        waiting.filter_map(|number| index.name(*number)).collect()
    }

    /// The links whose choice has changed by itself by this moment.
    pub(crate) fn to_look_at(&self, now: DateTime<Utc>) -> Vec<String> {
        let index = self.index();
        let due = index.look_at.iter().filter(|(_, at)| **at <= now);
        due.filter_map(|(number, _)| index.name(*number)).collect()
    }

    /// The links of a route that have a record on this side which is not among these ids, and how many have any.
    pub(crate) fn without(&self, route: &Name, side: Side, ids: &HashSet<String>) -> (Vec<String>, usize) {
        let index = self.index();
        let seen: HashSet<Hash> = ids.iter().map(|id| index.hash_of_id(route, side, id)).collect();
        let prefix = format!("{route}.");
        let (mut missing, mut known) = (Vec::new(), 0);
        for slot in index.slots.iter().filter(|slot| slot.name.starts_with(&prefix)) {
            let mut there = slot.marks.iter().filter(|mark| mark.there == Some(side)).peekable();
            known += usize::from(there.peek().is_some());
            if there.any(|mark| !seen.contains(&mark.hash)) {
                missing.push(slot.name.to_string());
            }
        }
        (missing, known)
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

//! Runs: everything that one sync request set going, to its end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use databridge_broker::{Broker, Bucket, BucketError, names};
use databridge_model::{CollectionName, Listed, Mode, RunId, RunSummary, SyncRequest, SystemName, UnderWay};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// How long a run that has ended is known: as long as RUN keeps what happened in it. By then its request is long taken
/// away, so that it is not opened a second time.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A run, as the bucket `runs` keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The subject of the request.
    pub(crate) subject: String,
    /// The request.
    pub(crate) request: SyncRequest,
    /// When it was opened.
    pub(crate) opened_at: DateTime<Utc>,
    /// What bridges were asked for.
    pub(crate) parts: Vec<Part>,
    /// Whether the creates that waited for the complete listings have been decided.
    pub(crate) listings_decided: bool,
    /// The counts so far.
    pub(crate) summary: RunSummary,
    /// When it ended.
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// What one bridge was asked for: a collection, by one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The sequence of the request.
    pub(crate) request: u64,
    /// The system.
    pub(crate) system: SystemName,
    /// The collection.
    pub(crate) collection: CollectionName,
    /// Whether everything was asked for.
    pub(crate) whole: bool,
    /// What the bridge answered.
    pub(crate) listed: Option<Listed>,
}

impl Part {
    /// Whether this is the end of its listing.
    pub(crate) fn is_answered_by(&self, listed: &Listed) -> bool {
        self.request == listed.request && self.system == listed.system && self.collection == listed.collection
    }
}

impl Run {
    /// Whether every bridge has answered.
    pub(crate) fn is_listed(&self) -> bool {
        self.parts.iter().all(|part| part.listed.is_some())
    }

    /// Whether the request of a part has been answered.
    pub(crate) fn has_answer_to(&self, request: u64) -> bool {
        self.parts.iter().any(|part| part.request == request && part.listed.is_some())
    }

    /// The sequence in PULL up to which all must be decided.
    pub(crate) fn pull_last(&self) -> u64 {
        self.parts
            .iter()
            .filter_map(|part| part.listed.as_ref())
            .map(|listed| listed.pull_last)
            .max()
            .unwrap_or(0)
    }

    /// Whether everything of a collection was asked for.
    pub(crate) fn asks_whole(&self, system: &SystemName, collection: &CollectionName) -> bool {
        self.parts.iter().any(|part| part.whole && part.system == *system && part.collection == *collection)
    }

    /// Whether a complete listing of a collection has come.
    pub(crate) fn has_whole(&self, system: &SystemName, collection: &CollectionName) -> bool {
        let whole = |listed: &Listed| listed.whole && listed.complete;
        self.parts.iter().any(|part| {
            part.system == *system
                && part.collection == *collection
                && part.listed.as_ref().is_some_and(whole)
        })
    }

    /// Whether pushes go by the bulk lane, and creates wait for complete listings.
    pub(crate) fn is_bulk(&self) -> bool {
        self.request.mode == Mode::Migrate
    }
}

/// What happened that a run counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// A record was decided.
    Record,
    /// A push was sent.
    Push,
    /// A push wrote.
    Written,
    /// A push found nothing to write.
    Unchanged,
    /// A push failed for good.
    Failed,
    /// A conflict.
    Conflict,
    /// A record or field was parked.
    Parked,
}

/// The runs of this reconciler.
#[derive(Debug)]
pub(crate) struct Runs {
    bucket: Bucket<Run>,
    open: Mutex<HashMap<RunId, Open>>,
    /// The last run that listed each collection whole.
    whole: Bucket<RunId>,
    listed_whole: Mutex<BTreeMap<String, RunId>>,
    /// Runs of which something is in hand that their records do not show.
    held: Mutex<HashMap<RunId, usize>>,
    /// Wakes whoever sees runs to their end.
    pub(crate) moved: Notify,
}

/// Something of a run is in hand.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    runs: &'a Runs,
    run: Option<RunId>,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let Some(run) = self.run else { return };
        let mut held = self.runs.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&run) {
            *count -= 1;
            if *count == 0 {
                held.remove(&run);
            }
        }
    }
}

#[derive(Debug)]
struct Open {
    run: Run,
    /// Counted since the record was last written.
    counted: RunSummary,
    /// The links that are counted as under way for another run: both their sides may be read, and more than once.
    under_way: HashSet<String>,
}

impl Open {
    fn new(run: Run) -> Self {
        Self { run, counted: RunSummary::default(), under_way: HashSet::new() }
    }
}

impl Runs {
    /// Opens the bucket and takes up the runs that are not ended.
    pub(crate) async fn open(broker: &Broker) -> Result<Self, BucketError> {
        let bucket: Bucket<Run> = broker.bucket(names::RUNS).await?;
        let mut open = HashMap::new();
        bucket
            .each(|key, found| {
                if let (Ok(id), None) = (key.parse(), found.value.ended_at) {
                    open.insert(RunId(id), Open::new(found.value));
                }
            })
            .await?;
        let whole: Bucket<RunId> = broker.bucket(names::LISTED).await?;
        let listed = whole.all().await?.into_iter().map(|(name, run)| (name, run.value)).collect();
        Ok(Self {
            bucket,
            open: Mutex::new(open),
            whole,
            listed_whole: Mutex::new(listed),
            held: Mutex::default(),
            moved: Notify::new(),
        })
    }

    /// The last run that has listed a collection whole, if any ever did.
    pub(crate) fn last_whole(&self, system: &SystemName, collection: &CollectionName) -> Option<RunId> {
        let listed = self.listed_whole.lock().unwrap_or_else(PoisonError::into_inner);
        listed.get(&format!("{system}.{collection}")).copied()
    }

    /// Notes that a run has listed a collection whole, and what it lists is decided.
    pub(crate) async fn note_listed_whole(
        &self,
        run: RunId,
        system: &SystemName,
        collection: &CollectionName,
    ) -> Result<(), BucketError> {
        let name = format!("{system}.{collection}");
        let stored = match self.whole.get(&name).await? {
            Some(found) => self.whole.update(&name, &run, found.revision).await,
            None => self.whole.create(&name, &run).await,
        };
        match stored {
            Ok(_) | Err(BucketError::Moved(_)) => {}
            Err(error) => return Err(error),
        }
        self.listed_whole.lock().unwrap_or_else(PoisonError::into_inner).insert(name, run);
        Ok(())
    }

    /// Keeps a run from ending while the guard lives.
    pub(crate) fn hold(&self, run: Option<RunId>) -> Hold<'_> {
        if let Some(run) = run {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner).entry(run).or_default() += 1;
        }
        Hold { runs: self, run }
    }

    /// Whether something of a run is in hand.
    pub(crate) fn is_held(&self, run: RunId) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&run)
    }

    /// Opens a run; false if it was opened (or ended) before.
    pub(crate) async fn start(&self, id: RunId, run: Run) -> Result<bool, BucketError> {
        match self.bucket.create(&id.to_string(), &run).await {
            Ok(_) => {
                self.lock().insert(id, Open::new(run));
                self.moved.notify_one();
                Ok(true)
            }
            Err(BucketError::Moved(key)) => {
                // An attempt that seemed to fail may have been stored all the same.
                let found = self.bucket.get(&id.to_string()).await?.ok_or(BucketError::Moved(key))?;
                if found.value.ended_at.is_none() {
                    self.lock().entry(id).or_insert(Open::new(found.value));
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// An open run.
    pub(crate) fn get(&self, id: RunId) -> Option<Run> {
        self.lock().get(&id).map(|open| open.run.clone())
    }

    /// Whether a run was opened, be it ended by now or not. One that is being opened at this moment is not known yet.
    pub(crate) async fn is_known(&self, id: RunId) -> Result<bool, BucketError> {
        Ok(self.get(id).is_some() || self.has_ended(id).await? || self.get(id).is_some())
    }

    /// Whether a run was opened and has ended.
    pub(crate) async fn has_ended(&self, id: RunId) -> Result<bool, BucketError> {
        Ok(self.bucket.get(&id.to_string()).await?.is_some_and(|found| found.value.ended_at.is_some()))
    }

    /// The open runs.
    pub(crate) fn open_ids(&self) -> BTreeSet<RunId> {
        self.lock().keys().copied().collect()
    }

    /// Counts; written with the run's next change.
    pub(crate) fn count(&self, id: Option<RunId>, what: Count) {
        let mut open = self.lock();
        let Some(open) = id.and_then(|id| open.get_mut(&id)) else { return };
        add(&mut open.counted, what);
        add(&mut open.run.summary, what);
    }

    /// Counts a link that a run has come upon while its pushes are under way for another one, or for none.
    pub(crate) fn count_under_way(&self, id: RunId, link: &str, other: Option<RunId>) {
        let mut open = self.lock();
        let Some(open) = open.get_mut(&id) else { return };
        if other != Some(id) && open.under_way.insert(link.to_owned()) {
            let one = UnderWay { run: other, records: 1 };
            add_under_way(&mut open.counted, &one);
            add_under_way(&mut open.run.summary, &one);
        }
    }

    /// Changes an open run and writes it. `None` if it is not open.
    pub(crate) async fn change(
        &self,
        id: RunId,
        change: impl Fn(&mut Run),
    ) -> Result<Option<Run>, BucketError> {
        let key = id.to_string();
        loop {
            let Some(found) = self.bucket.get(&key).await? else { return Ok(None) };
            let mut run = found.value;
            if run.ended_at.is_some() {
                self.lock().remove(&id);
                return Ok(None);
            }
            let counted = {
                let mut open = self.lock();
                open.get_mut(&id).map(|open| std::mem::take(&mut open.counted)).unwrap_or_default()
            };
            merge(&mut run.summary, &counted);
            change(&mut run);
            let written = match run.ended_at {
                None => self.bucket.update(&key, &run, found.revision).await,
                Some(_) => self.bucket.update_for(&key, &run, found.revision, KEPT).await,
            };
            match written {
                Ok(_) => {
                    let mut open = self.lock();
                    if run.ended_at.is_some() {
                        open.remove(&id);
                    } else if let Some(known) = open.get_mut(&id) {
                        known.run = run.clone();
                        merge(&mut known.run.summary, &known.counted.clone());
                    } else {
                        open.insert(id, Open::new(run.clone()));
                    }
                    drop(open);
                    self.moved.notify_one();
                    return Ok(Some(run));
                }
                Err(error) => {
                    if let Some(open) = self.lock().get_mut(&id) {
                        merge(&mut open.counted, &counted);
                    }
                    if !matches!(error, BucketError::Moved(_)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(summary: &mut RunSummary, what: Count) {
    let counter = match what {
        Count::Record => &mut summary.records,
        Count::Push => &mut summary.pushes,
        Count::Written => &mut summary.written,
        Count::Unchanged => &mut summary.unchanged,
        Count::Failed => &mut summary.failed,
        Count::Conflict => &mut summary.conflicts,
        Count::Parked => &mut summary.parked,
    };
    *counter += 1;
}

fn merge(into: &mut RunSummary, counted: &RunSummary) {
    into.records += counted.records;
    into.pushes += counted.pushes;
    into.written += counted.written;
    into.unchanged += counted.unchanged;
    into.failed += counted.failed;
    into.conflicts += counted.conflicts;
    into.parked += counted.parked;
    for one in &counted.under_way {
        add_under_way(into, one);
    }
}

fn add_under_way(into: &mut RunSummary, more: &UnderWay) {
    match into.under_way.iter_mut().find(|known| known.run == more.run) {
        Some(known) => known.records += more.records,
        None => into.under_way.push(more.clone()),
    }
}

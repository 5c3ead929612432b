//! What a bridge knows of its system.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use databridge_http::policy::{OnPush, policy};
use databridge_http::{CallError, ErrorClass};
use databridge_model::subject::Lane;
use databridge_model::{
    CollectionName, Failure, Fields, Key, OutcomeResult, Parked, PushId, PushRequest, SystemName,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ContentProvider, NoContents};

/// A record as the system showed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// The system's own id.
    pub id: String,
    /// The value of the key field.
    pub key: Option<Key>,
    /// The id of its parent in the same system, where it has one.
    pub parent: Option<String>,
    /// The system's own edit time in milliseconds since 1970.
    pub revision: Option<i64>,
    /// It is not there (any more): the answer to a question by id.
    pub deleted: bool,
    /// The values in canonical form. A field that could not be read is absent.
    pub fields: Fields,
    /// The push that made it, where the system keeps that.
    pub made_by: Option<String>,
    /// What the bridge wants back with a push.
    pub handle: serde_json::Value,
}

/// What a listing is to cover.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// What changed since this moment, or since the resting place where there is none.
    Changed(Option<DateTime<Utc>>),
    /// Everything.
    Whole,
}

/// How a listing begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Start<P> {
    /// A cheap look showed that nothing changed; this is the new resting place.
    Nothing(P),
    /// The first page is at this place.
    Listing(P),
}

/// One page of a listing.
#[derive(Clone, Debug)]
pub struct Page<P> {
    /// The records.
    pub records: Vec<Shown>,
    /// What comes after.
    pub next: Next<P>,
    /// What a person should know: a field that the system no longer has, a record that cannot be read.
    pub notices: Vec<Parked>,
}

/// What comes after a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<P> {
    /// Another page, at this place.
    More(P),
    /// Nothing; this is the resting place from which the next incremental listing starts.
    End(P),
}

/// One push to be done.
#[derive(Clone, Debug)]
pub struct PushTask {
    /// What to do.
    pub push: PushRequest,
    /// The lane by which it came.
    pub lane: Lane,
    /// It may have been done before: look the record up before writing.
    pub doubtful: bool,
    /// The attempt that makes it doubtful: records that have no match key bear its mark.
    pub earlier: Option<Earlier>,
    /// Asked once more just before the request goes out.
    pub still_mine: StillMine,
}

/// An earlier attempt at a record, of which nobody knows whether it was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    /// The push: this one, or one before it.
    pub push: PushId,
    /// When it was begun, or the first of the others.
    pub begun: DateTime<Utc>,
    /// Pushes before it of which nobody knows either whether they were done.
    pub others: Vec<PushId>,
}

/// Tells whether a push may still be begun by this worker, or belongs to another by now.
#[derive(Clone)]
pub struct StillMine(pub Arc<dyn Fn() -> bool + Send + Sync>);

impl StillMine {
    /// Whether it may be begun now.
    pub fn now(&self) -> bool {
        (self.0)()
    }
}

impl std::fmt::Debug for StillMine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StillMine")
    }
}

/// What came of a push.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It is answered for good.
    Settled {
        /// How.
        result: OutcomeResult,
        /// The record, as far as the system told: its id at least where it has one.
        shown: Option<Shown>,
        /// Fields that the system cannot take, each with the reason; the others were written.
        parked: BTreeMap<String, String>,
        /// Why it failed.
        error: Option<Failure>,
        /// Calls that it cost.
        calls: u32,
    },
    /// Nothing was sent: it waits, which is no attempt.
    NotNow(Wait),
    /// A part of it is done, or may be: the rest waits, which is no attempt. The next one looks up what is there.
    Halfway(Wait),
    /// It failed for the moment; whether it was done is not known. It is looked up before the next attempt.
    Failed(Failure),
}

/// How long a push waits before its next turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// So long.
    pub time: Duration,
    /// Why, where the system cannot be written at the moment: whoever waits is told, with what to do.
    pub why: Option<Failure>,
}

impl From<Duration> for Wait {
    /// A wait for a reason that is nobody's business but the bridge's.
    fn from(time: Duration) -> Self {
        Self { time, why: None }
    }
}

impl Effect {
    /// A settled effect without a record.
    pub fn settled(result: OutcomeResult, calls: u32) -> Self {
        Self::Settled { result, shown: None, parked: BTreeMap::new(), error: None, calls }
    }

    /// A settled effect with the record as shown.
    pub fn shown(result: OutcomeResult, shown: Shown, calls: u32) -> Self {
        Self::Settled { result, shown: Some(shown), parked: BTreeMap::new(), error: None, calls }
    }
}

/// The effect of a call that failed, by the policy of its class.
pub fn effect_of_error(error: &CallError, calls: u32) -> Effect {
    let failure = error.failure();
    match policy(failure.class).push {
        OnPush::LooksUpAndTriesAgain => Effect::Failed(failure),
        OnPush::Waits(time) => {
            let asked = match error.class {
                ErrorClass::Limited(asked) => asked,
                // None is taken before the budget allows it, so this costs nothing.
                ErrorClass::OverBudget => Some(Duration::from_secs(1)),
                _ => None,
            };
            // The call is of no interest to whoever waits: it was not made, or will be made again.
            let why = Failure { message: error.message.clone(), ..failure };
            Effect::NotNow(Wait { time: asked.unwrap_or(time), why: Some(why) })
        }
        OnPush::Ends(result) => {
            Effect::Settled { result, shown: None, parked: BTreeMap::new(), error: Some(failure), calls }
        }
    }
}

/// An outside system, as the runners of this crate see it.
pub trait OutsideSystem: Send + Sync + 'static {
    /// Where a listing stands: a watermark, the last id. Kept in the cursor between runs.
    type Place: Clone + Serialize + DeserializeOwned + Send + Sync;

    /// The system's name.
    fn name(&self) -> &SystemName;

    /// Its collections.
    fn collections(&self) -> Vec<CollectionName>;

    /// Begins a listing. `rested` is where the last complete one left off.
    fn start(
        &self,
        collection: &CollectionName,
        span: &Span,
        rested: Option<&Self::Place>,
    ) -> impl Future<Output = Result<Start<Self::Place>, CallError>> + Send;

    /// One page, of at most `most` records.
    fn page(
        &self,
        collection: &CollectionName,
        place: &Self::Place,
        most: usize,
    ) -> impl Future<Output = Result<Page<Self::Place>, CallError>> + Send;

    /// The place just after a record of the page at `place`. Where a page cannot be entered in its middle, the
    /// page's own place: its records then come again, which does no harm.
    fn place_after(&self, place: &Self::Place, _record: &Shown) -> Self::Place {
        place.clone()
    }

    /// From when on the next incremental listing reads that begins at this resting place, for people; `None` where it
    /// cannot say.
    fn reads_from(&self, _place: &Self::Place) -> Option<DateTime<Utc>> {
        None
    }

    /// These records; one that is not there is given with `deleted`.
    fn by_ids(
        &self,
        collection: &CollectionName,
        ids: &[String],
    ) -> impl Future<Output = Result<Page<()>, CallError>> + Send;

    /// How many pushes may be begun now; waits until it is at least one.
    fn capacity(&self) -> impl Future<Output = usize> + Send;

    /// How many calls a minute it takes, by what it last said of its limit; `None` where it has said nothing.
    fn calls_per_minute(&self) -> Option<u32> {
        None
    }

    /// For how long still it has asked not to be called; `None` where it has not.
    fn closed_for(&self) -> Option<Duration> {
        None
    }

    /// Whether pushes to a collection are best done many at a time (then [`OutsideSystem::apply`] gets as many as came
    /// together).
    fn in_batches(&self, collection: &CollectionName) -> bool;

    /// Whether a push to a collection may take minutes, because it carries a content: then few are done at once, and none
    /// waits for it.
    fn takes_long(&self, _collection: &CollectionName) -> bool {
        false
    }

    /// Does the pushes of one collection and gives one effect for each, in order.
    ///
    /// A doubtful one is looked up first: a create by its key, an update by its id. What shows the wanted values
    /// already is `Unchanged` (an update) or `Exists` (a create); what shows neither them nor `expect` is `Stale`.
    /// A create without `absent_in` is looked up too.
    fn apply(
        &self,
        collection: &CollectionName,
        tasks: Vec<PushTask>,
    ) -> impl Future<Output = Vec<Effect>> + Send;

    /// Who gives the contents of its records, where any of them have contents.
    fn contents(&self) -> Option<impl ContentProvider + use<Self>> {
        None::<NoContents>
    }
}

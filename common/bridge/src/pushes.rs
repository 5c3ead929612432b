//! Answering push requests: intent, effect, outcome, acknowledgement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use databridge_broker::{
    Broker, Bucket, BucketError, Envelope, Inbox, Job, PublishError, TopologyError, consumers, keep_alive,
    names,
};
use databridge_model::subject::{self, Lane};
use databridge_model::{
    CollectionName, Failure, FailureClass, KeyToken, Outcome, OutcomeResult, PushId, PushRequest, SystemName,
};
use databridge_runtime::{CancellationToken, jittered};

use crate::waits::Waits;
use crate::{Applied, Earlier, Effect, Intent, OutsideSystem, PushTask, StillMine};

/// Answers a system's push requests.
#[derive(Debug)]
pub struct Pushes<S> {
    broker: Broker,
    system: Arc<S>,
}

/// After so many attempts a push is given up as `unknown`; its intent stays.
const MOST_ATTEMPTS: u32 = 6;

impl<S: OutsideSystem> Pushes<S> {
    /// Over this connection, for this system.
    pub fn new(broker: Broker, system: Arc<S>) -> Self {
        Self { broker, system }
    }

    /// Works until told to stop; what is under way then is finished.
    pub async fn run(self, stop: CancellationToken) -> Result<(), PushesError> {
        let live = Inbox::open(&self.broker, consumers::pushes(self.system.name(), Lane::Live)).await?;
        let bulk = Inbox::open(&self.broker, consumers::pushes(self.system.name(), Lane::Bulk)).await?;
        let desk = Desk {
            intents: self.broker.bucket(names::INTENTS).await?,
            applied: self.broker.bucket(names::APPLIED).await?,
            worker: self.broker.new_worker_name(),
            system: Arc::clone(&self.system),
            broker: self.broker.clone(),
            waits: Waits::new(self.broker.clone(), self.system.name().clone()),
        };
        let _telling = desk.waits.telling();
        while !stop.is_cancelled() {
            desk.waits.looking();
            let jobs = tokio::select! {
                () = stop.cancelled() => break,
                jobs = next_jobs(self.system.as_ref(), &live, &bulk) => jobs,
            };
            if !jobs.is_empty() {
                desk.deal_with(jobs).await;
            }
        }
        Ok(())
    }
}

/// As many pushes as the system can begin now: live ones first, bulk where none wait.
async fn next_jobs<S: OutsideSystem>(system: &S, live: &Inbox, bulk: &Inbox) -> Vec<Job> {
    let most = system.capacity().await;
    let mut lane = live;
    let mut jobs = live.take_waiting(most).await;
    if jobs.is_empty() {
        lane = bulk;
        jobs = bulk.take_waiting(most).await;
    }
    if jobs.is_empty() {
        lane = live;
        jobs = live.take(most, Duration::from_millis(500), Duration::from_millis(1)).await;
    }
    let comes_with_others =
        |job: &Job| place_of(job.subject()).is_some_and(|it| system.in_batches(&it.collection));
    if jobs.iter().any(comes_with_others) { with_others(lane, jobs, most).await } else { jobs }
}

/// How long others may take that come with a push.
const LINGER: Duration = Duration::from_millis(250);

/// How long the first of them waits at most: well within the time after which it would come again.
const LONGEST_LINGER: Duration = Duration::from_millis(750);

/// These and the others of the same sync, which are on their way: one request takes them all.
async fn with_others(lane: &Inbox, mut jobs: Vec<Job>, most: usize) -> Vec<Job> {
    let began = Instant::now();
    while jobs.len() < most && began.elapsed() < LONGEST_LINGER {
        tokio::time::sleep(LINGER).await;
        let others = lane.take_waiting(most - jobs.len()).await;
        if others.is_empty() {
            break;
        }
        jobs.extend(others);
    }
    jobs
}

/// The pushes cannot be answered at all.
#[derive(Debug, thiserror::Error)]
pub enum PushesError {
    /// A consumer cannot be opened.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A bucket cannot be opened.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// Deals with the pushes of one take.
struct Desk<S> {
    broker: Broker,
    system: Arc<S>,
    intents: Bucket<Intent>,
    applied: Bucket<Applied>,
    waits: Arc<Waits>,
    worker: String,
}

/// A push that may be begun: its message, where it belongs, and its intent.
struct Begun {
    job: Job,
    push: PushRequest,
    id: PushId,
    place: Place,
    intent: Intent,
    intent_revision: u64,
    doubtful: bool,
    earlier: Option<Earlier>,
}

/// Where a record belongs.
#[derive(Clone)]
struct Place {
    system: SystemName,
    collection: CollectionName,
    key: KeyToken,
}

impl Place {
    fn record_key(&self) -> String {
        subject::record_key(&self.system, &self.collection, &self.key)
    }
}

impl<S: OutsideSystem> Desk<S> {
    async fn deal_with(&self, jobs: Vec<Job>) {
        let _keeper = keep_alive(jobs.clone(), self.broker.ack_wait() / 3);
        let mut records = BTreeSet::new();
        let mut alone = Vec::new();
        for job in &jobs {
            // Two pushes of one record in one take (the link's and a person's): one after the other.
            let record = subject::record_parts(job.subject(), 2);
            if record.is_none_or(|record| records.insert(record)) {
                alone.push(job);
            } else {
                job.again_after(Duration::from_millis(200)).await;
            }
        }
        let mut by_collection: BTreeMap<CollectionName, Vec<Begun>> = BTreeMap::new();
        for begun in futures::future::join_all(alone.into_iter().map(|job| self.begin(job)))
            .await
            .into_iter()
            .flatten()
        {
            by_collection.entry(begun.place.collection.clone()).or_default().push(begun);
        }
        for (collection, begun) in by_collection {
            if self.system.in_batches(&collection) {
                self.apply(&collection, begun).await;
            } else {
                let one_by_one = begun.into_iter().map(|one| self.apply(&collection, vec![one]));
                futures::future::join_all(one_by_one).await;
            }
        }
    }

    /// Takes the intent of a push; `None` if the push was answered, given back or buried instead.
    async fn begin(&self, job: &Job) -> Option<Begun> {
        match self.try_to_begin(job).await {
            Ok(begun) => begun,
            Err(error) => {
                tracing::warn!(%error, subject = job.subject(), "A push could not be begun; it comes again.");
                job.again_after(jittered(Duration::from_secs(2))).await;
                None
            }
        }
    }

    async fn try_to_begin(&self, job: &Job) -> Result<Option<Begun>, Trouble> {
        let Some(place) = place_of(job.subject()) else {
            self.bury(job, None, None, "the subject is not push.<lane>.<system>.<collection>.<key>").await?;
            return Ok(None);
        };
        let push: PushRequest = match job.read("a push request") {
            Ok(push) => push,
            Err(error) => {
                self.bury(job, Some(&place), None, &error.to_string()).await?;
                return Ok(None);
            }
        };
        let id = push.push.clone().unwrap_or_else(|| PushId::of_person(job.sequence()));
        if !self.system.collections().contains(&place.collection) {
            let error = format!("{} has no collection `{}`", place.system, place.collection);
            self.bury(job, Some(&place), Some(&id), &error).await?;
            return Ok(None);
        }
        let record = place.record_key();
        if let Some(applied) = self.applied.get(&record).await?
            && let Some(outcome) = applied.value.answer_to(&id)
        {
            self.tell(&place, &push, &outcome).await?;
            if outcome.result != OutcomeResult::Unknown {
                self.drop_intent_of(&record, &id).await?;
            }
            job.done().await;
            return Ok(None);
        }
        let now = self.broker.clock().now();
        let until = now + TimeDelta::from_std(self.broker.ack_wait() * 4 / 5).unwrap_or_default();
        let mut earlier_attempt = None;
        let mut intent =
            Intent { push: id.clone(), begun: now, worker: self.worker.clone(), until, attempts: 1 };
        let (intent_revision, doubtful) = match self.intents.get(&record).await? {
            None => (self.intents.create(&record, &intent).await?, false),
            Some(earlier) if earlier.value.worker != self.worker && earlier.value.until > now => {
                // Another is at it. What it does will be known by then.
                let wait = (earlier.value.until - now).to_std().unwrap_or_default();
                job.again_after(wait + Duration::from_millis(100)).await;
                return Ok(None);
            }
            Some(earlier) => {
                let Intent { push, begun, attempts, .. } = earlier.value;
                if push == id {
                    intent.attempts = attempts + 1;
                    intent.begun = begun;
                }
                earlier_attempt = Some(Earlier { push, begun });
                (self.intents.update(&record, &intent, earlier.revision).await?, true)
            }
        };
        fail::fail_point!("push.after-intent");
        Ok(Some(Begun {
            job: job.clone(),
            push,
            id,
            place,
            intent,
            intent_revision,
            doubtful,
            earlier: earlier_attempt,
        }))
    }

    /// A push that is answered needs no intent any more; a crash may have come before it was taken away.
    async fn drop_intent_of(&self, record: &str, push: &PushId) -> Result<(), Trouble> {
        match self.intents.get(record).await? {
            Some(left) if left.value.push == *push => Ok(self.intents.delete(record, left.revision).await?),
            _ => Ok(()),
        }
    }

    async fn apply(&self, collection: &CollectionName, begun: Vec<Begun>) {
        let worker_stops_at = Instant::now() + self.broker.ack_wait() * 4 / 5;
        let tasks = begun
            .iter()
            .map(|one| {
                let job = one.job.clone();
                PushTask {
                    push: one.push.clone(),
                    doubtful: one.doubtful,
                    earlier: one.earlier.clone(),
                    still_mine: StillMine(Arc::new(move || {
                        !job.is_stale() && Instant::now() < worker_stops_at
                    })),
                }
            })
            .collect();
        let effects = self.system.apply(collection, tasks).await;
        let answered = effects.len();
        for one in begun.iter().skip(answered) {
            tracing::error!(
                subject = one.job.subject(),
                "The bridge gave no effect for a push; it comes again."
            );
            one.job.again_after(Duration::from_secs(5)).await;
        }
        let conclusions = begun.iter().zip(effects).map(|(one, effect)| self.conclude(one, effect));
        futures::future::join_all(conclusions).await;
    }

    async fn conclude(&self, begun: &Begun, effect: Effect) {
        if let Err(error) = self.try_to_conclude(begun, effect).await {
            // The intent is still there: whoever gets the push next looks up what was done.
            tracing::warn!(%error, subject = begun.job.subject(), "A push's outcome could not be stored; it comes again.");
            begun.job.again_after(jittered(Duration::from_secs(2))).await;
        }
    }

    async fn try_to_conclude(&self, begun: &Begun, effect: Effect) -> Result<(), Trouble> {
        let mut outcome = Outcome {
            push: begun.id.clone(),
            result: OutcomeResult::Unknown,
            id: begun.push.target.as_ref().map(|target| target.id.clone()),
            revision: None,
            handle: serde_json::Value::Null,
            shown: databridge_model::Fields::new(),
            parked: BTreeMap::new(),
            error: None,
            calls: 0,
        };
        match effect {
            Effect::NotNow(wait) => {
                // Nothing was sent. A first attempt leaves no intent behind, so the next is not doubtful.
                if begun.doubtful {
                    let intent = Intent { attempts: begun.intent.attempts - 1, ..begun.intent.clone() };
                    self.intents.update(&begun.place.record_key(), &intent, begun.intent_revision).await?;
                } else {
                    self.intents.delete(&begun.place.record_key(), begun.intent_revision).await?;
                }
                if let Some(why) = &wait.why {
                    self.waits.waits(begun.job.sequence(), begun.push.run, why);
                }
                begun.job.again_after(wait.time).await;
                return Ok(());
            }
            Effect::Failed(failure) if begun.intent.attempts < MOST_ATTEMPTS => {
                let wait = jittered(Duration::from_millis(300 << begun.intent.attempts));
                tracing::warn!(
                    error = failure.message,
                    subject = begun.job.subject(),
                    attempt = begun.intent.attempts,
                    "A push failed; it is looked up and tried again."
                );
                self.waits.waits(begun.job.sequence(), begun.push.run, &failure);
                begun.job.again_after(wait).await;
                return Ok(());
            }
            Effect::Failed(failure) => outcome.error = Some(failure),
            Effect::Settled { result, shown, parked, error, calls } => {
                self.waits.answered();
                outcome.result = result;
                outcome.parked = parked;
                outcome.error = error;
                outcome.calls = calls;
                if let Some(shown) = shown {
                    outcome.id = Some(shown.id);
                    outcome.revision = shown.revision;
                    outcome.handle = shown.handle;
                    outcome.shown = shown.fields;
                }
            }
        }
        fail::fail_point!("push.before-outcome");
        self.tell(&begun.place, &begun.push, &outcome).await?;
        fail::fail_point!("push.after-outcome");
        let keep_intent = outcome.result == OutcomeResult::Unknown;
        self.remember(&begun.place, outcome).await?;
        fail::fail_point!("push.after-applied");
        if !keep_intent {
            self.intents.delete(&begun.place.record_key(), begun.intent_revision).await?;
        }
        fail::fail_point!("push.before-ack");
        begun.job.done().await;
        Ok(())
    }

    async fn tell(&self, place: &Place, push: &PushRequest, outcome: &Outcome) -> Result<(), PublishError> {
        let subject = subject::outcome(&place.system, &place.collection, &place.key);
        self.broker.publish(subject, outcome, &Envelope::of_run(push.run)).await.map(drop)
    }

    async fn remember(&self, place: &Place, outcome: Outcome) -> Result<(), BucketError> {
        let record = place.record_key();
        loop {
            let stored = match self.applied.get(&record).await? {
                Some(found) => {
                    let mut applied = found.value;
                    applied.remember(outcome.clone());
                    self.applied.update(&record, &applied, found.revision).await
                }
                None => {
                    let mut applied = Applied::default();
                    applied.remember(outcome.clone());
                    self.applied.create(&record, &applied).await
                }
            };
            match stored {
                Err(BucketError::Moved(_)) => {}
                other => return other.map(drop),
            }
        }
    }

    /// A dead push becomes a dead letter, and has an outcome all the same, so that no link and no run waits for it.
    async fn bury(
        &self,
        job: &Job,
        place: Option<&Place>,
        id: Option<&PushId>,
        error: &str,
    ) -> Result<(), Trouble> {
        tracing::error!(error, subject = job.subject(), "A push is dead; it is kept as a dead letter.");
        job.bury("push", error.to_owned(), Vec::new()).await?;
        if let Some(place) = place {
            let outcome = Outcome {
                push: id.cloned().unwrap_or_else(|| push_id_in(job)),
                result: OutcomeResult::Dead,
                id: None,
                revision: None,
                handle: serde_json::Value::Null,
                shown: databridge_model::Fields::new(),
                parked: BTreeMap::new(),
                error: Some(Failure { class: FailureClass::Invalid, message: error.to_owned(), field: None }),
                calls: 0,
            };
            let subject = subject::outcome(&place.system, &place.collection, &place.key);
            self.broker.publish(subject, &outcome, &Envelope::default()).await?;
        }
        job.done().await;
        Ok(())
    }
}

/// The id in a push whose body cannot be read otherwise, so that its link is told; else its sequence.
fn push_id_in(job: &Job) -> PushId {
    serde_json::from_slice::<serde_json::Value>(job.payload())
        .ok()
        .and_then(|body| PushId::try_from(body.get("push")?.as_str()?.to_owned()).ok())
        .unwrap_or_else(|| PushId::of_person(job.sequence()))
}

fn place_of(subject: &str) -> Option<Place> {
    let (system, collection, key) = subject::record_parts(subject, 2)?;
    Some(Place {
        system: system.parse().ok()?,
        collection: collection.parse().ok()?,
        key: KeyToken::from_subject(key),
    })
}

/// Why a push could not be dealt with at the moment.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

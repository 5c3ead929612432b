//! What becomes of a push: its intent, its effect, its outcome.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use databridge_broker::{
    Broker, Bucket, BucketError, ConsumerPlan, Envelope, Job, PublishError, keep_alive, names,
};
use databridge_http::policy::MOST_ATTEMPTS;
use databridge_http::{Budget, CallError};
use databridge_model::subject::{self, Lane};
use databridge_model::{
    CollectionName, Failure, FailureClass, KeyToken, Outcome, OutcomeResult, PushId, PushRequest, SystemName,
};
use databridge_runtime::{CancellationToken, jittered, pass_failpoint};
use tokio::time::Instant;

use super::long::LONG_ONES_APART;
use super::turn::{Turn, UnderWay};
use crate::content::drop_contents_of;
use crate::waits::Waits;
use crate::{Applied, Earlier, Effect, Intent, OutsideSystem, PushTask, StillMine, Wait};

/// Deals with pushes.
pub(super) struct Desk<S> {
    broker: Broker,
    pub(super) system: Arc<S>,
    pub(super) budget: Budget,
    intents: Bucket<Intent>,
    applied: Bucket<Applied>,
    worker: String,
    under_way: UnderWay,
    pub(super) waits: Arc<Waits>,
}

/// A push that may be begun: its message, where it belongs, and its intent.
struct Begun {
    job: Job,
    push: PushRequest,
    id: PushId,
    place: Place,
    intent: Intent,
    intent_revision: AtomicU64,
    doubtful: bool,
    earlier: Option<Earlier>,
    _turn: Turn,
}

impl Begun {
    fn intent_revision(&self) -> u64 {
        self.intent_revision.load(Ordering::Acquire)
    }
}

/// Where a record belongs.
#[derive(Clone)]
pub(super) struct Place {
    system: SystemName,
    pub(super) collection: CollectionName,
    key: KeyToken,
}

impl Place {
    fn record_key(&self) -> String {
        subject::record_key(&self.system, &self.collection, &self.key)
    }
}

impl<S: OutsideSystem> Desk<S> {
    /// Opens what it keeps.
    pub(super) async fn open(
        broker: Broker,
        system: Arc<S>,
        budget: Budget,
        queues: Vec<ConsumerPlan>,
    ) -> Result<Self, BucketError> {
        Ok(Self {
            waits: Waits::new(broker.clone(), system.name().clone(), queues),
            intents: broker.bucket(names::INTENTS).await?,
            applied: broker.bucket(names::APPLIED).await?,
            worker: broker.new_worker_name(),
            system,
            budget,
            broker,
            under_way: UnderWay::default(),
        })
    }

    /// Whether a push may take minutes.
    pub(super) fn takes_long(&self, job: &Job) -> bool {
        place_of(job.subject()).is_some_and(|place| self.system.takes_long(&place.collection))
    }

    /// Puts a push that may take minutes where those wait that do; `false` if it cannot be read, which is dealt with at
    /// once.
    pub(super) async fn set_aside(&self, job: &Job) -> bool {
        let place = place_of(job.subject());
        let (Some(place), Some(lane), Ok(push)) =
            (place, Lane::of_push(job.subject()), job.read::<PushRequest>("a push request"))
        else {
            return false;
        };
        // A person's push goes by the sequence that it has here.
        let id = push.push.clone().unwrap_or_else(|| PushId::of_person(job.sequence()));
        let body = serde_json::to_vec(&PushRequest { push: Some(id), ..push }).unwrap_or_default();
        let subject = subject::long_push(lane, &place.system, &place.collection, &place.key);
        match job.store_as(subject, body.into()).await {
            Ok(_) => {
                fail::fail_point!("push.after-set-aside");
                job.done().await;
            }
            Err(error) => {
                tracing::warn!(%error, subject = job.subject(), "A push could not be set aside; it comes again.");
                job.again_after(jittered(Duration::from_secs(2))).await;
            }
        }
        true
    }

    /// The pushes of one take.
    pub(super) async fn deal_with(self: Arc<Self>, jobs: Vec<Job>) {
        let _keeper = keep_alive(jobs.clone(), self.broker.ack_wait() / 3);
        let begun = futures::future::join_all(jobs.iter().map(|job| self.begin(job))).await;
        let mut by_collection: BTreeMap<CollectionName, Vec<Begun>> = BTreeMap::new();
        for begun in begun.into_iter().flatten() {
            by_collection.entry(begun.place.collection.clone()).or_default().push(begun);
        }
        let collections = by_collection.into_iter().map(|(name, begun)| self.apply_all(name, begun));
        futures::future::join_all(collections).await;
    }

    /// The pushes of one collection, in one batch or side by side.
    async fn apply_all(&self, collection: CollectionName, begun: Vec<Begun>) {
        if self.system.in_batches(&collection) {
            self.apply(&collection, begun).await;
        } else {
            let one_by_one = begun.into_iter().map(|one| self.apply(&collection, vec![one]));
            futures::future::join_all(one_by_one).await;
        }
    }

    /// Takes the intent of a push; `None` if the push was answered, given back or buried instead.
    async fn begin(&self, job: &Job) -> Option<Begun> {
        let Some(turn) = self.under_way.turn(job.subject()) else {
            // Two pushes of one record (the link's and a person's): one after the other.
            let wait = if self.takes_long(job) { LONG_ONES_APART } else { Duration::from_millis(200) };
            job.again_after(wait).await;
            return None;
        };
        match self.try_to_begin(job, turn).await {
            Ok(begun) => begun,
            Err(error) => {
                tracing::warn!(%error, subject = job.subject(), "A push could not be begun; it comes again.");
                job.again_after(jittered(Duration::from_secs(2))).await;
                None
            }
        }
    }

    async fn try_to_begin(&self, job: &Job, turn: Turn) -> Result<Option<Begun>, Trouble> {
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
            self.drop_contents(&push).await?;
            if outcome.result != OutcomeResult::Unknown {
                self.drop_intent_of(&record, &id).await?;
            }
            job.done().await;
            return Ok(None);
        }
        let now = self.broker.clock().now();
        let mut earlier_attempt = None;
        let mut intent = Intent {
            push: id.clone(),
            begun: now,
            worker: self.worker.clone(),
            until: now + self.lease(),
            attempts: 1,
            others: Vec::new(),
        };
        let (intent_revision, doubtful) = match self.intents.get(&record).await? {
            None => (self.intents.create(&record, &intent).await?, false),
            Some(earlier) if earlier.value.worker != self.worker && earlier.value.until > now => {
                // Another is at it. What it does will be known by then.
                let wait = (earlier.value.until - now).to_std().unwrap_or_default();
                job.again_after(wait + Duration::from_millis(100)).await;
                return Ok(None);
            }
            Some(earlier) => {
                let Intent { push, begun, attempts, mut others, .. } = earlier.value;
                // Until it is looked up, what was in doubt stays so, whatever becomes of this attempt.
                intent.begun = begun;
                if push == id {
                    intent.attempts = attempts + 1;
                    intent.others.clone_from(&others);
                } else {
                    intent.others = others.iter().chain([&push]).filter(|it| **it != id).cloned().collect();
                }
                others.retain(|other| *other != push);
                earlier_attempt = Some(Earlier { push, begun, others });
                (self.intents.update(&record, &intent, earlier.revision).await?, true)
            }
        };
        pass_failpoint("push.after-intent", &place.collection);
        Ok(Some(Begun {
            job: job.clone(),
            push,
            id,
            place,
            intent,
            intent_revision: AtomicU64::new(intent_revision),
            doubtful,
            earlier: earlier_attempt,
            _turn: turn,
        }))
    }

    /// A push that is answered needs no intent any more; a crash may have come before it was taken away.
    async fn drop_intent_of(&self, record: &str, push: &PushId) -> Result<(), Trouble> {
        match self.intents.get(record).await? {
            Some(left) if left.value.push == *push => Ok(self.intents.delete(record, left.revision).await?),
            _ => Ok(()),
        }
    }

    /// For how long a worker may begin something under an intent, once taken or renewed: until the broker gives the message
    /// to another, and a little less.
    fn lease(&self) -> TimeDelta {
        TimeDelta::from_std(self.broker.ack_wait() * 4 / 5).unwrap_or_default()
    }

    async fn apply(&self, collection: &CollectionName, begun: Vec<Begun>) {
        let lease = self.broker.ack_wait() * 4 / 5;
        let ends_at = Arc::new(Mutex::new(Instant::now() + lease));
        let tasks = begun
            .iter()
            .map(|one| {
                let (job, ends_at) = (one.job.clone(), Arc::clone(&ends_at));
                PushTask {
                    push: PushRequest { push: Some(one.id.clone()), ..one.push.clone() },
                    lane: Lane::of_push(one.job.subject()).unwrap_or(Lane::Live),
                    doubtful: one.doubtful,
                    earlier: one.earlier.clone(),
                    still_mine: StillMine(Arc::new(move || {
                        let ends_at = *ends_at.lock().unwrap_or_else(PoisonError::into_inner);
                        !job.is_stale() && Instant::now() < ends_at
                    })),
                }
            })
            .collect();
        let done = CancellationToken::new();
        let working = async {
            let effects = self.system.apply(collection, tasks).await;
            done.cancel();
            effects
        };
        let renewing = async {
            // What is done soon costs nothing.
            while done.run_until_cancelled(tokio::time::sleep(lease / 2)).await.is_some() {
                let renewed_at = Instant::now();
                if !self.renew(&begun).await {
                    break;
                }
                *ends_at.lock().unwrap_or_else(PoisonError::into_inner) = renewed_at + lease;
            }
        };
        let (effects, ()) = tokio::join!(working, renewing);
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

    /// Holds on to the intents of pushes that last; `false` if another has one of them.
    async fn renew(&self, begun: &[Begun]) -> bool {
        for one in begun.iter().filter(|one| !one.job.is_stale()) {
            let until = self.broker.clock().now() + self.lease();
            let intent = Intent { until, ..one.intent.clone() };
            let renewed = self.intents.update(&one.place.record_key(), &intent, one.intent_revision()).await;
            match renewed {
                Ok(revision) => one.intent_revision.store(revision, Ordering::Release),
                Err(error) => {
                    let subject = one.job.subject();
                    tracing::warn!(%error, subject, "A push lasts, and its intent could not be renewed.");
                    return false;
                }
            }
        }
        true
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
            // Nothing was sent. A first attempt leaves no intent behind, so the next is not doubtful.
            Effect::NotNow(wait) if !begun.doubtful => {
                self.intents.delete(&begun.place.record_key(), begun.intent_revision()).await?;
                self.let_wait(begun, &wait).await;
                return Ok(());
            }
            Effect::NotNow(wait) | Effect::Halfway(wait) => {
                let attempts = begun.intent.attempts.saturating_sub(1);
                let intent = Intent { attempts, ..begun.intent.clone() };
                self.intents.update(&begun.place.record_key(), &intent, begun.intent_revision()).await?;
                self.let_wait(begun, &wait).await;
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
                self.waits.waits(begun.job.sequence(), begun.push.run, &failure, wait);
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
        pass_failpoint("push.before-outcome", &begun.place.collection);
        self.tell(&begun.place, &begun.push, &outcome).await?;
        pass_failpoint("push.after-outcome", &begun.place.collection);
        let keep_intent = outcome.result == OutcomeResult::Unknown;
        self.remember(&begun.place, outcome).await?;
        pass_failpoint("push.after-applied", &begun.place.collection);
        self.drop_contents(&begun.push).await?;
        if !keep_intent {
            self.intents.delete(&begun.place.record_key(), begun.intent_revision()).await?;
        }
        pass_failpoint("push.before-ack", &begun.place.collection);
        begun.job.done().await;
        Ok(())
    }

    /// Gives a push back for a while.
    async fn let_wait(&self, begun: &Begun, wait: &Wait) {
        if let Some(why) = &wait.why {
            self.waits.waits(begun.job.sequence(), begun.push.run, why, wait.time);
        }
        begun.job.again_after(wait.time).await;
    }

    async fn tell(&self, place: &Place, push: &PushRequest, outcome: &Outcome) -> Result<(), PublishError> {
        let subject = subject::outcome(&place.system, &place.collection, &place.key);
        self.broker.publish(subject, outcome, &Envelope::of_run(push.run)).await.map(drop)
    }

    /// The content that a push was to write is not needed once it is answered.
    async fn drop_contents(&self, push: &PushRequest) -> Result<(), Trouble> {
        match &push.source {
            Some(source) => Ok(drop_contents_of(&self.broker, source).await?),
            None => Ok(()),
        }
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

/// Where the record of a push belongs.
pub(super) fn place_of(subject: &str) -> Option<Place> {
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
    #[error("the push's content could not be deleted: {0}")]
    Content(#[from] CallError),
}

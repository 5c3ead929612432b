//! The budget of a system's calls, counted in the broker for all replicas of its bridge.

use chrono::NaiveDate;
use databridge_broker::{Broker, Bucket, BucketError, Envelope, names};
use databridge_http::{Budget, CallError, DayCount, ErrorClass, Ledger, LedgerError, Taken};
use databridge_model::{RunId, SystemName, Waiting, subject};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::waits::{LOOKED_APART, TOLD_APART};

/// The budget of a system, as the setting `<SYSTEM>_CALLS_PER_DAY` says; none where it says nothing.
pub async fn budget_of(
    broker: &Broker,
    system: &SystemName,
    per_day: Option<u32>,
) -> Result<Budget, BucketError> {
    let Some(per_day) = per_day else { return Ok(Budget::none()) };
    let setting = format!("{}_CALLS_PER_DAY", system.as_str().to_uppercase().replace('-', "_"));
    let bucket = broker.bucket(names::BUDGETS).await?;
    let ledger = BucketLedger { bucket, system: system.to_string(), worker: broker.new_worker_name() };
    Ok(Budget::new(per_day, setting, broker.clock().clone(), ledger))
}

/// What the bucket `budgets` keeps under the name of a system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptCount {
    /// The count.
    #[serde(flatten)]
    pub count: DayCount,
    /// The worker that wrote it, so that none takes another's count for its own.
    pub by: String,
}

#[derive(Debug)]
struct BucketLedger {
    bucket: Bucket<KeptCount>,
    system: String,
    worker: String,
}

impl BucketLedger {
    fn mine(&self, count: DayCount) -> KeptCount {
        KeptCount { count, by: self.worker.clone() }
    }

    async fn taken(&self, day: NaiveDate, wanted: u32, per_day: u32) -> Result<Taken, BucketError> {
        loop {
            let kept = self.bucket.get(&self.system).await?;
            let before = kept.as_ref().map(|kept| kept.value.count);
            let (count, taken) = DayCount::take(before, day, wanted, per_day);
            let written = match &kept {
                Some(_) if taken.calls == 0 => return Ok(taken),
                Some(kept) => self.bucket.update(&self.system, &self.mine(count), kept.revision).await,
                None => self.bucket.create(&self.system, &self.mine(count)).await,
            };
            match written {
                Err(BucketError::Moved(_)) => {}
                written => return written.map(|_| taken),
            }
        }
    }

    async fn given_back(&self, day: NaiveDate, calls: u32) -> Result<(), BucketError> {
        loop {
            let Some(kept) = self.bucket.get(&self.system).await? else { return Ok(()) };
            let count = self.mine(kept.value.count.without(day, calls));
            match self.bucket.update(&self.system, &count, kept.revision).await {
                Err(BucketError::Moved(_)) => {}
                written => return written.map(drop),
            }
        }
    }
}

impl Ledger for BucketLedger {
    fn take(&self, day: NaiveDate, wanted: u32, per_day: u32) -> BoxFuture<'_, Result<Taken, LedgerError>> {
        self.taken(day, wanted, per_day)
            .map(|taken| taken.map_err(|error| LedgerError(error.to_string())))
            .boxed()
    }

    fn give_back(&self, day: NaiveDate, calls: u32) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.given_back(day, calls).map(|given| given.map_err(|error| LedgerError(error.to_string()))).boxed()
    }
}

/// Whether a call was not made because the budget was used up: it is made once that is open again.
pub(crate) async fn is_for_the_budget(budget: &Budget, error: &CallError) -> bool {
    error.class == ErrorClass::OverBudget && budget.closed().await.is_some()
}

/// Waits until a system's budget allows calls, and tells the run that waits for them.
pub(crate) async fn until_open(budget: &Budget, broker: &Broker, system: &SystemName, run: Option<RunId>) {
    let mut told: Option<Instant> = None;
    while let Some(closed) = budget.closed().await {
        if let Some(run) = run.filter(|_| told.is_none_or(|at| at.elapsed() >= TOLD_APART)) {
            told = Some(Instant::now());
            let reason = format!("{}; it goes on by itself", closed.why);
            let event = Waiting { system: system.clone(), pushes: 0, reason };
            let envelope = Envelope::of_run(Some(run));
            if let Err(error) = broker.publish(subject::run(run, "waiting"), &event, &envelope).await {
                tracing::debug!(%error, "It could not be told that a run waits.");
            }
        }
        tokio::time::sleep(LOOKED_APART).await;
    }
}

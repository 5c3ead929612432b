//! A system that is not to be called for long, because it has asked for that or its budget is used up: what was to be
//! read of it waits in its queue.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use databridge_broker::Envelope;
use databridge_http::policy::ORDINARY_LIMIT;
use databridge_http::{CallError, Closed, ErrorClass};
use databridge_model::{RunId, Waiting, subject};

use super::Part;
use super::trouble::Trouble;
use crate::OutsideSystem;
use crate::waits::{TOLD_APART, for_how_long};

/// How often it is looked whether the system has asked for it.
const LOOKED_APART: Duration = Duration::from_millis(250);

/// How long a request waits in its queue each time.
pub(super) const ASKED_APART: Duration = Duration::from_secs(10);

/// When each run was last told that it waits.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeMap<RunId, Instant>>);

impl Told {
    /// Whether a run is to be told now; then it counts as told.
    fn is_due(&self, run: RunId) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| at.elapsed() < TOLD_APART);
        let is_due = !told.contains_key(&run);
        told.entry(run).or_insert_with(Instant::now);
        is_due
    }
}

impl<S: OutsideSystem> Part<'_, S> {
    /// What the system answers. Where it asks for more patience than an ordinary limit takes, or its budget is used up, the
    /// request goes back to its queue: there it outlives this process, and holds up no stop.
    pub(super) async fn unless_resting<T>(
        &self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<Result<T, CallError>, Trouble> {
        let call = Box::pin(call);
        let budget = &self.pulls.budget;
        if let Some(closed) = budget.closed().await {
            return self.over_budget(closed).await;
        }
        let done = tokio::select! {
            biased;
            rest = self.rest_begins() => {
                let time = for_how_long(rest);
                self.tell_of(format!("{} has asked for no calls{time}", self.pulls.system.name())).await?;
                return Err(Trouble::Resting);
            }
            done = call => done,
        };
        match (&done, budget.closed().await) {
            (Err(error), Some(closed)) if error.class == ErrorClass::OverBudget => {
                self.over_budget(closed).await
            }
            _ => Ok(done),
        }
    }

    /// What has no cursor would begin anew each day, and leave nothing for anything else: it breaks off.
    async fn over_budget<T>(&self, closed: Closed) -> Result<Result<T, CallError>, Trouble> {
        if self.request.ids.is_empty() && !self.moves_a_cursor() {
            let call = format!("listing of {}", self.collection);
            return Ok(Err(CallError { class: ErrorClass::OverBudget, call, message: closed.why }));
        }
        self.tell_of(closed.why).await?;
        Err(Trouble::Resting)
    }

    async fn rest_begins(&self) -> Duration {
        loop {
            if let Some(rest) = self.pulls.system.closed_for().filter(|rest| *rest >= ORDINARY_LIMIT) {
                return rest;
            }
            tokio::time::sleep(LOOKED_APART).await;
        }
    }

    async fn tell_of(&self, why: String) -> Result<(), Trouble> {
        if !self.pulls.told.is_due(self.run) {
            return Ok(());
        }
        let system = self.pulls.system.name().clone();
        let reason = format!("{why}; it goes on by itself");
        tracing::warn!(%system, collection = %self.collection, reason, "A listing waits.");
        let event = Waiting { system, pushes: 0, reason };
        let envelope = Envelope::of_run(Some(self.run));
        self.pulls.broker.publish(subject::run(self.run, "waiting"), &event, &envelope).await?;
        Ok(())
    }
}

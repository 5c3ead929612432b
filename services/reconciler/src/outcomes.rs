//! Taking in outcomes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use databridge_broker::{BucketError, Handler, Job, Verdict};
use databridge_config::{RouteKind, Side};
use databridge_model::{Op, Outcome, OutcomeResult, ReadAfter, RunId, subject};

use crate::conclude::conclude;
use crate::engine::{Engine, Trouble};
use crate::others::Told;
use crate::plan::RoutePlan;
use crate::runs::Count;

/// Deals with `outcome.>`.
#[derive(Debug)]
pub(crate) struct Outcomes {
    /// The engine.
    pub(crate) engine: Arc<Engine>,
    /// When the stream was made.
    pub(crate) stream_created: DateTime<Utc>,
}

impl Handler for Outcomes {
    fn stage(&self) -> &'static str {
        "outcome"
    }

    fn lane(&self, job: &Job) -> String {
        job.subject().rsplit('.').next().unwrap_or_default().to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        let outcome: Outcome = match job.read("an outcome") {
            Ok(outcome) => outcome,
            Err(error) => return Verdict::Dead(error.to_string()),
        };
        loop {
            match self.take_in(&outcome, job).await {
                Ok(()) => return Verdict::Done,
                Err(Trouble::Bucket(BucketError::Moved(_))) => {}
                Err(error) => return Verdict::Retry(error.to_string()),
            }
        }
    }

    async fn rested(&self) {
        self.engine.ask_for_rereads().await;
        self.engine.runs.moved.notify_one();
    }
}

impl Outcomes {
    async fn take_in(&self, outcome: &Outcome, job: &Job) -> Result<(), Trouble> {
        if outcome.push.is_of_person() {
            // It touches no base: the next pull shows it as that side's edit.
            return Ok(());
        }
        let engine = &self.engine;
        let name = outcome.push.link.as_str();
        let lock = engine.links.lock(name).await;
        let Some(found) = engine.links.get(name).await? else {
            tracing::warn!(link = name, "An outcome names a link that is not there; it is left aside.");
            return Ok(());
        };
        let mut link = found.value;
        let plan = engine.plans.iter().find(|plan| *plan.name() == link.route);
        let side = subject::record_parts(job.subject(), 1).and_then(|(system, collection, _)| {
            plan?.side_of(&system.parse().ok()?, &collection.parse().ok()?)
        });
        let (Some(plan), Some(side)) = (plan, side) else {
            tracing::warn!(link = name, "No route of the config has this outcome's link; it is left aside.");
            return Ok(());
        };
        let answered = link.side(side).outstanding.clone();
        let at = ReadAfter { sequence: job.sequence(), stream_created: self.stream_created };
        let now = engine.broker.clock().now();
        let Some(told) = conclude(plan, side, &mut link, outcome, at, now) else {
            // A copy of an outcome that is known. What came of it is sent again, which is safe: it may have failed.
            engine.send_again(plan, &link).await?;
            drop(lock);
            let run = Side::BOTH.into_iter().find_map(|side| link.side(side).seen_in);
            return self.release(plan, name, run.filter(|run| engine.runs.get(*run).is_some())).await;
        };
        let Some(answered) = answered else { return Ok(()) };
        let passes = answered.push.op == Op::Create && outcome.result != OutcomeResult::Unknown;
        let run = answered.push.run;
        let _hold = engine.runs.hold(run);
        self.count(run, outcome);
        let reread = link.to_reread(side);
        if !reread.is_empty() {
            // Wanted first: between the two the run must not seem to be at its end.
            engine.want_reread(plan, side, run, reread);
            engine.links.save(name, &link, Some(found.revision)).await?;
        } else if link.due {
            engine.links.save(name, &link, Some(found.revision)).await?;
        } else {
            engine.decide_and_save(plan, name, link.clone(), Some(found.revision), run).await?;
        }
        fail::fail_point!("reconciler.after-outcome");
        drop(lock);
        self.release(plan, name, run).await?;
        if passes {
            engine.pass_turn(plan, name, run).await?;
        }
        let (system, collection) = (plan.system(side), plan.collection_name(side));
        let shown = Told { system, collection, outcome, answered: &answered, at };
        engine.tell_others(name, &shown, run).await?;
        for parked in told {
            engine.tell_parked(run, &parked).await?;
        }
        Ok(())
    }

    /// A record of a parent route may be what others waited for.
    async fn release(&self, plan: &RoutePlan, name: &str, run: Option<RunId>) -> Result<(), Trouble> {
        match plan.kind() {
            RouteKind::Mirror => self.engine.release_below(name, run).await,
            _ => Ok(()),
        }
    }

    fn count(&self, run: Option<RunId>, outcome: &Outcome) {
        let what = match outcome.result {
            OutcomeResult::Written => Count::Written,
            OutcomeResult::Unchanged | OutcomeResult::Exists | OutcomeResult::Stale => Count::Unchanged,
            _ => Count::Failed,
        };
        self.engine.runs.count(run, what);
    }
}

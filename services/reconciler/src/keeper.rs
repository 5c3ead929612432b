//! Seeing runs to their end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use databridge_broker::{BucketError, Handler, Inbox, Job, Verdict, names};
use databridge_config::Side;
use databridge_model::{Listed, RunId, RunSummary};
use databridge_runtime::CancellationToken;

use crate::engine::{Engine, Trouble};
use crate::pulls::drop_unseen_rivals;
use crate::runs::Run;

/// Deals with `run.*.listed`: a bridge has pulled its part.
#[derive(Debug)]
pub(crate) struct Listings(pub(crate) Arc<Engine>);

impl Handler for Listings {
    fn stage(&self) -> &'static str {
        "run"
    }

    fn lane(&self, _job: &Job) -> String {
        "listings".to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        let id = job.subject().split('.').nth(1).and_then(|token| token.parse().ok()).map(RunId);
        let listed: Listed = match (id, job.read("a listing's end")) {
            (Some(_), Ok(listed)) => listed,
            (None, _) => return Verdict::Dead("the subject names no run: run.<number>.listed".to_owned()),
            (_, Err(error)) => return Verdict::Dead(error.to_string()),
        };
        match self.note(id.unwrap_or(RunId(0)), &listed).await {
            Ok(()) => Verdict::Done,
            Err(error) => Verdict::Retry(error.to_string()),
        }
    }
}

impl Listings {
    async fn note(&self, id: RunId, listed: &Listed) -> Result<(), Trouble> {
        let noted = self
            .0
            .runs
            .change(id, |run| {
                let part = run.parts.iter_mut().find(|part| {
                    part.request == listed.request
                        && part.system == listed.system
                        && part.collection == listed.collection
                });
                if let Some(part) = part.filter(|part| part.listed.is_none()) {
                    part.listed = Some(listed.clone());
                    if let Some(error) = &listed.error {
                        run.summary
                            .errors
                            .push(format!("{}.{}: {}", listed.system, listed.collection, error.message));
                    }
                }
            })
            .await?;
        match noted {
            Some(run)
                if listed.request != id.0 && run.parts.iter().any(|part| part.request == listed.request) =>
            {
                self.0.forget_request(listed.request).await;
            }
            // The run is over, or the request came with the number of none.
            None if listed.request != id.0 => self.0.forget_request(listed.request).await,
            _ => {}
        }
        Ok(())
    }
}

/// Looks after the open runs until told to stop.
pub(crate) async fn keep(engine: Arc<Engine>, pulls: Inbox, stop: CancellationToken) {
    let mut told = HashMap::new();
    while !stop.is_cancelled() {
        tell_progress(&engine, &mut told).await;
        let mut wait = Duration::from_secs(30);
        for id in engine.runs.open_ids() {
            wait = Duration::from_millis(100);
            if let Err(error) = see_to(&engine, &pulls, id).await {
                tracing::warn!(%error, run = %id, "A run could not be looked after; trying again.");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = engine.runs.moved.notified() => tokio::time::sleep(Duration::from_millis(20)).await,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// What was last told of each open run, and when.
type Told = HashMap<RunId, (Instant, RunSummary)>;

/// Publishes the counts of the open runs, where they changed, every two seconds.
async fn tell_progress(engine: &Engine, told: &mut Told) {
    let open = engine.runs.open_ids();
    told.retain(|id, _| open.contains(id));
    for id in open {
        let Some(run) = engine.runs.get(id) else { continue };
        let (at, last) = told.entry(id).or_insert_with(|| (Instant::now(), run.summary.clone()));
        if at.elapsed() < Duration::from_secs(2) || *last == run.summary {
            continue;
        }
        (*at, *last) = (Instant::now(), run.summary.clone());
        if let Err(error) = engine.publish_event(id, "progress", &run.summary).await {
            tracing::debug!(%error, run = %id, "A run's progress could not be told.");
        }
    }
}

/// Moves a run on if it can: to deciding its creates when the listings are in, to its end when all is answered.
async fn see_to(engine: &Engine, pulls: &Inbox, id: RunId) -> Result<(), Trouble> {
    engine.ask_for_rereads().await;
    let Some(run) = engine.runs.get(id) else { return Ok(()) };
    if !run.is_listed() || engine.has_rereads(id) || !partners_are_asked(engine, &run) {
        return Ok(());
    }
    if run.pull_last() > 0 {
        let settled = match pulls.settled_up_to().await {
            Ok(settled) => settled,
            Err(error) => {
                tracing::debug!(%error, "How far the pulls are decided is not known at the moment.");
                return Ok(());
            }
        };
        if settled < run.pull_last() {
            return Ok(());
        }
    }
    if !run.listings_decided {
        return decide_listings(engine, id, &run).await;
    }
    let waits = |facts: &crate::links::Facts| facts.under_way.contains(&Some(id)) || facts.awaits == Some(id);
    if engine.links.any_open(waits) {
        return Ok(());
    }
    // Once more after the links: a part may have been added meanwhile.
    let still = engine.runs.get(id).is_some_and(|now| now.is_listed() && now.pull_last() == run.pull_last());
    if still && !engine.has_rereads(id) { end(engine, id).await } else { Ok(()) }
}

/// A migrate's other sides are parts of it before anything of it is decided.
fn partners_are_asked(engine: &Engine, run: &Run) -> bool {
    !run.is_bulk()
        || engine.plans.iter().all(|plan| {
            let asked = |side: &Side| run.asks_whole(plan.system(*side), plan.collection_name(*side));
            let sides = Side::BOTH.iter().filter(|side| asked(side)).count();
            sides != 1
        })
}

/// The complete listings are in and decided: what they lack may be made.
async fn decide_listings(engine: &Engine, id: RunId, run: &Run) -> Result<(), Trouble> {
    engine.runs.change(id, |run| run.listings_decided = true).await?;
    for plan in &engine.plans {
        for side in Side::BOTH {
            if run.has_whole(plan.system(side), plan.collection_name(side)) {
                drop_unseen_rivals(engine, plan.name(), side, id).await?;
            }
        }
    }
    for (name, facts) in engine.links.open_ones() {
        if facts.awaits == Some(id) {
            decide_awaiting(engine, id, &name).await?;
        }
    }
    Ok(())
}

async fn decide_awaiting(engine: &Engine, id: RunId, name: &str) -> Result<(), Trouble> {
    loop {
        let _lock = engine.links.lock(name).await;
        let Some(found) = engine.links.get(name).await? else { return Ok(()) };
        let mut link = found.value;
        let Some(plan) = engine.plans.iter().find(|plan| *plan.name() == link.route) else { return Ok(()) };
        link.awaits_listing = None;
        let listed = Side::BOTH.into_iter().filter(|side| plan.route.side(*side).create).all(|side| {
            engine
                .runs
                .get(id)
                .is_some_and(|run| run.has_whole(plan.system(side), plan.collection_name(side)))
        });
        let saved = if listed {
            engine.decide_and_save(plan, name, link, Some(found.revision), Some(id)).await
        } else {
            // Without the complete listing nothing is made; the next run looks again.
            link.due = true;
            engine.links.save(name, &link, Some(found.revision)).await.map_err(Trouble::from)
        };
        match saved {
            Err(Trouble::Bucket(BucketError::Moved(_))) => {}
            other => return other,
        }
    }
}

async fn end(engine: &Engine, id: RunId) -> Result<(), Trouble> {
    let now = engine.broker.clock().now();
    // Told first: a crash in between tells it twice, and never not at all.
    let Some(run) = engine.runs.change(id, |_| {}).await? else { return Ok(()) };
    engine.publish_event(id, "ended", &run.summary).await?;
    fail::fail_point!("reconciler.before-run-ended");
    engine.runs.change(id, |run| run.ended_at = Some(now)).await?;
    engine.forget_request(id.0).await;
    tracing::info!(
        run = %id,
        records = run.summary.records,
        pushes = run.summary.pushes,
        written = run.summary.written,
        errors = run.summary.errors.len(),
        "A run has ended."
    );
    Ok(())
}

impl Engine {
    /// Takes a request that is dealt with out of the stream.
    pub(crate) async fn forget_request(&self, sequence: u64) {
        let Ok(stream) = self.broker.jetstream().get_stream_no_info(names::SYNC).await else { return };
        if let Err(error) = stream.delete_message(sequence).await {
            tracing::debug!(%error, sequence, "A sync request is gone already.");
        }
    }
}

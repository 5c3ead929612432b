//! Seeing runs to their end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use databridge_broker::{BucketError, Handler, Inbox, Job, Verdict};
use databridge_config::{RouteKind, Side};
use databridge_model::{Listed, RunId, RunSummary};
use databridge_runtime::CancellationToken;

use crate::engine::{Engine, Trouble};
use crate::links::Open;
use crate::missing;
use crate::pulls::RUN_OPENS;
use crate::rivals::drop_unseen_rivals;
use crate::runs::Run;
use crate::spent;

/// Deals with `run.*.listed`: a bridge has pulled its part.
#[derive(Debug)]
pub(crate) struct Listings(pub(crate) Arc<Engine>);

impl Handler for Listings {
    fn stage(&self) -> &'static str {
        "run"
    }

    fn lane(&self, job: &Job) -> String {
        job.subject().to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        let id = job.subject().split('.').nth(1).and_then(|token| token.parse().ok()).map(RunId);
        let listed: Listed = match (id, job.read("a listing's end")) {
            (Some(_), Ok(listed)) => listed,
            (None, _) => return Verdict::Dead("the subject names no run: run.<number>.listed".to_owned()),
            (_, Err(error)) => return Verdict::Dead(error.to_string()),
        };
        let id = id.unwrap_or(RunId(0));
        match self.may_be_noted(id, &listed).await {
            Ok(true) => {}
            Ok(false) => return Verdict::Later(RUN_OPENS),
            Err(error) => return Verdict::Retry(error.to_string()),
        }
        match self.note(id, &listed).await {
            Ok(()) => Verdict::Done,
            Err(error) => Verdict::Retry(error.to_string()),
        }
    }
}

impl Listings {
    /// Not before the request that it answers is taken up: its part of the run would wait for it for ever.
    async fn may_be_noted(&self, id: RunId, listed: &Listed) -> Result<bool, Trouble> {
        let engine = &self.0;
        if engine.is_to_be_opened(id).await? {
            return Ok(false);
        }
        let Some(run) = engine.runs.get(id) else { return Ok(true) };
        let is_part = run.parts.iter().any(|part| part.is_answered_by(listed));
        Ok(is_part || !spent::holds(&engine.broker, listed.request).await?)
    }

    /// Notes what a bridge has answered.
    pub(crate) async fn note(&self, id: RunId, listed: &Listed) -> Result<(), Trouble> {
        let noted = self
            .0
            .runs
            .change(id, |run| {
                let part = run.parts.iter_mut().find(|part| part.is_answered_by(listed));
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
        fail::fail_point!("reconciler.after-listed");
        match noted {
            Some(run) if listed.request != id.0 && run.has_answer_to(listed.request) => {
                self.0.spent.add(listed.request);
            }
            // The run is over, or the request came with the number of none.
            None if listed.request != id.0 => self.0.spent.add(listed.request),
            _ => {}
        }
        Ok(())
    }
}

/// Looks after the open runs until told to stop.
pub(crate) async fn keep(engine: Arc<Engine>, pulls: Inbox, stop: CancellationToken) {
    // Deciding thousands of creates takes its time, in which whoever watches is told of them.
    tokio::join!(tell(&engine, &stop), see_to_all(&engine, &pulls, &stop));
}

async fn tell(engine: &Engine, stop: &CancellationToken) {
    let mut told = HashMap::new();
    while !stop.is_cancelled() {
        tell_progress(engine, &mut told).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TOLD_APART) => {}
        }
    }
}

async fn see_to_all(engine: &Engine, pulls: &Inbox, stop: &CancellationToken) {
    let mut losses = engine.broker.losses();
    while !stop.is_cancelled() {
        let mut wait = Duration::from_secs(30);
        let now = engine.broker.losses();
        if now != losses {
            // A nats-server that was killed may have forgotten that requests were taken out (nats-server#7384, #7387).
            match engine.spent.find(&engine.broker, &engine.runs).await {
                Ok(()) => losses = now,
                Err(error) => {
                    tracing::debug!(%error, "Spent requests could not be looked for; trying again.");
                }
            }
        }
        for id in engine.runs.open_ids() {
            wait = Duration::from_millis(100);
            if let Err(error) = Box::pin(see_to(engine, pulls, id)).await {
                tracing::warn!(%error, run = %id, "A run could not be looked after; trying again.");
            }
        }
        if let Err(error) = engine.spent.take_away(&engine.broker).await {
            tracing::debug!(%error, "Spent requests stay in their stream for the moment.");
        }
        if !engine.spent.is_empty() || now != losses {
            wait = wait.min(Duration::from_millis(250));
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = engine.runs.moved.notified() => tokio::time::sleep(Duration::from_millis(20)).await,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// The counts of an open run are told this far apart.
const TOLD_APART: Duration = Duration::from_secs(1);

/// What was last told of each open run.
type Told = HashMap<RunId, RunSummary>;

/// Publishes the counts of the open runs, where they changed.
async fn tell_progress(engine: &Engine, told: &mut Told) {
    let open = engine.runs.open_ids();
    told.retain(|id, _| open.contains(id));
    for id in open {
        let Some(run) = engine.runs.get(id) else { continue };
        // A run is opened with no counts.
        if told.insert(id, run.summary.clone()).unwrap_or_default() == run.summary {
            continue;
        }
        if let Err(error) = engine.publish_event(id, "progress", &run.summary).await {
            tracing::debug!(%error, run = %id, "A run's progress could not be told.");
        }
    }
}

/// Moves a run on if it can: to deciding its creates when the listings are in, to its end when all is answered.
async fn see_to(engine: &Engine, pulls: &Inbox, id: RunId) -> Result<(), Trouble> {
    engine.ask_for_rereads().await;
    let Some(run) = engine.runs.get(id) else { return Ok(()) };
    let is_busy = engine.has_rereads(id) || engine.runs.is_held(id);
    if !run.is_listed() || is_busy || !partners_are_asked(engine, &run) {
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
    if engine.links.any_open(Open::Listings(id)) {
        // A crash or a fault came between.
        return decide_all_awaiting(engine, id).await;
    }
    let is_under_way = || engine.links.any_open(Open::UnderWay(Some(id)));
    if is_under_way() {
        return Ok(());
    }
    if !run.request.dry_run {
        Box::pin(engine.release_late(id)).await?;
    }
    if is_under_way() {
        return Ok(());
    }
    // Once more after the links: a part may have been added meanwhile.
    let still = engine.runs.get(id).is_some_and(|now| now.is_listed() && now.pull_last() == run.pull_last());
    let is_busy = engine.has_rereads(id) || engine.runs.is_held(id);
    if !still || is_busy {
        return Ok(());
    }
    if run.request.dry_run {
        engine.say_what_was_rehearsed(id).await?;
    }
    end(engine, id).await
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
    if run.request.dry_run {
        missing::look_for(engine, id, run).await?;
        engine.runs.change(id, |run| run.listings_decided = true).await?;
        return Ok(());
    }
    for plan in &engine.plans {
        for side in Side::BOTH {
            if run.has_whole(plan.system(side), plan.collection_name(side)) {
                drop_unseen_rivals(engine, plan.name(), side, id).await?;
            }
        }
    }
    for part in run.parts.iter().filter(|part| run.has_whole(&part.system, &part.collection)) {
        engine.runs.note_listed_whole(id, &part.system, &part.collection).await?;
    }
    missing::look_for(engine, id, run).await?;
    engine.runs.change(id, |run| run.listings_decided = true).await?;
    fail::fail_point!("reconciler.after-listings-in");
    decide_all_awaiting(engine, id).await
}

async fn decide_all_awaiting(engine: &Engine, id: RunId) -> Result<(), Trouble> {
    let mut open: Vec<_> = {
        let open = engine.links.open_ones(|why| why == Open::Listings(id)).into_iter();
        open.filter_map(|link| Some((engine.turn_of(&engine.links.name(link)?), link))).collect()
    };
    // Parents first: what they give their records, those below need not write again.
    open.sort_by_key(|(turn, _)| *turn);
    for (_, link) in open {
        let Some(name) = engine.links.name(link) else { continue };
        decide_awaiting(engine, id, &name).await?;
    }
    Ok(())
}

async fn decide_awaiting(engine: &Engine, id: RunId, name: &str) -> Result<(), Trouble> {
    loop {
        let _lock = engine.links.lock(name).await;
        let Some(found) = engine.links.get(name).await? else { return Ok(()) };
        let mut link = found.value;
        let Some(plan) = engine.plan(&link.route) else { return Ok(()) };
        link.awaits_listing = None;
        let run = engine.runs.get(id);
        let wanted = |side: &Side| {
            plan.route.side(*side).create
                || (plan.kind().has_several() && *side == Side::Right)
                || plan.kind() == RouteKind::Child
        };
        let asked = |run: &Run, side: Side| run.asks_whole(plan.system(side), plan.collection_name(side));
        let has = |run: &Run, side: Side| run.has_whole(plan.system(side), plan.collection_name(side));
        let listed = Side::BOTH
            .into_iter()
            .filter(wanted)
            .all(|side| run.as_ref().is_some_and(|run| has(run, side) || !asked(run, side)));
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
    fail::fail_point!("reconciler.after-run-ended");
    engine.spent.add(id.0);
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

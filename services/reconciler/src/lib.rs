//! The reconciler: owns links and runs, and turns pull results into the fewest push requests by three-way compare.
//!
//! It speaks to no outside system and names none; what it knows of them is in the route files.

mod below;
pub mod conclude;
mod conflict;
mod conflicts;
pub mod decide;
pub mod desk;
mod engine;
mod event;
mod gone;
mod keeper;
mod lapsed;
mod latest;
pub mod link;
mod links;
mod making;
mod missing;
mod others;
mod outcomes;
pub mod plan;
mod pulls;
pub mod read;
mod requests;
mod rivals;
mod runs;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod simulation;
mod spent;
mod strays;
mod trim;
mod twins;
mod waiting;

use std::sync::Arc;

use databridge_broker::{
    Broker, BucketError, Inbox, Needs, PublishError, TopologyError, Worker, consumers, names, one_at_a_time,
    ready,
};
use databridge_config::{ConfigFolder, Side};
use databridge_runtime::CancellationToken;

use crate::engine::Engine;

/// The reconciler cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ReconcilerError {
    /// A consumer cannot be opened.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A bucket cannot be opened.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The stream of outcomes cannot be asked.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// What it must find in the broker.
const NEEDS: Needs = Needs {
    streams: &[names::SYNC, names::PULL, names::PUSH, names::OUTCOME, names::RUN, names::DEAD],
    buckets: &[names::LINKS, names::CONFLICTS, names::RUNS, names::WAITING, names::LISTED, names::LEASES],
    contents: false,
};

/// Works until told to stop, while no other replica does; what is under way then is finished.
pub async fn run(
    broker: Broker,
    config: &ConfigFolder,
    stop: CancellationToken,
) -> Result<(), ReconcilerError> {
    if !ready(&broker, NEEDS, &stop).await {
        return Ok(());
    }
    one_at_a_time(&broker, stop, async |stop| Box::pin(work(broker.clone(), config, stop)).await).await
}

async fn work(broker: Broker, config: &ConfigFolder, stop: CancellationToken) -> Result<(), ReconcilerError> {
    let engine = Box::pin(Engine::open(broker.clone(), config)).await?;
    let stream_created = broker.read_after().await?.stream_created;
    let requests = Inbox::open(&broker, consumers::sync_of_reconciler()).await?;
    let pulls = Inbox::open(&broker, consumers::pulls()).await?;
    let outcomes = Inbox::open(&broker, consumers::outcomes()).await?;
    let listings = Inbox::open(&broker, consumers::listings()).await?;
    take_up(&engine).await;
    let outcomes_handler = outcomes::Outcomes { engine: Arc::clone(&engine), stream_created };
    tokio::join!(
        Worker::new(requests, Arc::new(requests::Requests(Arc::clone(&engine)))).run(stop.clone()),
        Worker::new(pulls.clone(), Arc::new(pulls::Pulls(Arc::clone(&engine)))).run(stop.clone()),
        Worker::new(outcomes, Arc::new(outcomes_handler)).run(stop.clone()),
        Worker::new(listings, Arc::new(keeper::Listings(Arc::clone(&engine)))).run(stop.clone()),
        keeper::keep(Arc::clone(&engine), pulls.clone(), stop.clone()),
        trim::run(broker, pulls, stop.clone()),
        lapsed::watch(Arc::clone(&engine), stop.clone()),
        strays::watch(engine, stop.clone()),
    );
    Ok(())
}

/// Takes up what a crash may have left: pushes whose sending is not sure, records that were to be read again, creates
/// whose run is over, and conflicts whose record is not kept.
async fn take_up(engine: &Engine) {
    if let Err(error) = engine.spent.find(&engine.broker, &engine.runs).await {
        tracing::warn!(%error, "Spent requests could not be looked for; they stay until the next start.");
    }
    if let Err(error) = twins::finish(engine).await {
        tracing::warn!(%error, "Records with new ids could not be taken up; the next complete listing does it.");
    }
    for link in engine.links.open_ones(|_| true) {
        let Some(name) = engine.links.name(link) else { continue };
        if let Err(error) = take_up_link(engine, &name).await {
            tracing::warn!(%error, link = name, "A link could not be taken up; its next message will.");
        }
    }
}

async fn take_up_link(engine: &Engine, name: &str) -> Result<(), engine::Trouble> {
    let _lock = engine.links.lock(name).await;
    let Some(found) = engine.links.get(name).await? else { return Ok(()) };
    let mut link = found.value;
    engine.conflicts.keep(name, &link).await?;
    let Some(plan) = engine.plan(&link.route) else { return Ok(()) };
    for side in Side::BOTH {
        let state = link.side(side);
        let again = link.to_reread(side);
        if let Some(outstanding) = &state.outstanding {
            engine.send(plan, side, &link.key, outstanding).await?;
        } else if !again.is_empty() {
            engine.want_reread(plan, side, state.seen_in, again);
        }
    }
    if link.awaits_listing.is_some_and(|run| engine.runs.get(run).is_none()) {
        link.awaits_listing = None;
        link.due = true;
        engine.links.save(name, &link, Some(found.revision)).await?;
    }
    Ok(())
}

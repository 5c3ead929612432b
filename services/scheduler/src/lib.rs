//! The scheduler: says when. It keeps the schedules that nats-server itself fires, and never pulls or pushes.
//!
//! Each schedule of the config is two messages in the stream SYNC (`stored`): one whose ticks are the sync requests,
//! and one of the same timing whose ticks leave a trace. nats-server fires both, whoever else is down; what it did not
//! fire, because it was down itself, is seen by the trace and caught up once (`catch_up`).

mod apply;
mod catch_up;
mod desk;
mod stored;

use std::sync::atomic::Ordering;
use std::time::Duration;

use databridge_broker::{BatchError, Broker, Needs, PublishError, names, ready};
use databridge_config::ConfigFolder;
use databridge_runtime::CancellationToken;
use tokio::time::Instant;

pub use desk::{Desk, DeskError, Standing, State};

/// The schedules cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The broker does not answer or refuses.
    #[error("the schedules in NATS cannot be {doing}: {why}")]
    Broker {
        /// What was being done to them.
        doing: &'static str,
        /// Why.
        why: String,
    },
    /// A schedule is not stored.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A request is not stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Others change a schedule again and again.
    #[error("others change the schedule {0} at the same time, again and again")]
    Contended(String),
}

/// How often, and how soon, it is looked whether a tick was missed.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After a connection is made, the broker has so long to fire what was due while it was down; and each tick may
    /// come so late.
    pub grace: Duration,
    /// After that it is looked so often.
    pub every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { grace: Duration::from_secs(2), every: Duration::from_secs(30) }
    }
}

/// What it must find in the broker.
const NEEDS: Needs = Needs { streams: &[names::SYNC], buckets: &[names::LISTED], contents: false };

/// Works until told to stop. While the broker is away it waits: nobody else has to be stopped for it. Replicas work side by
/// side: what one has written, another finds.
pub async fn run(broker: Broker, config: &ConfigFolder, stop: CancellationToken) {
    run_at(broker, config, Pace::default(), stop).await;
}

/// Like [`run`], at a pace of the caller's.
pub async fn run_at(broker: Broker, config: &ConfigFolder, pace: Pace, stop: CancellationToken) {
    if !ready(&broker, NEEDS, &stop).await {
        return;
    }
    broker.health().stands(databridge_broker::Standing::AtWork);
    if config.schedules.is_empty() {
        tracing::info!(
            file = %config.schedules_file().display(),
            "There are no schedules: no system is looked at by itself, only when somebody asks for it."
        );
    }
    let mut told = false;
    let connections = || broker.client().statistics().connects.load(Ordering::Relaxed);
    let (mut connected, mut next, mut is_applied) = (connections(), Instant::now() + pace.grace, false);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK.min(pace.grace)) => {}
        }
        if connected != connections() {
            connected = connections();
            next = Instant::now() + pace.grace;
        }
        if Instant::now() < next || !broker.is_connected() {
            continue;
        }
        if !is_applied && !is_begun(&broker).await {
            if !std::mem::replace(&mut told, true) {
                tracing::info!("The schedules begin when a first migrate has listed everything.");
            }
            next = Instant::now() + pace.grace;
            continue;
        }
        next = Instant::now() + pace.every;
        // First what was missed, by the timings that stood then; a schedule that is stored anew begins anew.
        let caught_up = catch_up::catch_up(&broker, config, pace.grace).await;
        let applied =
            if caught_up.is_ok() && !is_applied { apply::apply(&broker, config).await } else { Ok(()) };
        is_applied |= caught_up.is_ok() && applied.is_ok();
        if let Err(error) = caught_up.and(applied) {
            tracing::warn!(%error, "The schedules could not be looked after; trying again.");
            next = Instant::now() + pace.grace;
        }
    }
}

/// Whether anything was ever listed whole, as a migrate does. Before it nothing is carried over by the clock: people want
/// to see the plan first.
async fn is_begun(broker: &Broker) -> bool {
    let listed = broker.jetstream().get_stream(format!("KV_{}", names::LISTED)).await;
    listed.is_ok_and(|listed| listed.cached_info().state.messages > 0)
}

/// How often it is looked whether the connection was lost and came back.
const LOOK: Duration = Duration::from_millis(500);

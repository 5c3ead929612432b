//! Answering push requests: intent, effect, outcome, acknowledgement.

mod desk;
mod long;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use databridge_broker::{Broker, BucketError, ConsumerPlan, Inbox, Job, TopologyError, consumers};
use databridge_http::Budget;
use databridge_model::subject::Lane;
use databridge_runtime::CancellationToken;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;

use self::desk::{Desk, place_of};
use crate::OutsideSystem;
use crate::waits::LOOKED_APART;

/// Answers a system's push requests.
#[derive(Debug)]
pub struct Pushes<S> {
    broker: Broker,
    system: Arc<S>,
    budget: Budget,
}

impl<S: OutsideSystem> Pushes<S> {
    /// Over this connection, for this system and within its budget.
    pub fn new(broker: Broker, system: Arc<S>, budget: Budget) -> Self {
        Self { broker, system, budget }
    }

    /// Works until told to stop; what is under way then is finished.
    pub async fn run(self, stop: CancellationToken) -> Result<(), PushesError> {
        let name = self.system.name();
        let short = Lane::BOTH.map(|lane| consumers::pushes(name, lane));
        let long = Lane::BOTH.map(|lane| consumers::long_pushes(name, lane));
        let has_long_ones = self.system.collections().iter().any(|it| self.system.takes_long(it));
        let queues = short.iter().chain(long.iter().filter(|_| has_long_ones)).cloned().collect();
        let lanes = Lanes::open(&self.broker, short).await?;
        let long = if has_long_ones { Some(Lanes::open(&self.broker, long).await?) } else { None };
        let desk =
            Arc::new(Desk::open(self.broker.clone(), Arc::clone(&self.system), self.budget, queues).await?);
        let _telling = desk.waits.telling();
        let long_ones = async {
            if let Some(lanes) = &long {
                long::run(lanes, &desk, &stop).await;
            }
        };
        tokio::join!(run_short_ones(&lanes, &desk, &stop), long_ones);
        Ok(())
    }
}

async fn run_short_ones<S: OutsideSystem>(lanes: &Lanes, desk: &Arc<Desk<S>>, stop: &CancellationToken) {
    let mut takes = JoinSet::new();
    while !stop.is_cancelled() {
        let jobs = tokio::select! {
            () = stop.cancelled() => break,
            jobs = next_jobs(desk, lanes) => jobs,
        };
        let (long, mut short): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| desk.takes_long(job));
        let set_aside = long.into_iter().map(|job| async { (!desk.set_aside(&job).await).then_some(job) });
        short.extend(futures::future::join_all(set_aside).await.into_iter().flatten());
        if !short.is_empty() {
            let take = takes.spawn(Arc::clone(desk).deal_with(short));
            wait_for(&take, &mut takes).await;
        }
    }
    finish(takes).await;
}

/// A system's pushes of both lanes.
#[derive(Debug)]
struct Lanes {
    live: Inbox,
    bulk: Inbox,
}

impl Lanes {
    async fn open(broker: &Broker, [live, bulk]: [ConsumerPlan; 2]) -> Result<Self, TopologyError> {
        Ok(Self { live: Inbox::open(broker, live).await?, bulk: Inbox::open(broker, bulk).await? })
    }

    /// Up to so many pushes: live ones first, bulk where none wait. And the lane that they are from.
    async fn next(&self, most: usize) -> (&Inbox, Vec<Job>) {
        for lane in [&self.live, &self.bulk] {
            let jobs = lane.take_waiting(most).await;
            if !jobs.is_empty() {
                return (lane, jobs);
            }
        }
        (&self.live, self.live.take(most, Duration::from_millis(500), Duration::from_millis(1)).await)
    }
}

/// A take that is not done by then goes on beside the next one.
const QUICK: Duration = Duration::from_secs(2);

/// The most takes that go on at once.
const MOST_TAKES: usize = 4;

/// Waits until a take is done; one that lasts does not hold up the next, as long as there are few such.
async fn wait_for(take: &AbortHandle, takes: &mut JoinSet<()>) {
    let slow_at = Instant::now() + QUICK;
    while !take.is_finished() || takes.len() >= MOST_TAKES {
        let may_go_on = takes.len() < MOST_TAKES;
        tokio::select! {
            ended = takes.join_next() => match ended {
                Some(ended) => tell_of_panic(ended),
                None => return,
            },
            () = tokio::time::sleep_until(slow_at), if may_go_on => return,
        }
    }
    while let Some(ended) = takes.try_join_next() {
        tell_of_panic(ended);
    }
}

/// A panic is a fault of ours; its pushes come again, and find their intents.
fn tell_of_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "The work on some pushes broke off; they come again.");
    }
}

/// Waits for what is under way.
async fn finish(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        tell_of_panic(ended);
    }
}

/// How many pushes may be begun now; waits until it is at least one.
async fn capacity<S: OutsideSystem>(desk: &Desk<S>) -> usize {
    while let Some(closed) = desk.budget.closed().await {
        desk.waits.looking(Some(closed.why));
        tokio::time::sleep(LOOKED_APART).await;
    }
    desk.waits.looking(None);
    desk.system.capacity().await
}

/// As many pushes as the system can begin now.
async fn next_jobs<S: OutsideSystem>(desk: &Desk<S>, lanes: &Lanes) -> Vec<Job> {
    let system = desk.system.as_ref();
    let most = capacity(desk).await;
    let (lane, jobs) = lanes.next(most).await;
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

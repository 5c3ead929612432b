//! Answering push requests: intent, effect, outcome, acknowledgement.

mod desk;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use databridge_broker::{Broker, BucketError, Inbox, Job, TopologyError, consumers};
use databridge_model::subject::Lane;
use databridge_runtime::{CancellationToken, jittered};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;

use self::desk::{Desk, place_of};
use crate::OutsideSystem;

/// Answers a system's push requests.
#[derive(Debug)]
pub struct Pushes<S> {
    broker: Broker,
    system: Arc<S>,
}

impl<S: OutsideSystem> Pushes<S> {
    /// Over this connection, for this system.
    pub fn new(broker: Broker, system: Arc<S>) -> Self {
        Self { broker, system }
    }

    /// Works until told to stop; what is under way then is finished.
    pub async fn run(self, stop: CancellationToken) -> Result<(), PushesError> {
        let live = Inbox::open(&self.broker, consumers::pushes(self.system.name(), Lane::Live)).await?;
        let bulk = Inbox::open(&self.broker, consumers::pushes(self.system.name(), Lane::Bulk)).await?;
        let desk = Arc::new(Desk::open(self.broker.clone(), Arc::clone(&self.system)).await?);
        let (mut takes, mut long_ones) = (JoinSet::new(), JoinSet::new());
        let _telling = desk.waits.telling();
        while !stop.is_cancelled() {
            desk.waits.looking();
            let jobs = tokio::select! {
                () = stop.cancelled() => break,
                jobs = next_jobs(self.system.as_ref(), &live, &bulk) => jobs,
            };
            while let Some(ended) = long_ones.try_join_next() {
                tell_of_panic(ended);
            }
            let (long, short): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| desk.takes_long(job));
            for job in long {
                if long_ones.len() < MOST_LONG + MOST_LONG_WAITING {
                    long_ones.spawn(Arc::clone(&desk).deal_with_long(job, stop.clone()));
                } else {
                    job.again_after(jittered(LONG_ONES_APART)).await;
                }
            }
            if !short.is_empty() {
                let take = takes.spawn(Arc::clone(&desk).deal_with(short));
                wait_for(&take, &mut takes).await;
            }
        }
        for tasks in [&mut takes, &mut long_ones] {
            while let Some(ended) = tasks.join_next().await {
                tell_of_panic(ended);
            }
        }
        Ok(())
    }
}

/// The most pushes with a content done at once.
const MOST_LONG: usize = 4;

/// The most that wait here for their turn; the rest waits with the broker.
const MOST_LONG_WAITING: usize = 4;

/// How long a push with a content waits with the broker, roughly.
const LONG_ONES_APART: Duration = Duration::from_secs(10);

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

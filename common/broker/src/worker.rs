//! The worker loop: takes messages, keeps order per record, answers each, survives what a handler does.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use databridge_model::DeadAttempt;
use databridge_runtime::{CancellationToken, jittered};
use futures::{FutureExt, StreamExt};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Inbox, Job};

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is dealt with.
    Done,
    /// Something failed for the moment; it comes again after a growing wait.
    Retry(String),
    /// It must wait, through no fault of its own; this is no attempt.
    Later(Duration),
    /// It can never be dealt with: it becomes a dead letter.
    Dead(String),
}

/// Deals with the messages of one consumer.
pub trait Handler: Send + Sync + 'static {
    /// The stage that dead letters name: `sync`, `pull`, `push`, `outcome`.
    fn stage(&self) -> &'static str;

    /// Messages of one lane are dealt with one after another, in order; different lanes run side by side.
    fn lane(&self, job: &Job) -> String;

    /// Deals with one message.
    fn handle(&self, job: &Job) -> impl Future<Output = Verdict> + Send;

    /// Tidies up after a message that is dead, once the dead letter is stored.
    fn buried(&self, _job: &Job, _error: &str) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Called after each take is dealt with: the place for what is cheaper done once for many.
    fn rested(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Runs a handler over an inbox.
#[derive(Debug)]
pub struct Worker<H> {
    inbox: Inbox,
    handler: Arc<H>,
    most: usize,
    side_by_side: usize,
    linger: Duration,
    /// The failed attempts at each message, by its sequence.
    attempts: Mutex<HashMap<u64, Vec<DeadAttempt>>>,
    held: Mutex<HashMap<String, Held>>,
}

/// A message that was given back: what comes after it in its lane waits until it has come again.
#[derive(Clone, Copy, Debug)]
struct Held {
    sequence: u64,
    until: Instant,
}

/// A message that was given back and does not come again for so long has gone to another worker.
const GONE_ELSEWHERE: Duration = Duration::from_secs(5);

/// A message whose handler fails so often is dead.
const MOST_ATTEMPTS: usize = 20;

impl<H: Handler> Worker<H> {
    /// A worker that takes up to 256 messages at once and deals with 16 lanes side by side.
    pub fn new(inbox: Inbox, handler: Arc<H>) -> Self {
        Self {
            inbox,
            handler,
            most: 256,
            side_by_side: 16,
            linger: Duration::from_millis(2),
            attempts: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// Takes so many at once.
    pub fn taking(mut self, most: usize, side_by_side: usize) -> Self {
        (self.most, self.side_by_side) = (most, side_by_side);
        self
    }

    /// Works until it is told to stop; what is under way then is finished.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let jobs = tokio::select! {
                () = stop.cancelled() => break,
                jobs = self.inbox.take(self.most, Duration::from_secs(20), self.linger) => jobs,
            };
            if !jobs.is_empty() {
                self.deal_with(jobs).await;
            }
            self.handler.rested().await;
        }
    }

    async fn deal_with(&self, jobs: Vec<Job>) {
        let keeper = keep_alive(jobs.clone(), self.inbox.broker().ack_wait() / 3);
        let mut lanes: Vec<(String, Vec<Job>)> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        for job in jobs {
            let lane = self.handler.lane(&job);
            let at = *index.entry(lane.clone()).or_insert_with(|| {
                lanes.push((lane, Vec::new()));
                lanes.len() - 1
            });
            if let Some((_, jobs)) = lanes.get_mut(at) {
                jobs.push(job);
            }
        }
        futures::stream::iter(lanes)
            .for_each_concurrent(self.side_by_side, |(lane, jobs)| self.deal_with_lane(lane, jobs))
            .await;
        drop(keeper);
    }

    async fn deal_with_lane(&self, lane: String, mut jobs: Vec<Job>) {
        // What was given back comes again in any order.
        jobs.sort_by_key(Job::sequence);
        let mut held = self.held.lock().await.get(&lane).copied();
        for job in jobs {
            let now = Instant::now();
            if let Some(held) =
                held.filter(|held| held.sequence < job.sequence() && now < held.until + GONE_ELSEWHERE)
            {
                // It must not overtake.
                job.again_after(held.until.saturating_duration_since(now) + Duration::from_millis(50)).await;
                continue;
            }
            match self.deal_with_one(&job).await {
                Ok(()) => {
                    let mut lanes = self.held.lock().await;
                    if lanes.get(&lane).is_some_and(|held| held.sequence <= job.sequence()) {
                        lanes.remove(&lane);
                    }
                }
                Err(wait) => {
                    let now = Instant::now();
                    let failed = Held { sequence: job.sequence(), until: now + wait };
                    let mut lanes = self.held.lock().await;
                    lanes.retain(|_, held| now < held.until + GONE_ELSEWHERE);
                    lanes.insert(lane.clone(), failed);
                    held = Some(failed);
                }
            }
        }
    }

    /// An error is the wait after which the message comes again: the next of its lane must wait too.
    async fn deal_with_one(&self, job: &Job) -> Result<(), Duration> {
        if job.is_stale() {
            return Err(Duration::ZERO);
        }
        let handled = std::panic::AssertUnwindSafe(self.handler.handle(job)).catch_unwind().await;
        let verdict =
            handled.unwrap_or_else(|_| Verdict::Retry("the handler panicked; see the log".to_owned()));
        match verdict {
            Verdict::Done => {
                self.attempts.lock().await.remove(&job.sequence());
                job.done().await;
                Ok(())
            }
            Verdict::Later(wait) => {
                job.again_after(wait).await;
                Err(wait)
            }
            Verdict::Retry(error) => {
                let attempts = self.note_attempt(job, error.clone()).await;
                if attempts.len() >= MOST_ATTEMPTS {
                    return self.bury(job, error).await;
                }
                let wait = jittered(Duration::from_millis(200 << attempts.len().min(8)));
                tracing::warn!(
                    error,
                    subject = job.subject(),
                    attempt = attempts.len(),
                    "A message is tried again."
                );
                job.again_after(wait).await;
                Err(wait)
            }
            Verdict::Dead(error) => {
                self.note_attempt(job, error.clone()).await;
                self.bury(job, error).await
            }
        }
    }

    async fn bury(&self, job: &Job, error: String) -> Result<(), Duration> {
        let attempts = self.attempts.lock().await.get(&job.sequence()).cloned().unwrap_or_default();
        tracing::error!(error, subject = job.subject(), "A message is dead; it is kept as a dead letter.");
        if let Err(unstored) = job.bury(self.handler.stage(), error.clone(), attempts).await {
            tracing::error!(%unstored, subject = job.subject(), "The dead letter could not be stored.");
            let wait = Duration::from_secs(10);
            job.again_after(wait).await;
            return Err(wait);
        }
        self.handler.buried(job, &error).await;
        self.attempts.lock().await.remove(&job.sequence());
        job.done().await;
        Ok(())
    }

    async fn note_attempt(&self, job: &Job, error: String) -> Vec<DeadAttempt> {
        let at = self.inbox.broker().clock().now();
        let mut all = self.attempts.lock().await;
        let attempts = all.entry(job.sequence()).or_default();
        attempts.push(DeadAttempt { at, error });
        let surplus = attempts.len().saturating_sub(MOST_ATTEMPTS);
        attempts.drain(..surplus);
        attempts.clone()
    }
}

/// Says for all jobs that they are worked on, until the returned guard is dropped. A job that was answered already
/// is said in vain, which does no harm.
pub fn keep_alive(jobs: Vec<Job>, every: Duration) -> KeepAlive {
    let task = tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            for job in &jobs {
                job.working().await;
            }
        }
    });
    KeepAlive(task.abort_handle())
}

/// Stops the telling when dropped.
#[derive(Debug)]
pub struct KeepAlive(tokio::task::AbortHandle);

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.0.abort();
    }
}

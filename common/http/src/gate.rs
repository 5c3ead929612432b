//! Keeping within the limit of a credential.
//!
//! Whether the windows of a limit are fixed or slide is rarely told, and three things hold in both. What an answer leaves
//! stays free, less the calls that the system may not have counted yet when it gave it. A call of ours counts no longer
//! than a window after its answer came. And when the system says that calls come free again, one does at least: it
//! goes, and its answer tells how many more there are. So nothing is believed of where a window begins or ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_runtime::Clock;
use tokio::sync::Notify;

use crate::answer::LONGEST_WAIT;

#[cfg(test)]
mod tests;

/// What the headers of an answer say of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReport {
    /// Calls in a window.
    pub limit: u32,
    /// Calls left in this window.
    pub remaining: u32,
    /// When calls come free again, by the system's clock.
    pub resets_at: DateTime<Utc>,
    /// The system's clock when it answered; without it nobody knows how far off that is.
    pub server_time: Option<DateTime<Utc>>,
}

/// Lets a call pass only when the credential's limit allows it. Clones are one gate.
///
/// It starts with one call at a time until the first report is in.
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    window: TimeDelta,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    limit: u32,
    /// Calls that answers have left and that are not begun; `None` until a report came.
    left: Option<u32>,
    /// Calls begun so far, by which each has its number.
    begun: u64,
    under_way: u32,
    /// Until when those may count that have ended, the first to end first.
    ended: VecDeque<DateTime<Utc>>,
    /// The greatest number of a call that was reported.
    newest: u64,
    /// Until when calls may count that are not ours: of another program, or of this one before it was started anew.
    others_until: Option<DateTime<Utc>>,
    /// When one more comes free, by what the system told.
    comes_free: Option<DateTime<Utc>>,
    /// Answers to calls of lesser numbers tell of one that may be taken already.
    told_from: u64,
    /// No call before this (Retry-After).
    closed_until: Option<DateTime<Utc>>,
    looked_at: DateTime<Utc>,
}

/// The right to one call. Dropping it without a report gives nothing back: the call may have counted.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    number: u64,
    /// The others that were under way when it was begun.
    beside: u32,
    /// The calls of ours that might count then, with this one.
    ours: u32,
}

impl Gate {
    /// A gate that knows nothing yet, before a system that counts calls over such a window.
    pub fn new(clock: Clock, window: Duration) -> Self {
        let window = in_time(window);
        let shared = Shared { clock, window, state: Mutex::default(), changed: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until a call may be made.
    pub async fn pass(&self) -> Pass {
        loop {
            let changed = self.shared.changed.notified();
            let wait = match self.try_pass() {
                Ok(pass) => return pass,
                Err(wait) => wait,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
    }

    /// The right to a call now, or how long to wait before asking again.
    pub fn try_pass(&self) -> Result<Pass, Duration> {
        let (now, mut state) = self.look();
        if state.free(now) == 0 {
            return Err(state.wait(now));
        }
        let (beside, ours) = (state.under_way, state.ours() + 1);
        let number = state.begin();
        Ok(Pass { gate: self.clone(), number, beside, ours })
    }

    /// How many calls may start now.
    pub fn free(&self) -> u32 {
        let (now, state) = self.look();
        state.free(now)
    }

    /// The calls of a window, by the last report.
    pub fn limit(&self) -> Option<u32> {
        let (_, state) = self.look();
        state.left.map(|_| state.limit)
    }

    /// How long until a call may start; zero if one may start now.
    pub fn wait(&self) -> Duration {
        let (now, state) = self.look();
        if state.free(now) == 0 { state.wait(now) } else { Duration::ZERO }
    }

    /// The system refused for the limit: nothing passes for so long, and then one call alone.
    pub fn close_for(&self, duration: Duration) {
        let (now, mut state) = self.look();
        let until = now + in_time(duration);
        state.closed_until = state.closed_until.max(Some(until));
        state.comes_free = Some(until);
        // It counts more than is known here.
        state.left = state.left.map(|_| 0);
        state.others_until = Some(now + self.shared.window);
    }

    /// What is known now.
    fn look(&self) -> (DateTime<Utc>, MutexGuard<'_, State>) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.shared.clock.now();
        state.look(now);
        (now, state)
    }
}

impl State {
    /// Forgets what counts no more.
    fn look(&mut self, now: DateTime<Utc>) {
        let set_back = self.looked_at - now;
        if set_back > TimeDelta::zero() {
            // A clock that was put right must not close the gate until it has caught up.
            let others = [&mut self.others_until, &mut self.comes_free, &mut self.closed_until];
            let moments = self.ended.iter_mut().chain(others.into_iter().flatten());
            moments.for_each(|moment| *moment -= set_back);
        }
        self.looked_at = now;
        while self.ended.pop_front_if(|until| *until <= now).is_some() {}
    }

    /// The calls of ours that may count.
    fn ours(&self) -> u32 {
        u32::try_from(self.ended.len()).unwrap_or(u32::MAX).saturating_add(self.under_way)
    }

    fn free(&self, now: DateTime<Utc>) -> u32 {
        if self.closed_until.is_some_and(|until| now < until) {
            return 0;
        }
        let Some(left) = self.left else { return u32::from(self.under_way == 0) };
        let is_only_ours = self.others_until.is_none_or(|until| until <= now);
        let lacking = if is_only_ours { self.limit.saturating_sub(self.ours()) } else { 0 };
        let one = u32::from(self.comes_free.is_some_and(|at| at <= now));
        left.saturating_add(one).max(lacking)
    }

    /// How long until more is free, where nothing is. Answers to what is under way may change it before.
    fn wait(&self, now: DateTime<Utc>) -> Duration {
        let lacking = match self.ours().checked_sub(self.limit) {
            None => self.others_until,
            Some(many) => {
                let until = self.ended.get(usize::try_from(many).unwrap_or(usize::MAX)).copied();
                until.map(|until| until.max(self.others_until.unwrap_or(until)))
            }
        };
        let more = [lacking, self.comes_free].into_iter().flatten().filter(|_| self.left.is_some()).min();
        let more = more.unwrap_or(now + TimeDelta::seconds(1));
        let until = self.closed_until.map_or(more, |open| if open > now { open } else { more });
        (until - now).to_std().unwrap_or_default().clamp(Duration::from_millis(1), Duration::from_secs(3600))
    }

    /// Begins a call, and gives its number.
    fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.under_way += 1;
        match &mut self.left {
            Some(0) => {
                // It takes what has come free since the answers so far.
                self.told_from = self.begun;
                self.comes_free = None;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.begun
    }

    fn heed(&mut self, call: &Pass, report: LimitReport) {
        let window = call.gate.shared.window;
        // No system means a limit of no calls at all, and after one nothing would ever ask again.
        let limit = report.limit.max(1);
        let is_other_limit = limit != self.limit;
        if is_other_limit && call.number < self.newest {
            return;
        }
        self.newest = self.newest.max(call.number);
        self.limit = limit;
        let begun_after = u32::try_from(self.begun - call.number).unwrap_or(u32::MAX);
        let remaining = report.remaining.min(limit);
        if limit - remaining > call.ours.saturating_add(begun_after) {
            self.others_until = Some(self.looked_at + window);
        }
        let left = remaining.saturating_sub(call.beside.saturating_add(begun_after));
        let before = self.left.filter(|_| !is_other_limit).unwrap_or(0);
        let are_others = self.others_until.is_some_and(|until| self.looked_at < until);
        // Both hold; but what others do is known from the answers alone.
        self.left = Some(left.max(if are_others { before.min(remaining) } else { before }));
        if let Some(server_time) = report.server_time.filter(|_| call.number >= self.told_from) {
            let wait = (report.resets_at - server_time).clamp(TimeDelta::zero(), window);
            // A second more: the header's resolution is a second.
            self.comes_free = Some(self.looked_at + wait + TimeDelta::seconds(1));
        }
    }
}

impl Pass {
    /// The call was answered, and this is what the answer says of the limit.
    pub fn report(self, report: LimitReport) {
        let (_, mut state) = self.gate.look();
        state.heed(&self, report);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let shared = &self.gate.shared;
        let (now, mut state) = self.gate.look();
        state.under_way = state.under_way.saturating_sub(1);
        state.ended.push_back(now + shared.window);
        drop(state);
        shared.changed.notify_waiters();
    }
}

/// At most a day.
fn in_time(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration.min(LONGEST_WAIT)).unwrap_or(TimeDelta::hours(24))
}

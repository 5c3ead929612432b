//! Keeping within the limit of a credential.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_runtime::Clock;
use tokio::sync::Notify;

use crate::answer::LONGEST_WAIT;

/// What the headers of an answer say of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReport {
    /// Calls in a window.
    pub limit: u32,
    /// Calls left in this window.
    pub remaining: u32,
    /// When the window ends, by the system's clock.
    pub resets_at: DateTime<Utc>,
    /// The system's clock when it answered.
    pub server_time: DateTime<Utc>,
}

/// Lets a call pass only when the credential's limit allows it. Clones are one gate.
///
/// It starts with one call at a time until the first report is in. Windows may be fixed or sliding: what counts is
/// what the last answer left, less what is under way.
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that may still start; `None` until a report came.
    left: Option<u32>,
    /// When the window ends, by our clock.
    resets_at: Option<DateTime<Utc>>,
    /// No call before this, by our clock (Retry-After).
    closed_until: Option<DateTime<Utc>>,
    limit: u32,
    under_way: u32,
    window: Option<Window>,
}

/// What the answers of one window have told.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// When it ends, by the system's clock.
    ends: DateTime<Utc>,
    /// The least that any answer left. Answers overtake each other, and a late one tells of more.
    least: u32,
}

/// Two reports of one window may differ by so much: the header's resolution is a second.
const SAME_WINDOW: TimeDelta = TimeDelta::seconds(1);

/// The right to one call. Dropping it without a report gives nothing back: the call may have counted.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
}

impl Gate {
    /// A gate that knows nothing yet.
    pub fn new(clock: Clock) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default(), changed: Notify::new() }) }
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
        let now = self.shared.clock.now();
        let mut state = self.state();
        if let Some(until) = state.closed_until {
            if now < until {
                return Err(wait(now, until));
            }
            state.closed_until = None;
        }
        state.enter_new_window(now);
        match state.left {
            None if state.under_way > 0 => return Err(Duration::from_secs(1)),
            Some(0) => {
                return Err(state.resets_at.map_or(Duration::from_secs(1), |at| wait(now, at)));
            }
            Some(left) => state.left = Some(left - 1),
            None => {}
        }
        state.under_way += 1;
        Ok(Pass { gate: self.clone() })
    }

    /// How many calls may start now.
    pub fn free(&self) -> u32 {
        let now = self.shared.clock.now();
        let mut state = self.state();
        if state.closed_until.is_some_and(|until| now < until) {
            return 0;
        }
        state.enter_new_window(now);
        state.left.unwrap_or_else(|| u32::from(state.under_way == 0))
    }

    /// The calls of a window, by the last report.
    pub fn limit(&self) -> Option<u32> {
        let state = self.state();
        state.left.is_some().then_some(state.limit)
    }

    /// How long until a call may start; zero if one may start now.
    pub fn wait(&self) -> Duration {
        let now = self.shared.clock.now();
        let state = self.state();
        let closed = state.closed_until.filter(|until| now < *until);
        let window = state.resets_at.filter(|at| state.left == Some(0) && now < *at);
        closed.max(window).map_or(Duration::ZERO, |until| wait(now, until))
    }

    /// Takes in what an answer says of the limit.
    pub fn report(&self, report: LimitReport) {
        let now = self.shared.clock.now();
        let mut state = self.state();
        let told = state.window;
        let same = told.filter(|window| (report.resets_at - window.ends).abs() <= SAME_WINDOW);
        let is_of_the_one_before = same.is_none()
            && told.is_some_and(|window| report.resets_at < window.ends)
            && state.resets_at.is_some_and(|at| now < at);
        if is_of_the_one_before {
            return;
        }
        let least = same.map_or(report.remaining, |window| window.least.min(report.remaining));
        state.window = Some(Window { ends: same.map_or(report.resets_at, |window| window.ends), least });
        state.limit = report.limit;
        // Calls under way may be counted or not; believing that they are not is safe.
        let others = state.under_way.saturating_sub(1);
        state.left = Some(least.saturating_sub(others));
        let until_reset = (report.resets_at - report.server_time).clamp(TimeDelta::zero(), longest_wait());
        // A second more: the header's resolution is a second.
        state.resets_at = Some(now + until_reset + TimeDelta::seconds(1));
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// The system refused for the limit: nothing passes for so long.
    pub fn close_for(&self, duration: Duration) {
        let longest = longest_wait();
        let until = self.shared.clock.now() + TimeDelta::from_std(duration).unwrap_or(longest).min(longest);
        let mut state = self.state();
        state.closed_until = state.closed_until.max(Some(until));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Once the window is over its limit counts anew; the next answer tells how the new one stands. Where no answer did
    /// until as many calls were made, nothing is known any more.
    fn enter_new_window(&mut self, now: DateTime<Utc>) {
        if self.resets_at.take_if(|at| now >= *at).is_some() {
            self.left = Some(self.limit.saturating_sub(self.under_way));
        }
        if self.left == Some(0) && self.resets_at.is_none() && self.under_way == 0 {
            self.left = None;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.under_way = state.under_way.saturating_sub(1);
        drop(state);
        self.gate.shared.changed.notify_waiters();
    }
}

fn longest_wait() -> TimeDelta {
    TimeDelta::from_std(LONGEST_WAIT).unwrap_or(TimeDelta::hours(24))
}

fn wait(now: DateTime<Utc>, until: DateTime<Utc>) -> Duration {
    (until - now).to_std().unwrap_or_default().clamp(Duration::from_millis(1), Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(clock: &Clock, remaining: u32, seconds: i64) -> LimitReport {
        let now = clock.now();
        LimitReport { limit: 50, remaining, resets_at: now + TimeDelta::seconds(seconds), server_time: now }
    }

    #[test]
    fn a_window_that_would_end_in_a_thousand_years_and_a_wait_without_end_close_it_for_a_day_at_most() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        let moment = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        // A server that tells the end in milliseconds, and one whose clock is not set.
        for (resets_at, server_time) in
            [(1_795_186_860_000, 1_795_186_800), (8_210_266_876_799, -8_334_601_228_800)]
        {
            let (resets_at, server_time) = (moment(resets_at), moment(server_time));
            gate.report(LimitReport { limit: 50, remaining: 0, resets_at, server_time });
            assert!(gate.try_pass().is_err());
            clock.advance(TimeDelta::hours(25));
            assert!(gate.try_pass().is_ok());
        }
        gate.close_for(Duration::from_secs(u64::MAX));
        assert!(gate.try_pass().is_err());
        clock.advance(TimeDelta::hours(25));
        assert!(gate.try_pass().is_ok());
    }

    #[test]
    fn before_the_first_report_one_call_goes_alone() {
        let gate = Gate::new(Clock::system());
        let first = gate.try_pass().unwrap();
        assert!(gate.try_pass().is_err());
        drop(first);
        assert!(gate.try_pass().is_ok());
        assert_eq!(gate.limit(), None);
    }

    #[test]
    fn when_nothing_remains_nothing_passes_until_the_window_ends() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        gate.report(report(&clock, 1, 30));
        assert_eq!(gate.limit(), Some(50));
        drop(gate.try_pass().unwrap());
        assert!(gate.try_pass().unwrap_err() > Duration::from_secs(25));
        clock.advance(TimeDelta::seconds(32));
        assert!(gate.try_pass().is_ok());
    }

    #[test]
    fn calls_under_way_are_kept_back_from_what_remains() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        gate.report(report(&clock, 50, 30));
        let passes: Vec<_> = (0..3).map(|_| gate.try_pass().unwrap()).collect();
        gate.report(report(&clock, 3, 30));
        assert_eq!(gate.free(), 1, "two of the three that remain may be taken by the calls under way");
        drop(passes);
    }

    #[test]
    fn an_answer_that_was_overtaken_frees_nothing() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        gate.report(report(&clock, 6, 30));
        let (overtaken, first) = (gate.try_pass().unwrap(), gate.try_pass().unwrap());
        let (of_the_overtaken, of_the_first) = (report(&clock, 5, 30), report(&clock, 4, 30));
        gate.report(of_the_first);
        drop(first);
        let _third = gate.try_pass().unwrap();
        gate.report(of_the_overtaken);
        drop(overtaken);
        assert_eq!(gate.free(), 3, "of the four that the second answer left, one is under way");
    }

    #[test]
    fn a_late_answer_of_the_window_before_tells_nothing_of_this_one() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        let before = report(&clock, 49, 30);
        clock.advance(TimeDelta::seconds(32));
        gate.report(report(&clock, 3, 60));
        gate.report(before);
        assert_eq!(gate.free(), 3);
        clock.advance(TimeDelta::seconds(62));
        gate.report(report(&clock, 7, 60));
        assert_eq!(gate.free(), 7, "and the next window counts anew");
    }

    #[test]
    fn in_a_window_that_slides_calls_come_free_one_by_one() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        for (remaining, seconds) in [(1, 10), (0, 10), (2, 12), (5, 20)] {
            gate.report(report(&clock, remaining, seconds));
            assert_eq!(gate.free(), remaining);
        }
    }

    #[test]
    fn in_a_new_window_as_many_are_free_as_pass() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        gate.report(report(&clock, 50, 30));
        let mut passes: Vec<_> = (0..3).map(|_| gate.try_pass().unwrap()).collect();
        clock.advance(TimeDelta::seconds(32));
        let free = gate.free();
        while let Ok(pass) = gate.try_pass() {
            passes.push(pass);
        }
        assert_eq!(passes.len(), 3 + usize::try_from(free).unwrap());
    }

    #[test]
    fn answers_that_say_nothing_of_the_limit_never_close_the_gate_for_good() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        gate.report(report(&clock, 0, 1));
        clock.advance(TimeDelta::seconds(3));
        for _ in 0..120 {
            assert!(gate.free() > 0);
            drop(gate.try_pass().unwrap());
        }
        let one = gate.try_pass().unwrap();
        assert_eq!(gate.free(), 0, "as before the first report, one call goes alone");
        drop(one);
        gate.report(report(&clock, 49, 30));
        assert_eq!(gate.free(), 49);
    }

    #[test]
    fn a_refusal_closes_the_gate_for_as_long_as_the_system_says() {
        let clock = Clock::system();
        let gate = Gate::new(clock.clone());
        gate.close_for(Duration::from_secs(40));
        assert_eq!(gate.free(), 0);
        clock.advance(TimeDelta::seconds(41));
        assert!(gate.try_pass().is_ok());
    }
}

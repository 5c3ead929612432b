//! The rate limit: requests a minute for each access token.
//!
//! Source: "Rate Limits" in Clio's API documentation. Whether the minute is fixed or slides is in no source, so both
//! are here.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::hand::RateWindow;

const WINDOW: TimeDelta = TimeDelta::seconds(60);

/// What the headers of an answer tell about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `X-RateLimit-Limit`.
    pub(super) limit: u32,
    /// `X-RateLimit-Remaining`.
    pub(super) remaining: u32,
    /// `X-RateLimit-Reset`, in unix seconds.
    pub(super) reset: i64,
    /// `Retry-After` in seconds, when the request is refused.
    pub(super) retry_after: Option<i64>,
}

/// The requests of the last minute, by token.
#[derive(Debug, Default)]
pub(super) struct Limits {
    admitted: HashMap<String, VecDeque<DateTime<Utc>>>,
}

impl Limits {
    /// Counts a request if the limit allows it. Refused requests are not counted.
    pub(super) fn admit(
        &mut self,
        token: &str,
        now: DateTime<Utc>,
        limit: u32,
        window: RateWindow,
    ) -> Verdict {
        let admitted = self.admitted.entry(token.to_owned()).or_default();
        match window {
            RateWindow::Fixed => {
                if admitted.front().is_some_and(|first| *first + WINDOW <= now) {
                    admitted.clear();
                }
            }
            RateWindow::Sliding => {
                while admitted.front().is_some_and(|first| *first + WINDOW <= now) {
                    admitted.pop_front();
                }
            }
        }
        let held = u32::try_from(admitted.len()).unwrap_or(u32::MAX);
        let is_allowed = held < limit;
        if is_allowed {
            admitted.push_back(now);
        }
        let frees_at = admitted.front().copied().unwrap_or(now) + WINDOW;
        let wait = (frees_at - now).num_milliseconds().max(0);
        Verdict {
            limit,
            remaining: limit.saturating_sub(held + u32::from(is_allowed)),
            reset: now.timestamp() + whole_seconds(wait),
            retry_after: (!is_allowed).then(|| whole_seconds(wait).max(1)),
        }
    }
}

fn whole_seconds(milliseconds: i64) -> i64 {
    (milliseconds + 999) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_fixed_window_frees_everything_at_its_end() {
        let mut limits = Limits::default();
        for second in [0, 50] {
            assert_eq!(limits.admit("t", at(second), 2, RateWindow::Fixed).retry_after, None);
        }
        assert_eq!(limits.admit("t", at(55), 2, RateWindow::Fixed).retry_after, Some(5));
        let free = limits.admit("t", at(60), 2, RateWindow::Fixed);
        assert_eq!((free.retry_after, free.remaining), (None, 1));
    }

    #[test]
    fn a_sliding_window_frees_one_request_at_a_time() {
        let mut limits = Limits::default();
        for second in [0, 50] {
            limits.admit("t", at(second), 2, RateWindow::Sliding);
        }
        let free = limits.admit("t", at(60), 2, RateWindow::Sliding);
        assert_eq!((free.retry_after, free.remaining), (None, 0));
        assert_eq!(limits.admit("t", at(61), 2, RateWindow::Sliding).retry_after, Some(49));
    }

    #[test]
    fn each_token_has_its_own_minute() {
        let mut limits = Limits::default();
        assert_eq!(limits.admit("a", at(0), 1, RateWindow::Fixed).retry_after, None);
        assert_eq!(limits.admit("b", at(0), 1, RateWindow::Fixed).retry_after, None);
        assert!(limits.admit("a", at(0), 1, RateWindow::Fixed).retry_after.is_some());
    }
}

//! The rate limit: requests a minute for each access token.
//!
//! Source: "Rate Limits" in Clio's API documentation. How the minute is counted is in no source, so all ways are here.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::hand::RateWindow;

const WINDOW: TimeDelta = TimeDelta::seconds(60);

/// What the headers of an answer tell about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// `X-RateLimit-Limit`.
    pub limit: u32,
    /// `X-RateLimit-Remaining`.
    pub remaining: u32,
    /// `X-RateLimit-Reset`, in unix seconds.
    pub reset: i64,
    /// `Retry-After` in seconds, when the request is refused.
    pub retry_after: Option<i64>,
}

/// The requests of the last minute, by token.
#[derive(Debug, Default)]
pub struct Limits {
    admitted: HashMap<String, VecDeque<DateTime<Utc>>>,
}

impl Limits {
    /// Counts a request if the limit allows it. Refused requests are not counted.
    pub fn admit(&mut self, token: &str, now: DateTime<Utc>, limit: u32, window: RateWindow) -> Verdict {
        let admitted = self.admitted.entry(token.to_owned()).or_default();
        let ends = |first: &DateTime<Utc>| window.ends(*first);
        match window {
            RateWindow::Fixed | RateWindow::Clock => {
                if admitted.front().is_some_and(|first| ends(first) <= now) {
                    admitted.clear();
                }
            }
            RateWindow::Sliding => {
                while admitted.front().is_some_and(|first| ends(first) <= now) {
                    admitted.pop_front();
                }
            }
        }
        let held = u32::try_from(admitted.len()).unwrap_or(u32::MAX);
        let is_allowed = held < limit;
        if is_allowed {
            admitted.push_back(now);
        }
        let frees_at = window.ends(admitted.front().copied().unwrap_or(now));
        let wait = (frees_at - now).num_milliseconds().max(0);
        Verdict {
            limit,
            remaining: limit.saturating_sub(held + u32::from(is_allowed)),
            reset: now.timestamp() + whole_seconds(wait),
            retry_after: (!is_allowed).then(|| whole_seconds(wait).max(1)),
        }
    }
}

impl RateWindow {
    /// When a request counts no more that was the first of its window.
    fn ends(self, first: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Fixed | Self::Sliding => first + WINDOW,
            Self::Clock => {
                let into_it = first.timestamp_millis().rem_euclid(WINDOW.num_milliseconds());
                first + WINDOW - TimeDelta::milliseconds(into_it)
            }
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
    fn a_minute_of_the_clock_frees_everything_at_its_end() {
        let (mut limits, window) = (Limits::default(), RateWindow::Clock);
        let minute = at(0).timestamp() / 60 * 60 - at(0).timestamp();
        for second in [50, 55] {
            assert_eq!(limits.admit("t", at(minute + second), 2, window).retry_after, None);
        }
        let refused = limits.admit("t", at(minute + 59), 2, window);
        assert_eq!((refused.retry_after, refused.reset), (Some(1), at(minute + 60).timestamp()));
        let free = limits.admit("t", at(minute + 60), 2, window);
        assert_eq!((free.retry_after, free.remaining), (None, 1));
    }

    #[test]
    fn each_token_has_its_own_minute() {
        let mut limits = Limits::default();
        assert_eq!(limits.admit("a", at(0), 1, RateWindow::Fixed).retry_after, None);
        assert_eq!(limits.admit("b", at(0), 1, RateWindow::Fixed).retry_after, None);
        assert!(limits.admit("a", at(0), 1, RateWindow::Fixed).retry_after.is_some());
    }
}

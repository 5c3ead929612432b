//! The one catch-up after a time in which the broker itself was down.
//!
//! Killed over a tick, nats-server skips to the next regular one. It is the only one that knows which it has fired: the
//! trace says so. What should have come since the last tick, and did not, is asked for once: the request and a new last
//! tick are stored together or not at all, and only if the last tick is still the one that was looked at.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use databridge_broker::async_nats::header;
use databridge_broker::{BatchError, Broker};
use databridge_config::{ConfigFolder, Schedule, Timing};

use crate::SchedulerError;
use crate::stored::{self, Shelf, Stored, Subjects};

/// Catches up what each schedule has missed. A tick is missed if it has not come `grace` after it was due.
pub(crate) async fn catch_up(
    broker: &Broker,
    config: &ConfigFolder,
    grace: Duration,
) -> Result<(), SchedulerError> {
    let shelf = Shelf::open(broker).await?;
    let contents = Shelf::contents(broker).await?;
    let grace = TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX);
    let due_by = contents.now.checked_sub_signed(grace).unwrap_or(contents.now);
    for schedule in config.schedules.values() {
        let subjects = Subjects::of(schedule.name.as_str());
        if !contents.subjects.contains(&subjects.trace) {
            continue;
        }
        let (stored, last) = (shelf.last(&subjects.trace).await?, shelf.last(&subjects.last).await?);
        let Some(stored) = stored.filter(Stored::is_ours) else { continue };
        // A paused one has no timing.
        let Some(timing) = stored.timing() else { continue };
        let Some(missed) = missed(&timing, &stored, last.as_ref(), due_by) else { continue };
        ask_once(broker, schedule, &subjects, last.as_ref(), &missed).await?;
    }
    Ok(())
}

/// Ticks that did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Missed {
    /// How many, counted up to [`MOST_COUNTED`].
    ticks: usize,
    /// When the first was due.
    since: DateTime<Utc>,
}

/// More are told as "so many or more".
const MOST_COUNTED: usize = 10_000;

fn missed(timing: &Timing, stored: &Stored, last: Option<&Stored>, due_by: DateTime<Utc>) -> Option<Missed> {
    // A schedule that was stored anew, as after a pause, begins there.
    let last = last.filter(|last| last.at >= stored.at);
    let from = last.map_or(stored.at, |last| last.at);
    // The broker's own word of when it meant to fire next, if there is one, is better than ours.
    let since = last.and_then(Stored::next).or_else(|| timing.next_after(from))?;
    count(timing, since, due_by)
}

fn count(timing: &Timing, since: DateTime<Utc>, due_by: DateTime<Utc>) -> Option<Missed> {
    let turns = std::iter::successors(Some(since), |turn| timing.next_after(*turn));
    let ticks = turns.take(MOST_COUNTED).take_while(|turn| *turn <= due_by).count();
    (ticks > 0).then_some(Missed { ticks, since })
}

async fn ask_once(
    broker: &Broker,
    schedule: &Schedule,
    subjects: &Subjects,
    last: Option<&Stored>,
    missed: &Missed,
) -> Result<(), SchedulerError> {
    let name = schedule.name.as_str();
    let ticks = match missed.ticks {
        1 => "1 tick".to_owned(),
        MOST_COUNTED.. => format!("{MOST_COUNTED} ticks or more"),
        several => format!("{several} ticks"),
    };
    let since = missed.since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let reason = format!("catch-up of {name}: {ticks} missed since {since}");
    let body = stored::body(&stored::request(schedule, reason.clone()))?;
    let mut request = stored::ours(name, stored::target(schedule), body.clone());
    request.headers.insert(header::NATS_MESSAGE_TTL, stored::TICKS_KEPT);
    let mut mark = stored::ours(name, subjects.last.clone(), body);
    mark.headers.insert(header::NATS_ROLLUP, stored::ROLLUP);
    stored::expect(&mut mark, last);
    match broker.publish_batch(vec![request, mark]).await {
        Ok(_) => tracing::warn!(schedule = name, "{reason}: asked for once."),
        // Another scheduler has caught up, or the next tick has come, which does the same.
        Err(BatchError::Moved) => tracing::debug!(schedule = name, "{reason}: another was quicker."),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_due_is_counted_up_to_the_moment() {
        let every = Timing::every("5m").unwrap();
        let counted =
            |due_by: &str| count(&every, at("2026-11-28T12:05:00Z"), at(due_by)).map(|missed| missed.ticks);
        assert_eq!(counted("2026-11-28T12:04:59Z"), None);
        assert_eq!(counted("2026-11-28T12:05:00Z"), Some(1));
        assert_eq!(counted("2026-11-28T12:14:59Z"), Some(2));
        assert_eq!(counted("2027-11-28T12:14:59Z"), Some(MOST_COUNTED));
    }

    #[test]
    fn a_night_that_the_clocks_jump_over_is_not_missed() {
        let night = Timing::of_server("0 30 2 * * *", Some("America/Chicago")).unwrap();
        let since = night.next_after(at("2027-03-13T09:00:00Z")).unwrap();
        assert_eq!(count(&night, since, at("2027-03-14T20:00:00Z")), None);
        assert_eq!(count(&night, since, at("2027-03-15T20:00:00Z")).map(|missed| missed.ticks), Some(1));
    }
}

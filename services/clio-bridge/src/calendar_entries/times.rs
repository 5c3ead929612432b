//! When an entry begins and ends.

use chrono::{DateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// When an entry is, as it came with the record and goes back with a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Times {
    /// When it begins.
    pub(crate) start: DateTime<Utc>,
    /// When it ends.
    pub(crate) end: DateTime<Utc>,
    /// Whether it is of a day and of no hour.
    pub(crate) all_day: bool,
}

/// The office's clock, and how long a new entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfficeHours {
    pub(crate) zone: Tz,
    pub(crate) length: TimeDelta,
}

impl OfficeHours {
    /// A new entry. One that begins at local midnight is of the whole day: nobody goes to court at midnight.
    pub(crate) fn new_entry(&self, start: DateTime<Utc>) -> Times {
        // It ends on its own day, so that it is of that day however Clio takes the end.
        Times { start, end: start + self.length, all_day: self.is_midnight(start) }
    }

    /// An entry that begins at another time: it stays as long as it was, and of the whole day while it begins at
    /// midnight. One of the whole day that gets an hour is as long as a new one.
    pub(crate) fn moved(&self, before: Times, start: DateTime<Utc>) -> Times {
        match (before.all_day, self.is_midnight(start)) {
            (true, true) => {
                // By the office's days, which are not all of 24 hours.
                let local = |at: DateTime<Utc>| at.with_timezone(&self.zone).naive_local();
                let length = local(before.end) - local(before.start);
                let end = self.utc(local(start) + length).unwrap_or(start + self.length);
                Times { start, end, all_day: true }
            }
            (false, false) => {
                let length = (before.end - before.start).max(TimeDelta::zero());
                Times { start, end: start + length, all_day: false }
            }
            _ => self.new_entry(start),
        }
    }

    /// The moment at which an entry of a whole day begins. What Clio shows of it is read as a day, for whose midnight it
    /// is, no source tells: the office's, or that of the offset in the text.
    pub(crate) fn day_begins(&self, shown: &str) -> Option<DateTime<Utc>> {
        let at = DateTime::parse_from_rfc3339(shown).ok()?;
        let moment = at.with_timezone(&Utc);
        if self.is_midnight(moment) || at.time() != NaiveTime::MIN {
            return Some(moment);
        }
        self.utc(at.naive_local())
    }

    /// A moment as Clio is told it: by the office's clock, so that the text says the office's day. What no text can say so
    /// is told in UTC: the clocks of before standard time were seconds off whole minutes, and a year has four digits.
    pub(crate) fn told(&self, at: DateTime<Utc>) -> String {
        let local = at.with_timezone(&self.zone).to_rfc3339_opts(SecondsFormat::Secs, false);
        let says_it =
            DateTime::parse_from_rfc3339(&local).is_ok_and(|told| told.timestamp() == at.timestamp());
        if says_it { local } else { at.to_rfc3339_opts(SecondsFormat::Secs, true) }
    }

    fn is_midnight(&self, at: DateTime<Utc>) -> bool {
        at.with_timezone(&self.zone).time() == NaiveTime::MIN
    }

    fn utc(&self, local: chrono::NaiveDateTime) -> Option<DateTime<Utc>> {
        self.zone.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICE: OfficeHours =
        OfficeHours { zone: chrono_tz::America::Chicago, length: TimeDelta::minutes(30) };

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
    }

    #[test]
    fn a_start_at_the_offices_midnight_is_a_day_and_any_other_an_hour() {
        let day = OFFICE.new_entry(at("2026-11-20T06:00:00Z"));
        assert!(day.all_day);
        assert_eq!(OFFICE.told(day.start), "2026-11-20T00:00:00-06:00");
        let hour = OFFICE.new_entry(at("2026-11-20T15:00:00Z"));
        assert_eq!((hour.all_day, hour.end), (false, at("2026-11-20T15:30:00Z")));
        assert!(!OFFICE.new_entry(at("2026-11-20T00:00:00Z")).all_day, "another clock's midnight");
        assert!(OFFICE.new_entry(at("2026-07-01T05:00:00Z")).all_day, "in summer, too");
    }

    #[test]
    fn a_moment_is_told_to_the_second_even_in_a_year_that_somebody_has_mistyped() {
        assert_eq!(OFFICE.told(at("2026-07-01T05:00:00Z")), "2026-07-01T00:00:00-05:00");
        assert_eq!(OFFICE.told(at("0206-11-20T15:00:00Z")), "0206-11-20T15:00:00Z");
        let east = OfficeHours { zone: chrono_tz::Africa::Cairo, ..OFFICE };
        assert_eq!(east.told(at("9999-12-31T23:00:00Z")), "9999-12-31T23:00:00Z");
    }

    #[test]
    fn an_end_moves_along_with_its_start() {
        let hour =
            Times { start: at("2026-11-20T15:00:00Z"), end: at("2026-11-20T17:00:00Z"), all_day: false };
        assert_eq!(OFFICE.moved(hour, at("2026-11-23T16:00:00Z")).end, at("2026-11-23T18:00:00Z"));
        let days =
            Times { start: at("2026-10-30T05:00:00Z"), end: at("2026-10-31T05:00:00Z"), all_day: true };
        let over_the_change_of_clocks = OFFICE.moved(days, at("2026-11-01T05:00:00Z"));
        assert_eq!(over_the_change_of_clocks.end, at("2026-11-02T06:00:00Z"));
        assert!(over_the_change_of_clocks.all_day);
        let timed = OFFICE.moved(days, at("2026-11-20T15:00:00Z"));
        assert_eq!((timed.all_day, timed.end), (false, at("2026-11-20T15:30:00Z")));
        assert!(OFFICE.moved(hour, at("2026-11-20T06:00:00Z")).all_day);
    }

    #[test]
    fn a_day_begins_at_the_offices_midnight_however_clio_shows_it() {
        for shown in ["2026-11-20T00:00:00-06:00", "2026-11-20T06:00:00Z", "2026-11-20T00:00:00Z"] {
            assert_eq!(OFFICE.day_begins(shown), Some(at("2026-11-20T06:00:00Z")), "{shown}");
        }
    }
}

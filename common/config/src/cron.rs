//! Cron patterns as nats-server reads them.
//!
//! Its rules, with its own quirks (`server/cron.go` of nats-server 2.15.1): six fields beginning with the second; a day
//! must match both the day of the month and that of the week where one of them is a star, and either where none is; a
//! time that the clocks jump over has no turn, and one that they show twice has two.

use std::str::FromStr;

use chrono::{DateTime, Datelike, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// A cron pattern of six fields: second, minute, hour, day of the month, month, day of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    seconds: Field,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The values that a field allows, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Field {
    bits: u64,
    is_star: bool,
}

impl Field {
    fn has(self, value: u32) -> bool {
        self.bits & (1 << value) != 0
    }
}

/// What a field may hold.
struct Bounds {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const SECONDS: Bounds = Bounds { name: "second", least: 0, most: 59, names: &[] };
const MINUTES: Bounds = Bounds { name: "minute", least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { name: "hour", least: 0, most: 23, names: &[] };
const DAYS: Bounds = Bounds { name: "day of the month", least: 1, most: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds {
    name: "day of the week",
    least: 0,
    most: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// A pattern without a turn in so many days has none: 29 February comes within eight years.
const DAYS_LOOKED_AT: u32 = 8 * 366;

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [second, minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(match fields.len() {
                5 => format!(
                    "`{text}` has five fields, and six are wanted, of which the first is the second: \"0 {text}\""
                ),
                _ => format!(
                    "`{text}` has not the six fields that are wanted: second, minute, hour, day of the month, month, \
                     day of the week, such as \"0 30 3 * * *\" for half past three"
                ),
            });
        };
        let cron = Self {
            text: fields.join(" "),
            seconds: field(second, &SECONDS)?,
            minutes: field(minute, &MINUTES)?,
            hours: field(hour, &HOURS)?,
            days: field(day, &DAYS)?,
            months: field(month, &MONTHS)?,
            weekdays: field(weekday, &WEEKDAYS)?,
        };
        match cron.next_after(DateTime::UNIX_EPOCH, Tz::UTC) {
            Some(_) => Ok(cron),
            None => Err(format!("`{text}` names a day that there is in no year")),
        }
    }
}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// The first time after a moment that the clocks of a zone show what the pattern says.
    pub fn next_after(&self, moment: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let start = moment.timestamp() + 1;
        let mut at = zone.timestamp_opt(start, 0).single()?;
        let last = at.date_naive() + TimeDelta::days(i64::from(DAYS_LOOKED_AT));
        while at.date_naive() <= last {
            let seconds_on = if !self.is_on(&at) {
                // To the next hour, never over a change of the clocks within the day: they change at full hours or
                // half ones.
                if self.is_day_of(&at) { 1_800 } else { Self::seconds_to_next_day(&at) }
            } else if !self.minutes.has(at.minute()) {
                60
            } else if self.seconds.has(at.second()) {
                return Some(at.to_utc());
            } else {
                1
            };
            // To a full multiple of the step by the clocks on the wall.
            let into = i64::from(at.num_seconds_from_midnight()) % seconds_on;
            at += TimeDelta::seconds(seconds_on - into);
        }
        None
    }

    fn is_on(&self, at: &DateTime<Tz>) -> bool {
        self.is_day_of(at) && self.hours.has(at.hour())
    }

    fn is_day_of(&self, at: &DateTime<Tz>) -> bool {
        let (by_month, by_week) =
            (self.days.has(at.day()), self.weekdays.has(at.weekday().num_days_from_sunday()));
        let is_day = if self.days.is_star || self.weekdays.is_star {
            by_month && by_week
        } else {
            by_month || by_week
        };
        is_day && self.months.has(at.month())
    }

    /// Half an hour on days on which the clocks may change, else what is left of the day.
    fn seconds_to_next_day(at: &DateTime<Tz>) -> i64 {
        let tomorrow = *at + TimeDelta::days(1);
        if tomorrow.naive_local() - at.naive_local() == TimeDelta::days(1) { 86_400 } else { 1_800 }
    }
}

/// A comma-separated list of ranges.
fn field(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let mut field = Field::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (bits, is_star) = range(part, bounds)
            .ok_or_else(|| format!("`{part}` is no {}: {}", bounds.name, allowed(bounds)))?;
        field.bits |= bits;
        field.is_star |= is_star;
    }
    if field.bits == 0 {
        return Err(format!("`{text}` names no {}: {}", bounds.name, allowed(bounds)));
    }
    Ok(field)
}

fn allowed(bounds: &Bounds) -> String {
    let names = match (bounds.names.first(), bounds.names.last()) {
        (Some(first), Some(last)) => format!(", or {first} to {last}"),
        _ => String::new(),
    };
    format!(
        "write *, {} to {}{names}, ranges such as a-b, steps such as */n, and lists of these",
        bounds.least, bounds.most
    )
}

/// `*`, `?`, `n`, `a-b`, each with or without `/step`; whether it is a star.
fn range(text: &str, bounds: &Bounds) -> Option<(u64, bool)> {
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (span, Some(number(step)?)),
        None => (text, None),
    };
    let (start, end, is_star) = match span.split_once('-') {
        _ if matches!(span, "*" | "?") => (bounds.least, bounds.most, true),
        Some((start, end)) => (value(start, bounds)?, value(end, bounds)?, false),
        None => {
            let only = value(span, bounds)?;
            (only, if step.is_some() { bounds.most } else { only }, false)
        }
    };
    let step = step.unwrap_or(1);
    if start < bounds.least || end > bounds.most || start > end || step == 0 {
        return None;
    }
    let bits = (start..=end).step_by(usize::try_from(step).ok()?).fold(0, |bits, value| bits | 1 << value);
    Some((bits, is_star && step == 1))
}

fn value(text: &str, bounds: &Bounds) -> Option<u32> {
    let named = bounds.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match named {
        Some(index) => Some(bounds.least + u32::try_from(index).ok()?),
        None => number(text),
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHICAGO: Tz = Tz::America__Chicago;

    fn turns(pattern: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
        let cron: Cron = pattern.parse().unwrap();
        let mut at: DateTime<Utc> = from.parse().unwrap();
        let mut turns = Vec::new();
        for _ in 0..count {
            at = cron.next_after(at, zone).unwrap();
            turns.push(at.format("%m-%d %H:%M:%S").to_string());
        }
        turns
    }

    #[test]
    fn a_night_of_every_day_keeps_its_hour_over_the_change_of_the_clocks() {
        assert_eq!(
            turns("0 30 3 * * *", CHICAGO, "2027-03-13T00:00:00Z", 3),
            ["03-13 09:30:00", "03-14 08:30:00", "03-15 08:30:00"]
        );
    }

    #[test]
    fn a_time_that_the_clocks_jump_over_has_no_turn_and_one_that_they_show_twice_has_two() {
        assert_eq!(
            turns("0 30 2 * * *", CHICAGO, "2027-03-13T00:00:00Z", 2),
            ["03-13 08:30:00", "03-15 07:30:00"]
        );
        assert_eq!(
            turns("0 30 1 * * *", CHICAGO, "2027-11-07T00:00:00Z", 3),
            ["11-07 06:30:00", "11-07 07:30:00", "11-08 07:30:00"]
        );
        // Here they jump by half an hour.
        assert_eq!(
            turns("0 15 2 * * *", Tz::Australia__Lord_Howe, "2026-10-02T00:00:00Z", 2),
            ["10-02 15:45:00", "10-04 15:15:00"]
        );
    }

    #[test]
    fn days_of_month_and_week_are_both_asked_for_beside_a_star_and_either_without() {
        assert_eq!(
            turns("0 0 0 1 * *", Tz::UTC, "2026-11-28T00:00:00Z", 2),
            ["12-01 00:00:00", "01-01 00:00:00"]
        );
        assert_eq!(
            turns("0 0 0 * * mon", Tz::UTC, "2026-11-28T00:00:00Z", 2),
            ["11-30 00:00:00", "12-07 00:00:00"]
        );
        assert_eq!(
            turns("0 0 0 1 * MON", Tz::UTC, "2026-11-28T00:00:00Z", 2),
            ["11-30 00:00:00", "12-01 00:00:00"]
        );
    }

    #[test]
    fn lists_ranges_and_steps_are_read() {
        assert_eq!(
            turns("*/20,59 0 6-8/2 ? * 1-5", Tz::UTC, "2026-11-30T06:00:20Z", 4),
            ["11-30 06:00:40", "11-30 06:00:59", "11-30 08:00:00", "11-30 08:00:20"]
        );
        assert_eq!(
            turns("0 50/5 23 29 2 *", Tz::UTC, "2026-11-30T00:00:00Z", 2),
            ["02-29 23:50:00", "02-29 23:55:00"]
        );
    }

    #[test]
    fn what_the_server_would_refuse_is_refused_with_what_may_stand_there() {
        for (pattern, told) in [
            ("30 2 * * *", "\"0 30 2 * * *\""),
            ("@daily", "has not the six fields"),
            ("0 30 24 * * *", "`24` is no hour: write *, 0 to 23"),
            ("0 30 2 * * 7", "`7` is no day of the week: write *, 0 to 6, or sun to sat"),
            ("0 0 0 L * *", "`L` is no day of the month"),
            ("0 0 0 * * mon#1", "`mon#1` is no day of the week"),
            ("0 0 0 * * fri-mon", "`fri-mon` is no day of the week"),
            ("0 */0 0 * * *", "`*/0` is no minute"),
            ("0 0 +1 * * *", "`+1` is no hour"),
            ("0 0 0 30 2 *", "a day that there is in no year"),
            ("0 , 0 * * *", "names no minute"),
        ] {
            let error = pattern.parse::<Cron>().unwrap_err();
            assert!(error.contains(told), "{pattern}: {error}");
        }
    }
}

//! Schedules: when which system is looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use chrono_tz::Tz;
use databridge_model::{CollectionName, Mode, Name, SystemName};
use serde::Deserialize;

use crate::check::line_of;
use crate::cron::Cron;
use crate::{Finding, SystemFile};

/// When a schedule has its turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// So many seconds apart.
    Every {
        /// As it is written: `5m`.
        text: String,
        /// In seconds.
        seconds: i64,
    },
    /// By the clocks of a zone.
    Cron {
        /// The pattern.
        pattern: Cron,
        /// The zone.
        zone: Tz,
    },
}

impl Timing {
    /// Reads `5m`, `90s`, `1h30m`.
    pub fn every(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no span: write hours, minutes and seconds, such as 5m, 90s, 1h30m or 24h")
        };
        let mut seconds = Some(0_i64);
        let mut digits = String::new();
        let mut units = "hms".chars();
        for c in text.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let count: i64 = digits.parse().map_err(|_| wrong())?;
            // Each unit once, the greater first.
            let unit = units.find(|unit| *unit == c).ok_or_else(wrong)?;
            let each = match unit {
                'h' => 3_600,
                'm' => 60,
                _ => 1,
            };
            seconds = seconds.and_then(|sum| sum.checked_add(count.checked_mul(each)?));
            digits.clear();
        }
        match seconds {
            Some(seconds) if digits.is_empty() && (1..=LONGEST_SPAN).contains(&seconds) => {
                Ok(Self::Every { text: text.to_owned(), seconds })
            }
            _ => Err(wrong()),
        }
    }

    /// Reads what nats-server keeps: `@every 5m`, or a cron pattern and its zone. `None` for what we never write.
    pub fn of_server(pattern: &str, zone: Option<&str>) -> Option<Self> {
        match (pattern.strip_prefix("@every "), zone) {
            (Some(span), None) => Self::every(span).ok(),
            (None, Some(zone)) => {
                Some(Self::Cron { pattern: pattern.parse().ok()?, zone: zone.parse().ok()? })
            }
            _ => None,
        }
    }

    /// As nats-server takes it, without the zone.
    pub fn pattern(&self) -> String {
        match self {
            Self::Every { text, .. } => format!("@every {text}"),
            Self::Cron { pattern, .. } => pattern.to_string(),
        }
    }

    /// By which clocks it goes.
    pub fn zone(&self) -> Option<Tz> {
        match self {
            Self::Every { .. } => None,
            Self::Cron { zone, .. } => Some(*zone),
        }
    }

    /// The turn after a moment, as nats-server has it: of a span it is counted from that moment, to the full second.
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Every { seconds, .. } => {
                let from = moment.duration_round(TimeDelta::seconds(1)).ok()?;
                from.checked_add_signed(TimeDelta::seconds(*seconds))
            }
            Self::Cron { pattern, zone } => pattern.next_after(moment, *zone),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every { text, .. } => write!(f, "every {text}"),
            Self::Cron { pattern, zone } => write!(f, "{pattern} in {zone}"),
        }
    }
}

/// A year: whoever writes more has mistaken the unit.
const LONGEST_SPAN: i64 = 366 * 86_400;

/// One table of `config/schedules.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name: the table's.
    pub name: Name,
    /// The system that is looked at.
    pub system: SystemName,
    /// The one collection of it; all if there is none.
    pub collection: Option<CollectionName>,
    /// How much is read.
    pub mode: Mode,
    /// When.
    pub timing: Timing,
}

impl Schedule {
    /// What is looked at, as the file has it: `gis`, `gis.attachments`.
    pub fn request(&self) -> String {
        match &self.collection {
            Some(collection) => format!("{}.{collection}", self.system),
            None => self.system.to_string(),
        }
    }
}

/// A table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    request: String,
    #[serde(default)]
    mode: Mode,
    every: Option<String>,
    cron: Option<String>,
    zone: Option<String>,
}

/// Reads the text of `schedules.toml`, and gives what is wrong in it beside what is right.
pub(crate) fn read(
    file: &Path,
    text: &str,
    systems: &BTreeMap<SystemName, SystemFile>,
) -> (BTreeMap<Name, Schedule>, Vec<Finding>) {
    let tables = match crate::folder::parse::<BTreeMap<Name, Table>>(file, text) {
        Ok(tables) => tables,
        Err(finding) => return (BTreeMap::new(), vec![finding]),
    };
    let mut schedules = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, table) in tables {
        let mut find = |key: &str, (problem, mend): (String, String)| {
            let line = line_of_key(text, &name, key);
            findings.push(Finding {
                file: file.to_owned(),
                line,
                problem: format!("[{name}] {problem}"),
                mend,
            });
        };
        if name.as_str() == "all" {
            let mend = "Give it another name".to_owned();
            find("", ("the name `all` means every schedule".to_owned(), mend));
        }
        if table.mode == Mode::Migrate {
            let mend = "Write mode = \"full\" to read everything; a migrate is run by hand".to_owned();
            find("mode", ("a schedule makes no migrate".to_owned(), mend));
        }
        let aim = aim(&table.request, systems).map_err(|wrong| find("request", wrong));
        let timing = timing(&table).map_err(|(key, wrong)| find(key, wrong));
        if let (Ok((system, collection)), Ok(timing)) = (aim, timing) {
            let schedule = Schedule { name: name.clone(), system, collection, mode: table.mode, timing };
            schedules.insert(name, schedule);
        }
    }
    (schedules, findings)
}

/// The system and collection that a request names. An error is a problem and its mend.
fn aim(
    request: &str,
    systems: &BTreeMap<SystemName, SystemFile>,
) -> Result<(SystemName, Option<CollectionName>), (String, String)> {
    let (system, collection) = match request.split_once('.') {
        Some((system, collection)) => (system, Some(collection)),
        None => (request, None),
    };
    let Some((name, file)) = systems.iter().find(|(name, _)| name.as_str() == system) else {
        let known = list(systems.keys());
        return Err((format!("there is no system `{system}`"), format!("Systems: {known}")));
    };
    let Some(wanted) = collection else { return Ok((name.clone(), None)) };
    match file.collections.keys().find(|collection| collection.as_str() == wanted) {
        Some(collection) => Ok((name.clone(), Some(collection.clone()))),
        None => {
            let known = list(file.collections.keys());
            Err((format!("there is no collection `{request}`"), format!("Collections of {name}: {known}")))
        }
    }
}

/// The timing of a table. An error is the key where it is wrong, the problem and its mend.
fn timing(table: &Table) -> Result<Timing, (&'static str, (String, String))> {
    let zone_mend =
        "Write zone = \"America/Chicago\", or where you are, as the IANA time zone database has it"
            .to_owned();
    match (&table.every, &table.cron) {
        (Some(every), None) => {
            if table.zone.is_some() {
                let problem = "every goes by no clock, so it has no zone".to_owned();
                return Err(("zone", (problem, "Take `zone` out, or write a cron".to_owned())));
            }
            Timing::every(every).map_err(|problem| ("every", (problem, String::new())))
        }
        (None, Some(cron)) => {
            let pattern = cron.parse().map_err(|problem| ("cron", (problem, String::new())))?;
            let Some(zone) = &table.zone else {
                return Err((
                    "cron",
                    ("a cron goes by the clocks of a zone, and none is named".to_owned(), zone_mend),
                ));
            };
            let zone =
                zone.parse().map_err(|_| ("zone", (format!("there is no time zone `{zone}`"), zone_mend)))?;
            Ok(Timing::Cron { pattern, zone })
        }
        (both, _) => {
            let problem =
                if both.is_some() { "it has both every and cron" } else { "it says nothing of when" };
            let mend = "Write either every = \"5m\" or cron = \"0 30 3 * * *\" with a zone".to_owned();
            Err(("every", (problem.to_owned(), mend)))
        }
    }
}

fn list<T: fmt::Display>(names: impl Iterator<Item = T>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// The line of a key in the table of a schedule, or else that of the table.
fn line_of_key(text: &str, name: &Name, key: &str) -> Option<usize> {
    let table = line_of(text, &format!("[{name}]"), 0)?;
    let within =
        text.lines().enumerate().skip(table).take_while(|(_, line)| !line.trim_start().starts_with('['));
    let is_key = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let found = within.filter(|(_, line)| is_key(line)).map(|(index, _)| index + 1).next();
    Some(found.unwrap_or(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_the_server_reads_them() {
        for (text, expected) in
            [("5m", 300), ("90s", 90), ("1h30m", 5_400), ("24h", 86_400), ("1h0m5s", 3_605)]
        {
            let timing = Timing::every(text).unwrap();
            assert!(matches!(timing, Timing::Every { seconds, .. } if seconds == expected), "{text}");
            assert_eq!(Timing::of_server(&timing.pattern(), None), Some(timing));
        }
        for text in [
            "",
            "5",
            "m",
            "0s",
            "1d",
            "5 m",
            "-5m",
            "1.5h",
            "30m1h",
            "99999999h",
            "5mm",
            "9999999999999999999h",
        ] {
            let error = Timing::every(text).unwrap_err();
            assert!(error.contains("such as 5m"), "{error}");
        }
    }

    #[test]
    fn a_span_counts_from_the_nearest_full_second() {
        let every = Timing::every("5m").unwrap();
        let next = |from: &str| every.next_after(from.parse().unwrap()).unwrap().to_rfc3339();
        assert_eq!(next("2026-11-28T12:00:00.499Z"), "2026-11-28T12:05:00+00:00");
        assert_eq!(next("2026-11-28T12:00:00.500Z"), "2026-11-28T12:05:01+00:00");
    }
}

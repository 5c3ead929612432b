//! The bodies of the fuzz targets `config_files`, `schedules` and `converters`. Nothing of the product depends on them.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use databridge_model::{FieldType, Value};
use serde::de::DeserializeOwned;

use crate::{ConfigError, ConfigFolder, Converter, Cron, Surroundings, Timing};

/// A config folder: what follows a line `== systems/gis.toml` is that file.
pub fn config_files(data: &[u8]) {
    let folder = folder_of(&String::from_utf8_lossy(data));
    match read(&folder) {
        Ok(read) => is_usable(&read),
        Err(ConfigError::Wrong(findings)) => {
            assert!(!findings.is_empty());
            for finding in findings {
                let (_, text) = folder.iter().find(|(file, _)| *file == finding.file).unwrap_or(&NO_FILE);
                let lines = text.lines().count() + 1;
                assert!(finding.line.is_none_or(|line| (1..=lines).contains(&line)), "{finding}");
                assert!(!finding.problem.is_empty(), "{finding}");
            }
        }
        Err(error) => assert_eq!(error.to_string(), "", "files were read that are there"),
    }
}

/// The folder of these files.
pub fn read(folder: &[(PathBuf, String)]) -> Result<ConfigFolder, ConfigError> {
    let texts = |of: &str| -> Vec<(PathBuf, String)> {
        folder.iter().filter(|(file, _)| file.starts_with(of)).cloned().collect()
    };
    let schedules = folder.iter().find(|(file, _)| file == Path::new("schedules.toml"));
    let schedules = schedules.map(|(_, text)| text.as_str());
    ConfigFolder::of(Path::new(""), texts("systems"), texts("routes"), schedules)
}

static NO_FILE: (PathBuf, String) = (PathBuf::new(), String::new());

/// The files of a folder by their names, each once.
pub fn folder_of(text: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for part in text.split("\n== ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        if !files.iter().any(|(known, _)| known == Path::new(name)) {
            files.push((PathBuf::from(name), text.to_owned()));
        }
    }
    files
}

fn is_usable(read: &ConfigFolder) {
    for system in read.systems.values() {
        for collection in system.collections.values() {
            assert!(collection.field(&collection.key).is_some());
            let _calls = collection.cost.of(1_000_000, 1_000_000, 1_000_000);
        }
    }
    for schedule in read.schedules.values() {
        assert!(schedule.timing.next_after(DateTime::UNIX_EPOCH).is_some(), "{}", schedule.timing);
    }
    for route in read.routes.values() {
        assert!(
            read.collection(&route.left.collection).is_some()
                && read.collection(&route.right.collection).is_some()
        );
    }
}

/// A pattern or a span, a zone and a moment, a line each.
pub fn schedules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let pattern = lines.next().unwrap_or_default();
    let zone = lines.next().unwrap_or_default().parse::<Tz>().unwrap_or(Tz::UTC);
    let seconds = lines.next().and_then(|line| line.parse::<i64>().ok()).unwrap_or_default();
    // The years from 1970 to 2100.
    let moment = DateTime::from_timestamp(seconds.rem_euclid(130 * 365 * 86_400), 0).unwrap_or_default();
    match Timing::every(pattern) {
        Ok(timing) => {
            assert_eq!(Timing::of_server(&timing.pattern(), None).as_ref(), Some(&timing));
            assert!(timing.next_after(moment).is_some_and(|next| next > moment), "{timing}");
        }
        Err(error) => assert!(error.contains("such as"), "{error}"),
    }
    match pattern.parse::<Cron>() {
        Ok(cron) => has_its_turns(&Timing::Cron { pattern: cron, zone }, zone, moment),
        Err(error) => assert!(error.contains('`'), "{error}"),
    }
}

fn has_its_turns(timing: &Timing, zone: Tz, moment: DateTime<Utc>) {
    assert_eq!(Timing::of_server(&timing.pattern(), Some(zone.name())).as_ref(), Some(timing));
    // An hour that the clocks of this zone leap over may be its only one.
    let Some(next) = timing.next_after(moment) else { return };
    assert!(next > moment, "{timing} after {moment}: {next}");
    for share in [1, 2, 3] {
        let between = moment + (next - moment) * share / 4;
        let from_there = if between < next { timing.next_after(between) } else { Some(next) };
        assert_eq!(from_there, Some(next), "{timing} after {moment}, and after {between}");
    }
    let just_before = timing.next_after(next - TimeDelta::seconds(1));
    assert_eq!(just_before, Some(next), "{timing} after {moment}, and just before");
}

/// A converter, two types and a zone in the first line, a value and what is there in the next two.
pub fn converters(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let words: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    let [converter, from, to, zone] = words.as_slice() else { return };
    let (Some(converter), Some(from), Some(to)) =
        (word::<Converter>(converter), word::<FieldType>(from), word::<FieldType>(to))
    else {
        return;
    };
    let zone = zone.parse::<Tz>().unwrap_or(Tz::UTC);
    let mut value =
        || lines.next().and_then(|line| serde_json::from_str::<Value>(line).ok()).unwrap_or_default();
    let (value, current) = (value(), value());
    let around = Surroundings { zone, current: &current };
    // What others have stored need not be canonical, nor fit.
    let _any = converter.apply(&value, &to, around);
    let (Ok(value), true) = (from.canonical(value), converter.check(&from, &to).is_ok()) else { return };
    let made = match converter.apply(&value, &to, around) {
        Ok(made) => made,
        Err(error) => {
            assert!(error.to_string().len() <= 1000, "{error}");
            return;
        }
    };
    assert_eq!(to.canonical(made.clone()).as_ref(), Ok(&made), "{value:?} as {to}");
    if value.is_null() {
        assert!(made.is_null());
    }
    if converter == Converter::LocalDate && from == FieldType::Date && is_shown(&value, zone) {
        let back = converter.apply(&made, &from, Surroundings { zone, current: &value });
        assert_eq!(back.as_ref(), Ok(&value), "by {made:?} in {zone}");
    }
    if converter == Converter::Same && converter.check(&to, &from).is_ok() {
        let back = converter.apply(&made, &from, around);
        assert_eq!(back.as_ref(), Ok(&value), "by {made:?}");
    }
}

/// Whether the clocks of the zone show the noon of a day: some leap over one whole.
fn is_shown(day: &Value, zone: Tz) -> bool {
    let day = day.as_text().and_then(|day| day.parse::<chrono::NaiveDate>().ok());
    let noon = day.and_then(|day| day.and_hms_opt(12, 0, 0));
    noon.is_none_or(|noon| zone.from_local_datetime(&noon).earliest().is_some())
}

fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(text)).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_has_kept_of_config_files_passes() {
        corpus::replay("config_files", super::config_files);
    }

    #[test]
    fn what_fuzzing_has_kept_of_schedules_passes() {
        corpus::replay("schedules", super::schedules);
    }

    #[test]
    fn what_fuzzing_has_kept_of_converters_passes() {
        corpus::replay("converters", super::converters);
    }
}

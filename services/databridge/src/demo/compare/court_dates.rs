//! The next entry of the calendar, and the court date on the map.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use sandbox::client::GisFeature;
use sandbox::clio::hand::EntryPage;
use serde_json::Value;

use super::super::picture::Picture;
use super::waiting::Waiting;
use super::{Case, Comparison};

/// Where court dates stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourtDates {
    /// The layer's field.
    pub field: String,
    /// The custom field of the matter that shows the day, if there is one.
    pub day: Option<String>,
    /// The name of the calendar.
    pub calendar: String,
}

impl CourtDates {
    pub(super) fn compare(
        &self,
        picture: &Picture,
        zone: Tz,
        cases: &[Case<'_>],
        waiting: &Waiting<'_>,
        found: &mut Comparison,
    ) {
        let by_matter = self.by_matter(picture, zone);
        let is_to_come = |at: &DateTime<Utc>| *at > picture.now;
        let waits = |key: &str| {
            waiting.has_field(key, &self.field) || waiting.has_below("clio.calendar_entries", key)
        };
        for case in cases.iter().filter(|case| !waits(&case.key)) {
            let entries = by_matter.get(&case.matter.id).map_or(&[][..], Vec::as_slice);
            let next = entries.iter().copied().find(is_to_come);
            let on_map = self.on_map(case.row).filter(is_to_come);
            found.compared.court_dates += usize::from(next.is_some() || on_map.is_some());
            let (key, field) = (&case.key, &self.field);
            let told = |at: DateTime<Utc>| told(at, zone);
            match (on_map, next) {
                (on_map, next) if on_map == next => {}
                (Some(on_map), None) => found.differences.push(format!(
                    "{key}: {field} is {}, and the calendar has no entry to come",
                    told(on_map)
                )),
                (None, Some(next)) => found.differences.push(format!(
                    "{key}: the calendar has an entry on {}, and {field} is no date to come",
                    told(next)
                )),
                (Some(on_map), Some(next)) => found.differences.push(format!(
                    "{key}: {field} is {} and the next entry of the calendar {}",
                    told(on_map),
                    told(next)
                )),
                (None, None) => {}
            }
            if let Some([twice, ..]) = entries.windows(2).find(|pair| pair.first() == pair.last()) {
                found.differences.push(format!("{key}: the calendar has {} twice", told(*twice)));
            }
        }
    }

    /// When the court sits by the map.
    pub(crate) fn on_map(&self, row: &GisFeature) -> Option<DateTime<Utc>> {
        row.attributes.get(&self.field).and_then(Value::as_i64).and_then(DateTime::from_timestamp_millis)
    }

    /// When the entries of each matter begin, the earliest first.
    fn by_matter(&self, picture: &Picture, zone: Tz) -> BTreeMap<i64, Vec<DateTime<Utc>>> {
        let mut by_matter: BTreeMap<i64, Vec<DateTime<Utc>>> = BTreeMap::new();
        for entry in self.entries(picture) {
            if let Some(matter) = entry.matter {
                by_matter.entry(matter).or_default().push(begins(entry, zone));
            }
        }
        for entries in by_matter.values_mut() {
            entries.sort();
        }
        by_matter
    }

    /// The entries of the calendar. Those that recur are nobody's court dates.
    pub(crate) fn entries<'a>(
        &self,
        picture: &'a Picture,
    ) -> impl Iterator<Item = &'a EntryPage> + use<'a, '_> {
        let is_ours = |entry: &&EntryPage| entry.calendar == self.calendar && entry.recurrence_rule.is_none();
        picture.entries.iter().filter(is_ours)
    }
}

/// When an entry begins. One of a whole day does at the office's midnight; where Clio shows another clock's midnight, the
/// day counts.
pub(crate) fn begins(entry: &EntryPage, zone: Tz) -> DateTime<Utc> {
    let start = entry.start_at;
    let is_midnight = |time: NaiveTime| time == NaiveTime::MIN;
    if !entry.all_day || is_midnight(start.with_timezone(&zone).time()) || !is_midnight(start.time()) {
        return start;
    }
    let local = zone.from_local_datetime(&start.naive_utc()).earliest();
    local.map_or(start, |at| at.with_timezone(&Utc))
}

/// A court date as a person reads it.
pub(crate) fn told(at: DateTime<Utc>, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    let format = if local.time() == NaiveTime::MIN { "%Y-%m-%d all day" } else { "%Y-%m-%d %H:%M" };
    local.format(format).to_string()
}

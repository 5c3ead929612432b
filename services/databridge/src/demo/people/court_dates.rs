//! Court dates, on either side.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use sandbox::client::GisEdit;
use sandbox::clio::hand::{EntryEdit, EntryPage, MatterEdit, NewEntry};

use super::super::compare::court_dates::begins;
use super::super::compare::{Case, CourtDates};
use super::{Act, Arrival, People, Place, Wanted};

/// So many of each kind.
const EACH: usize = 2;

impl People<'_> {
    /// Types court dates on the map: moves some, and enters some where there was none to come.
    pub(crate) async fn set_dates_on_the_map(&self) -> anyhow::Result<Option<Act>> {
        let Some(dates) = &self.comparer.court_dates else { return Ok(None) };
        let to_come = |case: &Case<'_>| dates.on_map(case.row).filter(|at| *at > self.picture.now);
        let mut arrivals = Vec::new();
        let mut typed = self.cases(50, EACH, |case| to_come(case).is_some());
        typed.extend(self.cases(50, EACH, |case| to_come(case).is_none()));
        for case in &typed {
            let at = match to_come(case) {
                Some(at) => self.later(at, 14),
                None => self.morning_in(30),
            };
            let edit = GisEdit::field(&dates.field, at.timestamp_millis());
            self.admin.edit_feature(self.layer, case.id, &edit).await?;
            let place = if to_come(case).is_some() { "moved entry" } else { "new entry" };
            arrivals.push(Arrival::new(&case.key, place, Wanted::Entry(at)));
        }
        let follows = arrivals.iter().filter_map(|it| self.row_of_setting(it)).collect();
        Ok(Some(Act {
            name: format!("{} dates on the map", arrivals.len()),
            headline: format!("People type {} court dates on the map", arrivals.len()),
            place: Place::Map,
            needs_full: false,
            things: "court dates",
            arrivals,
            follows,
        }))
    }

    /// Moves entries of the calendar, and makes some.
    pub(crate) async fn set_dates_in_clio(&self) -> anyhow::Result<Option<Act>> {
        let Some(dates) = &self.comparer.court_dates else { return Ok(None) };
        let mut arrivals = Vec::new();
        for case in self.cases(60, EACH, |case| self.next_entry(dates, case).is_some()) {
            let Some(entry) = self.next_entry(dates, &case) else { continue };
            let start_at = self.later(entry.start_at, 7);
            let edit = EntryEdit {
                start_at: Some(start_at),
                end_at: Some(start_at + (entry.end_at - entry.start_at)),
                ..EntryEdit::default()
            };
            self.admin.edit_calendar_entry(entry.id, &edit).await?;
            arrivals.push(Arrival::new(&case.key, &dates.field, Wanted::OnMap(start_at)));
        }
        for case in self.cases(60, EACH, |case| self.next_entry(dates, case).is_none()) {
            let at = self.morning_in(21);
            let summary = format!("Status hearing {}", case.key);
            let entry = NewEntry::new(&dates.calendar, &summary, at, at + TimeDelta::minutes(30));
            self.admin.add_calendar_entry(&entry.on(case.matter.id)).await?;
            arrivals.push(Arrival::new(&case.key, &dates.field, Wanted::OnMap(at)));
        }
        let follows = arrivals.iter().filter_map(|it| self.row_of_setting(it)).collect();
        Ok(Some(Act {
            name: format!("{} dates in Clio", arrivals.len()),
            headline: format!("People set {} court dates in Clio", arrivals.len()),
            place: Place::Clio,
            needs_full: false,
            things: "court dates",
            arrivals,
            follows,
        }))
    }

    /// Types days into matters: the entry of some moves and keeps its hour, others get one at midnight.
    pub(crate) async fn type_days_in_clio(&self) -> anyhow::Result<Option<Act>> {
        let Some(dates) = &self.comparer.court_dates else { return Ok(None) };
        let Some(field) = &dates.day else { return Ok(None) };
        let mut arrivals = Vec::new();
        let mut typed = self.cases(70, EACH, |case| self.next_entry(dates, case).is_some());
        typed.extend(self.cases(70, EACH, |case| self.next_entry(dates, case).is_none()));
        for case in &typed {
            let (place, at) = match self.next_entry(dates, case) {
                Some(entry) => ("moved entry", self.later(begins(entry, self.comparer.zone), 28)),
                None => ("new entry", self.at(self.working_day_in(35), NaiveTime::MIN)),
            };
            let day = at.with_timezone(&self.comparer.zone).date_naive().to_string();
            self.admin.edit_matter(case.matter.id, &MatterEdit::field(field, Some(&day))).await?;
            arrivals.push(Arrival::new(&case.key, place, Wanted::Entry(at)));
        }
        let follows = arrivals.iter().filter_map(|it| self.row_of_setting(it)).collect();
        Ok(Some(Act {
            name: format!("{} days in matters", arrivals.len()),
            headline: format!("People type another day into {} matters", arrivals.len()),
            place: Place::Clio,
            needs_full: false,
            things: "court dates",
            arrivals,
            follows,
        }))
    }

    /// Each new setting has a row of history once its matter is read back, where the routes say so.
    fn row_of_setting(&self, arrival: &Arrival) -> Option<Arrival> {
        self.comparer.history.as_ref()?.setting.as_ref()?;
        match arrival.wanted {
            Wanted::Entry(at) | Wanted::OnMap(at) => {
                Some(Arrival::new(&arrival.key, "row of history", Wanted::Setting(at)))
            }
            _ => None,
        }
    }

    /// The entry that is next for a matter.
    fn next_entry(&self, dates: &CourtDates, case: &Case<'_>) -> Option<&EntryPage> {
        let of_matter = dates.entries(&self.picture).filter(|entry| entry.matter == Some(case.matter.id));
        let to_come = of_matter.filter(|entry| begins(entry, self.comparer.zone) > self.picture.now);
        to_come.min_by_key(|entry| entry.start_at)
    }

    /// So many days later at the same hour of the office's clock.
    fn later(&self, at: DateTime<Utc>, days: i64) -> DateTime<Utc> {
        let local = at.with_timezone(&self.comparer.zone);
        self.at(local.date_naive() + TimeDelta::days(days), local.time())
    }

    /// Nine o'clock of a working day, so many days ahead or a little more.
    fn morning_in(&self, days: i64) -> DateTime<Utc> {
        self.at(self.working_day_in(days), NaiveTime::from_hms_opt(9, 0, 0).unwrap_or_default())
    }

    /// A working day, so many days ahead or a little more.
    fn working_day_in(&self, days: i64) -> NaiveDate {
        let today = self.picture.now.with_timezone(&self.comparer.zone).date_naive();
        let mut day = today + TimeDelta::days(days);
        while day.weekday().number_from_monday() > 5 {
            day += TimeDelta::days(1);
        }
        day
    }

    fn at(&self, day: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
        let local = day.and_time(time);
        let at = self.comparer.zone.from_local_datetime(&local).earliest();
        at.map_or_else(|| Utc.from_utc_datetime(&local), |at| at.with_timezone(&Utc))
    }
}

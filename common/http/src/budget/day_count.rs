//! The calls of a day, as they are counted.

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use super::Taken;

/// How many calls of a day are taken: what a ledger keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The calls that are taken.
    pub calls: u32,
    /// The budget, as whoever took the last of them was told.
    pub per_day: u32,
}

impl DayCount {
    /// Takes up to so many calls of a day from what is kept, if anything is.
    ///
    /// A day that another's clock has begun already goes on; one that lies further ahead was begun by a clock that was
    /// wrong, and is this one with all its calls.
    pub fn take(kept: Option<Self>, day: NaiveDate, wanted: u32, per_day: u32) -> (Self, Taken) {
        let tomorrow = day.checked_add_days(Days::new(1)).unwrap_or(day);
        let (day, before) = match kept {
            Some(kept) if kept.day > tomorrow => (day, kept.calls),
            Some(kept) if kept.day >= day => (kept.day, kept.calls),
            _ => (day, 0),
        };
        let calls = wanted.min(per_day.saturating_sub(before));
        let in_all = before.saturating_add(calls);
        (Self { day, calls: in_all, per_day }, Taken { day, calls, in_all })
    }

    /// Without calls of a day that were not made.
    pub fn without(self, day: NaiveDate, calls: u32) -> Self {
        let calls = if day == self.day { self.calls.saturating_sub(calls) } else { self.calls };
        Self { calls, ..self }
    }
}

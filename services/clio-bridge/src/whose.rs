//! Whose a matter is. What hangs on a matter shows the matter's id and not its group and practice area ("Fields": the schema
//! of a matter inside another record has neither), so Clio is asked for the matters themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use databridge_bridge::Shown;
use databridge_http::{CallError, ErrorClass};
use serde_json::Value as Json;

use crate::api::{self, filter};
use crate::clio::Clio;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{id_of, is_our_matter, matter_in};

/// On a matter that Clio has shown as ours is written without asking again for so long (docs/decisions/011). What is
/// published of such a write is what was written, and what the record showed before.
const WRITTEN_BELOW_FOR: TimeDelta = TimeDelta::minutes(2);

/// The same in a migrate, which makes thousands of records below the matters that it has just made or listed.
const MIGRATED_BELOW_FOR: TimeDelta = TimeDelta::hours(2);

/// Matters that Clio has shown as ours. Nothing but Clio's word makes one.
#[derive(Clone, Debug, Default)]
pub(crate) struct OurMatters(BTreeSet<u64>);

impl OurMatters {
    /// Whether a matter is among them.
    pub(crate) fn has(&self, matter: u64) -> bool {
        self.0.contains(&matter)
    }

    /// The matter inside a record, if it is one of them.
    pub(crate) fn of(&self, record: &Json) -> Option<u64> {
        matter_in(record).filter(|matter| self.has(*matter))
    }

    /// For tests and fuzzing, which have no Clio to ask.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn sample(matters: &[u64]) -> Self {
        Self(matters.iter().copied().collect())
    }
}

/// When Clio last showed a matter as ours.
#[derive(Debug, Default)]
pub(crate) struct LatelyOurs {
    at: Mutex<BTreeMap<u64, DateTime<Utc>>>,
    /// Matters that writes wait to hear of: one question is for all of them.
    awaited: Mutex<BTreeSet<u64>>,
    asking: tokio::sync::Mutex<()>,
}

impl LatelyOurs {
    /// Clio shows these as ours now.
    pub(crate) fn note(&self, matters: impl IntoIterator<Item = u64>, now: DateTime<Utc>) {
        locked(&self.at).extend(matters.into_iter().map(|matter| (matter, now)));
    }

    fn forget(&self, matter: u64) {
        locked(&self.at).remove(&matter);
    }

    fn is_since(&self, matter: u64, since: DateTime<Utc>) -> bool {
        locked(&self.at).get(&matter).is_some_and(|at| since < *at)
    }

    /// Up to so many matters that were ours and were not shown since; first those after this one, because a migrate
    /// writes below its matters in the order in which they were made.
    fn likely_next(&self, matter: u64, most: usize, since: DateTime<Utc>) -> Vec<u64> {
        let at = locked(&self.at);
        let in_order = at.range(matter..).chain(at.range(..matter));
        let due = in_order.filter(|(_, at)| **at <= since);
        due.map(|(matter, _)| *matter).take(most).collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clio {
    /// Which of these matters are ours. Asked after what names them was read, so that what is shown of a matter was shown
    /// while it was ours; a call for each 200 of them, none for none.
    pub(crate) async fn ours_among(
        &self,
        errand: &Errand,
        matters: impl IntoIterator<Item = u64>,
        found: &Found,
    ) -> Result<OurMatters, CallError> {
        let asked: Vec<u64> = matters.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut ours = OurMatters::default();
        for some in asked.chunks(api::PAGE) {
            ours.0.extend(self.ours_of_a_page(errand, some, found).await?);
        }
        for foreign in asked.iter().filter(|matter| !ours.has(**matter)) {
            self.lately.forget(*foreign);
        }
        self.lately.note(ours.0.iter().copied(), self.client.clock().now());
        Ok(ours)
    }

    async fn ours_of_a_page(
        &self,
        errand: &Errand,
        asked: &[u64],
        found: &Found,
    ) -> Result<Vec<u64>, CallError> {
        let numbers =
            [found.group_id, found.practice_area_id, api::PAGE as u64].map(|number| number.to_string());
        let [group, practice_area, most] = &numbers;
        let ids: Vec<_> = asked.iter().map(ToString::to_string).collect();
        let mut query: Vec<_> = ids.iter().map(|id| (filter::IDS, id.as_str())).collect();
        query.extend([
            (filter::GROUP, group.as_str()),
            (filter::PRACTICE_AREA, practice_area),
            api::ORDER,
            (api::LIMIT, most),
            (api::FIELDS, api::WHOSE_FIELDS),
        ]);
        let (body, answer) = self.client.page(errand, &self.client.url(&api::MATTERS.list(), &query)).await?;
        if body.strays_from(asked) {
            // Those asked for may be on any page: none of them can be taken for foreign. Asked again, it may be heeded.
            return Err(
                answer.error(ErrorClass::Transient, "Clio was asked for some matters by id and shows others")
            );
        }
        Ok(body.data.iter().filter(|matter| is_our_matter(found, matter)).filter_map(id_of).collect())
    }

    /// Clio shows these matters as ours.
    pub(crate) fn note_ours(&self, matters: &[Shown]) {
        let ids = matters.iter().filter_map(|matter| matter.id.parse().ok());
        self.lately.note(ids, self.client.clock().now());
    }

    /// This matter if it is ours, before something is written below it. Writes that wait for such an answer share one, and
    /// those that are likely to come next are asked for with them.
    pub(crate) async fn ours_to_write_below(
        &self,
        errand: &Errand,
        matter: u64,
        found: &Found,
    ) -> Result<OurMatters, CallError> {
        let may_be_old = if errand.is_of_a_migrate() { MIGRATED_BELOW_FOR } else { WRITTEN_BELOW_FOR };
        let ago = |time: TimeDelta| self.client.clock().now() - time;
        let this = || OurMatters(BTreeSet::from([matter]));
        if self.lately.is_since(matter, ago(may_be_old)) {
            return Ok(this());
        }
        locked(&self.lately.awaited).insert(matter);
        // The other pushes of the same take say theirs, too.
        tokio::task::yield_now().await;
        let _asking = self.turn_to_ask(errand).await?;
        if self.lately.is_since(matter, ago(may_be_old)) {
            return Ok(this());
        }
        let mut asked = std::mem::take(&mut *locked(&self.lately.awaited));
        asked.insert(matter);
        let room = api::PAGE.saturating_sub(asked.len());
        asked.extend(self.lately.likely_next(matter, room, ago(WRITTEN_BELOW_FOR)));
        let ours = self.ours_among(errand, asked, found).await?;
        Ok(if ours.has(matter) { this() } else { OurMatters::default() })
    }

    /// A push waits for another's question no longer than for the limit.
    async fn turn_to_ask(&self, errand: &Errand) -> Result<tokio::sync::MutexGuard<'_, ()>, CallError> {
        let asking = self.lately.asking.lock();
        let Some(patience) = errand.patience() else { return Ok(asking.await) };
        tokio::time::timeout(patience, asking).await.map_err(|_| CallError {
            class: ErrorClass::Limited(None),
            call: "GET matters".to_owned(),
            message: "another push waits for Clio's word whose its matter is".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matter_is_written_below_for_a_while_and_the_next_ones_are_asked_for_with_it() {
        let begin = DateTime::UNIX_EPOCH;
        let later = begin + TimeDelta::minutes(1);
        let lately = LatelyOurs::default();
        lately.note([1, 5, 6, 7], begin);
        assert!(lately.is_since(5, begin - TimeDelta::seconds(1)) && !lately.is_since(5, begin));
        lately.note([6], later);
        assert_eq!(lately.likely_next(5, 9, begin), [5, 7, 1]);
        assert_eq!(lately.likely_next(5, 1, begin), [5]);
        lately.forget(7);
        assert_eq!(lately.likely_next(5, 9, begin), [5, 1]);
    }
}

//! What the bridge's own machinery must know of a kind of record, to list it and to push it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use databridge_bridge::{PushTask, Shown};
use databridge_http::CallError;
use databridge_model::Parked;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::Value as Json;

use crate::api::Resource;
use crate::clio::Clio;
use crate::declared::Declared;
use crate::errand::{Errand, PATIENCE_OF_A_PUSH};
use crate::found::Found;
use crate::push::{Settled, Stop};
use crate::whose::OurMatters;

/// What was read of a page.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) records: Vec<Shown>,
    pub(crate) notices: Vec<Parked>,
    /// Records of other groups, practice areas and calendars: nothing of them leaves the reading.
    pub(crate) foreign: usize,
}

impl Reading {
    /// Reads a page record by record; what gives `None` is not ours.
    pub(crate) fn of(page: &[Json], mut read: impl FnMut(&Json, &mut Self) -> Option<Shown>) -> Self {
        let mut reading = Self::default();
        for json in page {
            match read(json, &mut reading) {
                Some(shown) => reading.records.push(shown),
                None => reading.foreign += 1,
            }
        }
        reading
    }

    /// Tells of records that one push has made, as happens where a write was applied twice: a person may take all but one
    /// away.
    pub(crate) fn tell_of_doubles(&mut self, kind: &dyn Kind) {
        let mut by_push: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for shown in &self.records {
            if let Some(push) = &shown.made_by {
                by_push.entry(push).or_default().push(&shown.id);
            }
        }
        let doubles = by_push.into_values().filter(|ids| ids.len() > 1);
        let told = doubles.map(|ids| {
            let reason = format!(
                "Clio applied the making of a {} more than once, and there are {} of it: {}; only one is carried over, \
                 delete the others in Clio",
                kind.resource().singular,
                ids.len(),
                ids.join(" and ")
            );
            let id = ids.first().map(|id| (*id).to_owned());
            Parked { id, ..kind.declared().notice(None, reason) }
        });
        let told: Vec<_> = told.collect();
        self.notices.extend(told);
    }
}

/// Filters of a list: parameters and their values.
pub(crate) type Filters = Vec<(&'static str, String)>;

/// A push at work: what to do, at which account, and the count of its calls.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) clio: &'a Clio,
    pub(crate) errand: &'a Errand,
    pub(crate) task: &'a PushTask,
}

/// What a push comes to.
pub(crate) type Pushed = Result<Settled, Stop>;

/// One kind of record.
pub(crate) trait Kind: fmt::Debug + Send + Sync {
    /// As the system file declares it.
    fn declared(&self) -> &Declared;

    /// Where it is at Clio.
    fn resource(&self) -> &'static Resource;

    /// What a list is narrowed to, so that it shows ours. An error says what must be put in order first.
    fn ours(&self, found: &Found) -> Result<Filters, CallError>;

    /// Whether its records hang on matters, which alone say whose they are.
    fn hangs_on_matters(&self) -> bool {
        true
    }

    /// The matter that says whose a record is; `None` where it is not ours whosever the matter is, or is a matter itself.
    fn matter_of(&self, found: &Found, json: &Json) -> Option<u64>;

    /// Reads what is ours of a page, given which of its matters are.
    fn read(&self, found: &Found, ours: &OurMatters, page: &[Json]) -> Reading;

    /// Whether listings of what changed are worth while.
    fn tells_changes(&self) -> bool {
        true
    }

    /// What a person should know before a listing.
    fn notices(&self, _found: &Found) -> Vec<Parked> {
        Vec::new()
    }

    /// Whether a listing of everything depends on the custom fields, which are then read just before.
    fn depends_on_custom_fields(&self) -> bool {
        false
    }

    /// Reads a page, with a call more for whose its matters are, or where something in it is not known.
    fn understand<'a>(
        &'a self,
        clio: &'a Clio,
        errand: &'a Errand,
        page: &'a [Json],
        found: &'a Found,
    ) -> BoxFuture<'a, Result<Reading, CallError>> {
        async move {
            let matters = page.iter().filter_map(|json| self.matter_of(found, json));
            let ours = clio.ours_among(errand, matters, found).await?;
            Ok(self.read(found, &ours, page))
        }
        .boxed()
    }

    /// Reads the record in the answer to a write; `None` if it does not show one of ours.
    fn read_written<'a>(
        &'a self,
        _clio: &'a Clio,
        _errand: &'a Errand,
        record: &'a Json,
        found: &'a Found,
        ours: &'a OurMatters,
    ) -> BoxFuture<'a, Option<Shown>> {
        ready(self.read(found, ours, std::slice::from_ref(record)).records.pop()).boxed()
    }

    /// How long a push may wait for the limit of calls. One that would wait longer goes back to the queue, where its
    /// worker's time does not run out.
    fn patience(&self) -> Duration {
        PATIENCE_OF_A_PUSH
    }

    /// Whether a push may take minutes, because it carries a content.
    fn takes_long(&self) -> bool {
        false
    }

    /// Makes a record.
    fn create<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed>;

    /// Sets fields of a record.
    fn update<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed>;
}

/// The id of a record, nested or not; of one that we may not see, too. It is a number in most answers, text in some.
pub(crate) fn id_of(record: &Json) -> Option<u64> {
    let id = record.get("id")?;
    id.as_u64().or_else(|| id.as_str()?.parse().ok())
}

/// The id of the matter inside a record.
pub(crate) fn matter_in(record: &Json) -> Option<u64> {
    record.get("matter").and_then(id_of)
}

/// Whether a matter is of our group and practice area.
pub(crate) fn is_our_matter(found: &Found, matter: &Json) -> bool {
    let is = |name: &str, id: u64| matter.get(name).and_then(id_of) == Some(id);
    is("group", found.group_id) && is("practice_area", found.practice_area_id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_read_as_number_and_as_text_and_of_a_record_that_is_redacted() {
        for (record, id) in [
            (json!({"id": 17}), Some(17)),
            (json!({"id": "17"}), Some(17)),
            (json!({"id": 17, "redacted": true, "display_number": "00017-X"}), Some(17)),
            (json!({"id": null}), None),
            (json!({"id": "text_line-1"}), None),
            (json!({}), None),
            (Json::Null, None),
        ] {
            assert_eq!(id_of(&record), id, "{record}");
            assert_eq!(matter_in(&json!({"matter": record})), id, "{record}");
        }
        assert!(!is_our_matter(&crate::samples::found(), &json!({"id": 17, "redacted": true})));
    }
}

//! One Clio account as its collections reach it.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use databridge_bridge::Shown;
use databridge_http::{Answer, CallError, ErrorClass};
use databridge_model::OutcomeResult;
use serde_json::Value as Json;
use url::Url;

use crate::api;
use crate::catalogue::Catalogue;
use crate::client::ClioClient;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::Kind;
use crate::pages::{RecordBody, read_body};
use crate::push::{PARENT, Settled, Stop};
use crate::whose::{LatelyOurs, OurMatters};

/// The account: who calls it, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Clio {
    pub(crate) client: ClioClient,
    pub(crate) catalogue: Arc<Catalogue>,
    /// Records edited this long before the last look are read again.
    pub(crate) overlap: TimeDelta,
    /// Matters that were ours when Clio last showed them.
    pub(crate) lately: Arc<LatelyOurs>,
}

impl Clio {
    /// The address of a list of this kind with these filters.
    pub(crate) fn list_url(&self, kind: &dyn Kind, filters: &[(&str, &str)], most: usize) -> Url {
        let (resource, most) = (kind.resource(), most.to_string());
        let order: &[_] = if resource.is_ordered { &[api::ORDER] } else { &[] };
        let shape = [(api::LIMIT, most.as_str()), (api::FIELDS, resource.fields)];
        self.client.url(&resource.list(), &[filters, resource.filters, order, &shape].concat())
    }

    /// The address of a list of ours with these filters more.
    pub(crate) fn ours_url(
        &self,
        kind: &dyn Kind,
        found: &Found,
        filters: &[(&str, &str)],
        most: usize,
    ) -> Result<Url, CallError> {
        let ours = kind.ours(found)?;
        let ours: Vec<_> = ours.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Ok(self.list_url(kind, &[&ours, filters].concat(), most))
    }

    /// All of ours with these filters: what is asked for is among them, and what else Clio shows where it does not heed a
    /// filter, which it does not tell.
    pub(crate) async fn all_of_ours(
        &self,
        errand: &Errand,
        kind: &dyn Kind,
        found: &Found,
        filters: &[(&str, &str)],
    ) -> Result<Vec<Json>, CallError> {
        let url = self.ours_url(kind, found, filters, api::PAGE)?;
        self.client.all_from(errand, &kind.resource().list(), url).await
    }

    /// The address of one record, or of the list to make one in, with what we ask of a record.
    pub(crate) fn record_url(&self, kind: &dyn Kind, id: Option<u64>) -> Url {
        let resource = kind.resource();
        let path = id.map_or_else(|| resource.list(), |id| resource.record(id));
        self.client.url(&path, &[(api::FIELDS, resource.fields)])
    }

    /// The record as it is now; stops if it is gone, or not ours (any more).
    pub(crate) async fn read_one(
        &self,
        errand: &Errand,
        kind: &dyn Kind,
        id: u64,
        found: &Found,
    ) -> Result<Shown, Stop> {
        let (RecordBody::<Json> { data }, _) =
            self.client.get(errand, &self.record_url(kind, Some(id))).await?;
        let reading = kind.understand(self, errand, std::slice::from_ref(&data), found).await?;
        match reading.records.into_iter().next() {
            Some(shown) => Ok(shown),
            None => Settled::new(OutcomeResult::Gone).stop(),
        }
    }

    /// A moment from which on to look for what was begun then: an overlap earlier, because clocks are not exact.
    pub(crate) fn look_back_from(&self, begun: DateTime<Utc>) -> String {
        (begun - self.overlap).to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// Stops if the matter on which something is to be made is not ours.
    pub(crate) async fn must_be_ours(
        &self,
        errand: &Errand,
        matter: u64,
        found: &Found,
    ) -> Result<OurMatters, Stop> {
        let ours = self.ours_to_write_below(errand, matter, found).await?;
        if ours.has(matter) {
            return Ok(ours);
        }
        let message =
            "`parent` is the id of no matter of our group and practice area (any more); nothing is made";
        Settled::refused(message, Some(PARENT)).stop()
    }

    /// Stops if a record with this handle hangs on a matter that is not ours (any more).
    pub(crate) async fn must_hang_on_ours(
        &self,
        errand: &Errand,
        kind: &dyn Kind,
        handle: &Json,
        found: &Found,
    ) -> Result<OurMatters, Stop> {
        if !kind.hangs_on_matters() {
            return Ok(OurMatters::default());
        }
        let Some(matter) = matter_in_handle(handle) else {
            return Settled::refused(
                "its handle does not say of which matter it is; leave the handle out",
                None,
            )
            .stop();
        };
        let ours = self.ours_to_write_below(errand, matter, found).await?;
        if ours.has(matter) { Ok(ours) } else { Settled::new(OutcomeResult::Gone).stop() }
    }

    /// The record in the answer to a write.
    pub(crate) async fn written(
        &self,
        errand: &Errand,
        kind: &dyn Kind,
        answer: &Answer,
        found: &Found,
        ours: &OurMatters,
    ) -> Result<Settled, Stop> {
        let RecordBody::<Json> { data } = read_body(answer, true)?;
        match kind.read_written(self, errand, &data, found, ours).await {
            Some(shown) => Ok(Settled::showing(OutcomeResult::Written, shown)),
            None => {
                let message =
                    format!("the answer does not show the {} that was written", kind.resource().singular);
                Err(answer.error(ErrorClass::Unknown, message).into())
            }
        }
    }
}

/// The matter of a record, as its handle remembers it.
pub(crate) fn matter_in_handle(handle: &Json) -> Option<u64> {
    handle.get("matter").and_then(Json::as_u64)
}

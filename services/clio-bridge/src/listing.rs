//! Listings of matters ("Matter#index").

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use databridge_bridge::{Next, Page, Shown, Span, Start};
use databridge_http::{CallError, ErrorClass};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::Url;

use crate::api::{self, filter, path};
use crate::change;
use crate::errand::Errand;
use crate::found::Found;
use crate::matter::{self, Reading, id_of};
use crate::pages::ListBody;
use crate::system::ClioSystem;

/// A listing that began anew does not so again before this.
const BEGIN_ANEW_APART: TimeDelta = TimeDelta::minutes(10);

/// Where a listing of matters stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Only matters changed after this moment.
    pub since: Option<DateTime<Utc>>,
    /// From where the next incremental listing starts: Clio's clock at the first page, less the overlap.
    pub watermark: Option<DateTime<Utc>>,
    /// The address of the page to be read, where it is not the first.
    pub next: Option<String>,
    /// The greatest id so far: pages come in the order of ids, so one that does not go on goes in a circle.
    pub last_id: Option<u64>,
    /// When the listing began anew, because Clio did not know a page's address any more.
    pub begun_anew: Option<DateTime<Utc>>,
}

impl ClioSystem {
    /// Where a listing begins; costs no call.
    pub(crate) fn begin(span: &Span, rested: Option<&Place>) -> Start<Place> {
        let since = match span {
            Span::Changed(Some(since)) => Some(*since),
            Span::Changed(None) => rested.and_then(|rested| rested.watermark),
            Span::Whole => None,
        };
        Start::Listing(Place { since, ..Place::default() })
    }

    /// A page of a listing.
    pub(crate) async fn list(&self, place: &Place, most: usize) -> Result<Page<Place>, CallError> {
        let errand = Errand::patient();
        let begins_whole = place.next.is_none() && place.since.is_none();
        let found = if begins_whole {
            self.catalogue.fresh(&errand).await?
        } else {
            self.catalogue.current(&errand).await?
        };
        let most = most.clamp(1, api::PAGE);
        let Some(next) = &place.next else { return self.first_page(&errand, place, most, &found).await };

        let error = match self.next_page(&errand, place, next, most).await {
            Ok(body) => return self.read_page(&errand, place, &body, &found).await,
            Err(error) => error,
        };
        let now = self.client.clock().now();
        if error.class != ErrorClass::Invalid
            || place.begun_anew.is_some_and(|at| now < at + BEGIN_ANEW_APART)
        {
            return Err(error);
        }
        // The address may be from a listing that broke off long ago.
        tracing::warn!(%error, "The next page cannot be read; the listing begins anew.");
        let anew = Place { next: None, last_id: None, begun_anew: Some(now), ..place.clone() };
        self.first_page(&errand, &anew, most, &found).await
    }

    /// A page that is not the first. One that does not go on from the last one goes in a circle.
    async fn next_page(
        &self,
        errand: &Errand,
        place: &Place,
        next: &str,
        most: usize,
    ) -> Result<ListBody, CallError> {
        let url = with_limit(self.client.next_page(path::MATTERS, next)?, most);
        let (body, answer) = self.client.page(errand, &url).await?;
        let first_id = body.data.iter().filter_map(id_of).min();
        if body.next() == Some(next) || first_id.is_some_and(|id| Some(id) <= place.last_id) {
            return Err(
                answer.error(ErrorClass::Invalid, "Clio's pages go in a circle; the listing is broken off")
            );
        }
        Ok(body)
    }

    async fn first_page(
        &self,
        errand: &Errand,
        place: &Place,
        most: usize,
        found: &Found,
    ) -> Result<Page<Place>, CallError> {
        if !found.custom_fields.contains_key(&self.matters.collection.key) {
            return Err(CallError {
                class: ErrorClass::Invalid,
                call: "GET matters".to_owned(),
                message: change::gone(&self.matters.collection.key, &self.matters),
            });
        }
        // Clio tells edit times in whole seconds and compares with "after": one in the very second would be missed.
        let since = place.since.map(|since| since - TimeDelta::seconds(1));
        let since = since.map(|since| since.to_rfc3339_opts(SecondsFormat::Secs, true));
        let changed: Vec<_> =
            since.as_deref().map(|since| (filter::UPDATED_SINCE, since)).into_iter().collect();
        let url = self.ours_url(found, &changed, most);
        let (body, answer) = self.client.page(errand, &url).await?;

        // Without Clio's clock the next listing starts where this one did, which reads more and misses nothing.
        let overlap = TimeDelta::seconds(self.matters.settings.overlap_seconds.into());
        let looked_at = answer.server_time().map(|now| now - overlap);
        let watermark = if place.begun_anew.is_some() { place.watermark } else { looked_at.or(place.since) };
        let place = Place { watermark, ..place.clone() };
        let mut page = self.read_page(errand, &place, &body, found).await?;
        let gone = self.matters.custom_fields().filter(|name| !found.custom_fields.contains_key(*name));
        page.notices.extend(gone.map(|name| self.matters.notice(name, change::gone(name, &self.matters))));
        Ok(page)
    }

    /// The address of a list of our matters, those of our group and practice area, that pass the filters.
    pub(crate) fn ours_url(&self, found: &Found, filters: &[(&str, &str)], most: usize) -> Url {
        let (group, area) = (found.group_id.to_string(), found.practice_area_id.to_string());
        let ours = [(filter::GROUP, group.as_str()), (filter::PRACTICE_AREA, area.as_str())];
        self.matters_url(&[&ours, filters].concat(), most)
    }

    fn matters_url(&self, filters: &[(&str, &str)], most: usize) -> Url {
        let most = most.to_string();
        let shape = [api::ORDER, (api::LIMIT, &most), (api::FIELDS, api::MATTER_FIELDS)];
        self.client.url(path::MATTERS, &[filters, &shape].concat())
    }

    async fn read_page(
        &self,
        errand: &Errand,
        place: &Place,
        body: &ListBody,
        found: &Found,
    ) -> Result<Page<Place>, CallError> {
        let reading = self.understand(errand, &body.data, found).await?;
        let next = match body.next() {
            Some(next) => Next::More(Place {
                next: Some(next.to_owned()),
                last_id: body.data.iter().filter_map(id_of).max().max(place.last_id),
                ..place.clone()
            }),
            None => Next::End(Place { watermark: place.watermark, ..Place::default() }),
        };
        Ok(Page { records: reading.records, next, notices: reading.notices })
    }

    /// Reads matters; where something is not known, reads the custom fields again, once.
    pub(crate) async fn understand(
        &self,
        errand: &Errand,
        data: &[Json],
        found: &Found,
    ) -> Result<Reading, CallError> {
        let mut reading = matter::read_all(&self.matters, found, data);
        if !reading.unknown.is_empty()
            && let Some(fresh) = self.catalogue.explain(&reading.unknown, errand).await?
        {
            reading = matter::read_all(&self.matters, &fresh, data);
        } else if reading.may_lack_a_field(found) {
            let fresh = self.catalogue.of_last_minute(errand).await?;
            if fresh.custom_fields != found.custom_fields {
                reading = matter::read_all(&self.matters, &fresh, data);
            }
        }
        if reading.foreign > 0 {
            tracing::debug!(matters.foreign = reading.foreign, "Matters that are not ours are passed over.");
        }
        Ok(reading)
    }

    /// These matters; one that is not there, or not ours, is given as deleted.
    pub(crate) async fn look_up_ids(&self, ids: &[String]) -> Result<Page<()>, CallError> {
        let errand = Errand::patient();
        let found = self.catalogue.current(&errand).await?;
        let mut page = Page { records: Vec::new(), next: Next::End(()), notices: Vec::new() };
        for some in ids.chunks(api::PAGE) {
            // A text that is no id of Clio's names no matter.
            let wanted: Vec<_> = some.iter().filter(|id| id.parse::<u64>().is_ok()).collect();
            if !wanted.is_empty() {
                let filters: Vec<_> = wanted.iter().map(|id| (filter::IDS, id.as_str())).collect();
                let url = self.matters_url(&filters, api::PAGE);
                let (body, _) = self.client.page(&errand, &url).await?;
                let reading = self.understand(&errand, &body.data, &found).await?;
                page.notices.extend(reading.notices);
                // A filter that Clio ignored would show others, too.
                page.records.extend(reading.records.into_iter().filter(|shown| some.contains(&shown.id)));
            }
            for id in some {
                if !page.records.iter().any(|shown| shown.id == *id) {
                    page.records.push(Shown { id: id.clone(), deleted: true, ..Shown::default() });
                }
            }
        }
        Ok(page)
    }
}

/// The address with no greater limit than this.
fn with_limit(mut url: Url, most: usize) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let asked = pairs.iter().find(|(name, _)| name == api::LIMIT).and_then(|(_, limit)| limit.parse().ok());
    if asked.is_none_or(|asked: usize| asked > most) {
        let others = pairs.iter().filter(|(name, _)| name != api::LIMIT);
        url.query_pairs_mut().clear().extend_pairs(others).append_pair(api::LIMIT, &most.to_string());
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_starts_where_the_last_one_rested_or_as_told() {
        let at = |second| DateTime::from_timestamp(second, 0);
        let rested = Place { watermark: at(100), ..Place::default() };
        for (span, rested, since) in [
            (Span::Changed(None), Some(&rested), at(100)),
            (Span::Changed(None), None, None),
            (Span::Changed(at(50)), Some(&rested), at(50)),
            (Span::Whole, Some(&rested), None),
        ] {
            let Start::Listing(place) = ClioSystem::begin(&span, rested) else { panic!("{span:?}") };
            assert_eq!(place, Place { since, ..Place::default() }, "{span:?}");
        }
    }

    #[test]
    fn a_next_page_is_asked_for_no_more_than_wanted() {
        let url = Url::parse("https://h/api/v4/matters.json?fields=id&limit=200&page_token=x").unwrap();
        assert_eq!(with_limit(url.clone(), 200), url);
        let fewer = with_limit(url, 5);
        assert_eq!(fewer.query(), Some("fields=id&page_token=x&limit=5"));
    }
}

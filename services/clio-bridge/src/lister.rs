//! Listings of any kind of record ("Paging"), and look-ups by id.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use databridge_bridge::{Next, Page, Shown, Span, Start};
use databridge_http::{CallError, ErrorClass};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::api::{self, filter};
use crate::clio::Clio;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, id_of};
use crate::pages::ListBody;

/// A listing that began anew does not so again before this.
const BEGIN_ANEW_APART: TimeDelta = TimeDelta::minutes(10);

/// Where a listing stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Only records changed after this moment.
    pub since: Option<DateTime<Utc>>,
    /// From where the next incremental listing starts: Clio's clock at the first page, less the overlap.
    pub watermark: Option<DateTime<Utc>>,
    /// The address of the page to be read, where it is not the first.
    pub next: Option<String>,
    /// The greatest id so far: pages come in the order of ids, so one that does not go on goes in a circle.
    pub last_id: Option<u64>,
    /// How many pages were read, in a list that has no order.
    #[serde(skip_serializing_if = "is_zero")]
    pub pages: u32,
    /// A record of one of them, in a list that has no order: which, is chosen so that a circle of any length is noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u64>,
    /// When the listing began anew, because Clio did not know a page's address any more.
    pub begun_anew: Option<DateTime<Utc>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(pages: &u32) -> bool {
    *pages == 0
}

impl Place {
    /// The place of the page after this one.
    pub(crate) fn after(&self, body: &ListBody, next: &str, is_ordered: bool) -> Self {
        let place = Self { next: Some(next.to_owned()), ..self.clone() };
        let mut ids = body.data.iter().filter_map(id_of);
        if is_ordered {
            return Self { last_id: ids.max().max(self.last_id), ..place };
        }
        // Brent's way of finding a cycle: what is kept is changed at each power of two.
        let pages = self.pages + 1;
        let mark = if pages.is_power_of_two() { ids.next_back().or(self.mark) } else { self.mark };
        Self { pages, mark, ..place }
    }
}

impl Clio {
    /// Where a listing begins; costs no call.
    pub(crate) fn begin(kind: &dyn Kind, span: &Span, rested: Option<&Place>) -> Start<Place> {
        if *span != Span::Whole && !kind.tells_changes() {
            return Start::Nothing(rested.cloned().unwrap_or_default());
        }
        let since = match span {
            Span::Changed(Some(since)) => Some(*since),
            Span::Changed(None) => rested.and_then(|rested| rested.watermark),
            Span::Whole => None,
        };
        // Whether Clio's clock went back since is seen with the first page.
        let watermark = since.filter(|_| *span == Span::Changed(None));
        Start::Listing(Place { since, watermark, ..Place::default() })
    }

    /// A page of a listing.
    pub(crate) async fn list(
        &self,
        kind: &dyn Kind,
        place: &Place,
        most: usize,
    ) -> Result<Page<Place>, CallError> {
        let errand = Errand::patient();
        let begins_whole = place.next.is_none() && place.since.is_none();
        let found = if begins_whole && kind.depends_on_custom_fields() {
            self.catalogue.fresh(&errand).await?
        } else {
            self.catalogue.current(&errand).await?
        };
        let most = most.clamp(1, api::PAGE);
        let listing = Listing { clio: self, kind, errand: &errand, found: &found };
        let Some(next) = &place.next else { return listing.first_page(place, most).await };

        let error = match listing.next_page(place, next, most).await {
            Ok(body) => return listing.read_page(place, &body).await,
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
        let anew = Place {
            since: place.since,
            watermark: place.watermark,
            begun_anew: Some(now),
            ..Place::default()
        };
        listing.first_page(&anew, most).await
    }

    /// These records; one that is not there, or not ours, is given as deleted.
    pub(crate) async fn look_up_ids(&self, kind: &dyn Kind, ids: &[String]) -> Result<Page<()>, CallError> {
        let errand = Errand::patient();
        let found = self.catalogue.current(&errand).await?;
        let mut page = Page { records: Vec::new(), next: Next::End(()), notices: Vec::new() };
        for some in ids.chunks(api::PAGE) {
            // A text that is no id of Clio's names no record.
            let asked: Vec<u64> = some.iter().filter_map(|id| id.parse().ok()).collect();
            if !asked.is_empty() {
                let wanted: Vec<_> = asked.iter().map(ToString::to_string).collect();
                let filters: Vec<_> = wanted.iter().map(|id| (filter::IDS, id.as_str())).collect();
                let url = self.list_url(kind, &filters, api::PAGE);
                let (body, answer) = self.client.page(&errand, &url).await?;
                let given: Vec<_> = body.data.iter().filter_map(id_of).collect();
                if body.strays_from(&asked) && asked.iter().any(|id| !given.contains(id)) {
                    return Err(answer.error(ErrorClass::Transient, NOT_HEEDED));
                }
                let reading = kind.understand(self, &errand, &body.data, &found).await?;
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

/// What is said of such an answer.
const NOT_HEEDED: &str = "Clio gives records that were not asked for and not all that were, so whether these are gone is \
    not known";

/// A listing under way.
struct Listing<'a> {
    clio: &'a Clio,
    kind: &'a dyn Kind,
    errand: &'a Errand,
    found: &'a Found,
}

impl Listing<'_> {
    /// A page that is not the first. One that does not go on from the last one goes in a circle.
    async fn next_page(&self, place: &Place, next: &str, most: usize) -> Result<ListBody, CallError> {
        let client = &self.clio.client;
        let resource = self.kind.resource();
        let url = with_filters(client.next_page(&resource.list(), next)?, resource.filters);
        let url = with_limit(url, most);
        let (body, answer) = client.page(self.errand, &url).await?;
        if body.next() == Some(next) || self.goes_back(place, &body) {
            return Err(
                answer.error(ErrorClass::Invalid, "Clio's pages go in a circle; the listing is broken off")
            );
        }
        Ok(body)
    }

    /// Whether a page shows what an earlier one showed.
    fn goes_back(&self, place: &Place, body: &ListBody) -> bool {
        if self.kind.resource().is_ordered {
            let first_id = body.data.iter().filter_map(id_of).min();
            first_id.is_some_and(|id| Some(id) <= place.last_id)
        } else {
            // In a circle, the record kept of an earlier page comes by again, sooner or later.
            place.mark.is_some_and(|mark| body.data.iter().filter_map(id_of).any(|id| id == mark))
        }
    }

    async fn first_page(&self, place: &Place, most: usize) -> Result<Page<Place>, CallError> {
        let since = place.since.map(updated_since);
        let changed: Vec<_> =
            since.as_deref().map(|since| (filter::UPDATED_SINCE, since)).into_iter().collect();
        let url = self.clio.ours_url(self.kind, self.found, &changed, most)?;
        let (body, answer) = self.clio.client.page(self.errand, &url).await?;
        let goes_on_from = place.since.filter(|since| place.watermark == Some(*since));
        if answer.server_time().zip(goes_on_from).is_some_and(|(now, since)| now < since) {
            tracing::warn!(
                collection = %self.kind.declared().name,
                "Clio's clock was set back: edits may bear times that were read already, so all is read."
            );
            return Box::pin(self.first_page(&Place::default(), most)).await;
        }

        // Without Clio's clock the next listing starts where this one did, which reads more and misses nothing.
        let looked_at = answer.server_time().map(|now| now - self.clio.overlap);
        let watermark = if place.begun_anew.is_some() { place.watermark } else { looked_at.or(place.since) };
        let place = Place { watermark, ..place.clone() };
        let mut page = self.read_page(&place, &body).await?;
        page.notices.extend(self.kind.notices(self.found));
        Ok(page)
    }

    async fn read_page(&self, place: &Place, body: &ListBody) -> Result<Page<Place>, CallError> {
        let reading = self.kind.understand(self.clio, self.errand, &body.data, self.found).await?;
        if reading.foreign > 0 {
            tracing::debug!(
                collection = %self.kind.declared().name,
                records.foreign = reading.foreign,
                "Records that are not ours are passed over."
            );
        }
        let next = match body.next() {
            Some(next) => Next::More(place.after(body, next, self.kind.resource().is_ordered)),
            None => Next::End(Place { watermark: place.watermark, ..Place::default() }),
        };
        Ok(Page { records: reading.records, next, notices: reading.notices })
    }
}

/// What the filter is told so that it gives what changed at this moment or later. Clio tells edit times in whole seconds
/// and compares with "after": one in the very second would be missed.
pub(crate) fn updated_since(moment: DateTime<Utc>) -> String {
    let before = moment.checked_sub_signed(TimeDelta::seconds(1)).unwrap_or(moment);
    before.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The address with what every list of these records is asked with. The page token knows it, and the specification
/// wants it all the same: `type` of notes is required of each request.
pub(crate) fn with_filters(mut url: Url, filters: &[(&str, &str)]) -> Url {
    for (name, value) in filters {
        if !url.query_pairs().any(|(known, _)| known == *name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}

/// The address with no greater limit than this.
pub(crate) fn with_limit(mut url: Url, most: usize) -> Url {
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
    use crate::samples;

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
            let Start::Listing(place) = Clio::begin(&samples::matters(), &span, rested) else {
                panic!("{span:?}")
            };
            let watermark = since.filter(|_| span == Span::Changed(None));
            assert_eq!(place, Place { since, watermark, ..Place::default() }, "{span:?}");
        }
    }

    #[test]
    fn what_changed_at_a_moment_is_asked_for_by_the_second_before_it_and_there_is_a_first_one() {
        let at = DateTime::from_timestamp(1_795_186_800, 999_000_000).unwrap();
        assert_eq!(updated_since(at), "2026-11-20T14:59:59Z");
        assert!(updated_since(DateTime::<Utc>::MIN_UTC).starts_with("-262143-01-01"));
    }

    #[test]
    fn a_next_page_of_notes_is_asked_for_with_their_type() {
        let url = Url::parse("https://h/api/v4/notes.json?limit=200&page_token=x").unwrap();
        let asked = with_filters(url, crate::api::NOTES.filters);
        assert_eq!(asked.query(), Some("limit=200&page_token=x&type=Matter"));
        assert_eq!(with_filters(asked.clone(), crate::api::NOTES.filters), asked);
    }

    #[test]
    fn a_next_page_is_asked_for_no_more_than_wanted() {
        let url = Url::parse("https://h/api/v4/matters.json?fields=id&limit=200&page_token=x").unwrap();
        assert_eq!(with_limit(url.clone(), 200), url);
        let fewer = with_limit(url, 5);
        assert_eq!(fewer.query(), Some("fields=id&page_token=x&limit=5"));
        let twice =
            Url::parse("https://h/api/v4/matters.json?limit=200&page_token=x&limit=200&fields=id").unwrap();
        assert_eq!(with_limit(twice, 5).query(), Some("page_token=x&fields=id&limit=5"));
    }
}

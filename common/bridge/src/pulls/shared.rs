//! Requests that wait together for the same share one listing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use databridge_model::{CollectionName, Mode, ReadAfter, SyncRequest};

/// What a request asks for that others may ask for, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    subject: String,
    is_full: bool,
    accept_missing: bool,
}

impl Ask {
    /// `None` for a request that has a listing of its own: one that is bounded in any way, only tells, is a part of
    /// another's run, or pairs both sides.
    pub(super) fn of(subject: &str, request: &SyncRequest) -> Option<Self> {
        let is_full = match request.mode {
            Mode::Incremental => false,
            Mode::Full => true,
            Mode::Migrate => return None,
        };
        let is_plain = request.since.is_none()
            && request.ids.is_empty()
            && request.max_records.is_none()
            && !request.dry_run
            && request.within.is_none();
        let accept_missing = request.accept_missing;
        is_plain.then(|| Self { subject: subject.to_owned(), is_full, accept_missing })
    }
}

/// A collection of a listing, and the sequence of its last record.
pub(super) type End = (CollectionName, u64);

/// A listing that was read whole.
#[derive(Debug)]
struct Listing {
    /// The request for which it was read.
    request: u64,
    /// How far the requests had come before its first call: these see in it all that they could have seen.
    began: ReadAfter,
    ends: Vec<End>,
}

/// The last listing of each ask.
#[derive(Debug, Default)]
pub(super) struct SharedListings(Mutex<HashMap<Ask, Listing>>);

impl SharedListings {
    /// The ends of the listing that was read for another request while this one waited already.
    pub(super) fn answer_to(&self, ask: &Ask, request: u64, now: ReadAfter) -> Option<Vec<End>> {
        let listings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = listings.get(ask)?;
        let has_waited =
            request <= listing.began.sequence && now.stream_created == listing.began.stream_created;
        (has_waited && request != listing.request).then(|| listing.ends.clone())
    }

    /// Notes a listing that began at this position.
    pub(super) fn note(&self, ask: Ask, request: u64, began: ReadAfter, ends: Vec<End>) {
        let mut listings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listings.insert(ask, Listing { request, began, ends });
    }
}

#[cfg(test)]
mod tests {
    use databridge_model::{Name, RunId};

    use super::*;

    const SUBJECT: &str = "sync.request.gis";

    fn position(sequence: u64) -> ReadAfter {
        ReadAfter { sequence, stream_created: chrono::DateTime::UNIX_EPOCH }
    }

    #[test]
    fn a_listing_answers_who_waited_when_it_began_and_nobody_who_came_later() {
        let listings = SharedListings::default();
        let ask = Ask::of(SUBJECT, &SyncRequest::default()).unwrap();
        let ends = vec![(Name::parse("cases").unwrap(), 40)];
        listings.note(ask.clone(), 5, position(7), ends.clone());
        let answer = |request, now| listings.answer_to(&ask, request, now);
        assert_eq!(answer(6, position(9)), Some(ends.clone()));
        assert_eq!(answer(7, position(9)), Some(ends));
        assert_eq!(answer(8, position(9)), None);
        // The one for which it was read is answered by its own cursor.
        assert_eq!(answer(5, position(9)), None);
        assert_eq!(
            answer(
                6,
                ReadAfter {
                    stream_created: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1),
                    ..position(9)
                }
            ),
            None
        );
    }

    #[test]
    fn only_requests_for_the_same_share_and_those_that_are_bounded_do_not() {
        let plain = SyncRequest::default();
        let full = SyncRequest { mode: Mode::Full, ..plain.clone() };
        let accepting = SyncRequest { accept_missing: true, ..full.clone() };
        let asks = [Ask::of(SUBJECT, &plain), Ask::of(SUBJECT, &full), Ask::of(SUBJECT, &accepting)];
        assert!(asks.iter().all(Option::is_some) && asks[0] != asks[1] && asks[1] != asks[2]);
        assert_ne!(asks[0], Ask::of("sync.request.gis.attachments", &plain));
        let told = SyncRequest { reason: Some("a tick".to_owned()), ..plain.clone() };
        assert_eq!(asks[0], Ask::of(SUBJECT, &told));
        for bounded in [
            SyncRequest { mode: Mode::Migrate, ..plain.clone() },
            SyncRequest { since: Some(chrono::DateTime::UNIX_EPOCH), ..plain.clone() },
            SyncRequest { ids: vec!["4".to_owned()], ..plain.clone() },
            SyncRequest { max_records: Some(1), ..plain.clone() },
            SyncRequest { dry_run: true, ..plain.clone() },
            SyncRequest { within: Some(RunId(3)), ..plain.clone() },
        ] {
            assert_eq!(Ask::of(SUBJECT, &bounded), None, "{bounded:?}");
        }
    }
}

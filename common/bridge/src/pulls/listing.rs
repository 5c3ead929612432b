//! Listings: with a cursor, which they move, and without.

use chrono::{DateTime, Utc};
use databridge_broker::{BatchError, BeginAt, Cursor, CursorStore};
use databridge_http::CallError;
use databridge_model::Mode;
use databridge_model::subject::CursorLane;

use super::trouble::Trouble;
use super::{LARGEST_PAGE, Part, Tally};
use crate::{Next, OutsideSystem, Span, Start};

/// A cursor's place: in the middle of a listing, or at rest after one.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum CursorPlace<P> {
    Listing(P),
    Resting(P),
}

impl<S: OutsideSystem> Part<'_, S> {
    /// A listing whose pages are committed with a cursor, and which goes on where it broke off.
    pub(super) async fn with_cursor(&self, tally: &mut Tally) -> Result<Result<(), CallError>, Trouble> {
        let lane = if self.request.mode == Mode::Incremental { CursorLane::Live } else { CursorLane::Full };
        let (broker, system) = (&self.pulls.broker, &self.pulls.system);
        let (mut store, found) =
            CursorStore::open::<CursorPlace<S::Place>>(broker, system.name(), &self.collection, lane).await?;
        tally.goes_on = found.as_ref().is_some_and(|cursor| {
            let is_at_it = matches!(cursor.place, CursorPlace::Listing(_));
            cursor.request == self.sequence || (is_at_it && self.request.mode == Mode::Incremental)
        });
        let mut cursor = match found {
            Some(cursor) if cursor.request == self.sequence && cursor.done => {
                tally.come_to(&cursor);
                self.rest_live_cursor_after(lane, &cursor).await?;
                return Ok(Ok(()));
            }
            Some(cursor) if cursor.request == self.sequence => cursor,
            found => match self.begin(found).await? {
                Ok(place) => Cursor {
                    request: self.sequence,
                    done: false,
                    records: 0,
                    pull_last: Some(0),
                    reads_from: None,
                    begin_at: None,
                    place,
                },
                Err(error) => return Ok(Err(error)),
            },
        };
        loop {
            tally.come_to(&cursor);
            let left = self.left(cursor.records);
            let CursorPlace::Listing(place) = cursor.place.clone() else {
                // Nothing changed, or the listing was at its end.
                cursor.done = true;
                cursor.reads_from = self.reads_from(&cursor.place);
                let resting = cursor.place.clone();
                store
                    .commit(Vec::new(), &mut cursor, Some(self.run), |_| resting.clone(), resting.clone())
                    .await?;
                break;
            };
            let read_after = broker.read_after().await?;
            tally.pages += 1;
            let page = system.page(&self.collection, &place, left.min(LARGEST_PAGE));
            let page = match self.unless_resting(page).await? {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            self.tell(&page.notices).await?;
            let after = match page.next {
                Next::More(place) => CursorPlace::Listing(place),
                Next::End(place) => CursorPlace::Resting(place),
            };
            let enough = self.left(cursor.records + page.records.len() as u64) == 0;
            cursor.done = enough || matches!(after, CursorPlace::Resting(_));
            cursor.reads_from = self.reads_from(&after);
            let results = self.results(&page.records, read_after);
            let within = |index: usize| {
                page.records.get(index).map_or_else(
                    || CursorPlace::Listing(place.clone()),
                    |record| CursorPlace::Listing(system.place_after(&place, record)),
                )
            };
            fail::fail_point!("pull.before-commit");
            let too_large = store.commit(results, &mut cursor, Some(self.run), within, after).await?;
            fail::fail_point!("pull.after-commit");
            self.bury_too_large(too_large).await?;
            tally.come_to(&cursor);
            if cursor.done {
                break;
            }
        }
        self.rest_live_cursor_after(lane, &cursor).await?;
        Ok(Ok(()))
    }

    /// From when on the next incremental listing reads, if this is a place to rest.
    fn reads_from(&self, place: &CursorPlace<S::Place>) -> Option<DateTime<Utc>> {
        match place {
            CursorPlace::Resting(place) => self.pulls.system.reads_from(place),
            CursorPlace::Listing(_) => None,
        }
    }

    /// Where a new request's listing begins, given where the cursor is.
    async fn begin(
        &self,
        found: Option<Cursor<CursorPlace<S::Place>>>,
    ) -> Result<Result<CursorPlace<S::Place>, CallError>, Trouble> {
        let set = found.as_ref().and_then(|cursor| cursor.begin_at);
        let (span, found) = match (self.span(), set) {
            // A person has set the cursor.
            (Span::Changed(None), Some(BeginAt::Start)) => (Span::Changed(None), None),
            (Span::Changed(None), Some(BeginAt::Moment(at))) => (Span::Changed(Some(at)), None),
            (span, _) => (span, found.map(|cursor| cursor.place)),
        };
        let rested = match (self.request.mode, found) {
            // An earlier listing broke off, or was bounded by `max_records`: this one goes on there, unless it is told
            // from when to read.
            (Mode::Incremental, Some(CursorPlace::Listing(place))) if self.request.since.is_none() => {
                return Ok(Ok(CursorPlace::Listing(place)));
            }
            (Mode::Incremental, Some(CursorPlace::Resting(place))) => Some(place),
            _ => None,
        };
        let begun = self.pulls.system.start(&self.collection, &span, rested.as_ref());
        Ok(self.unless_resting(begun).await?.map(|start| match start {
            Start::Nothing(place) => CursorPlace::Resting(place),
            Start::Listing(place) => CursorPlace::Listing(place),
        }))
    }

    /// After a complete listing the next incremental one starts from it.
    async fn rest_live_cursor_after(
        &self,
        lane: CursorLane,
        full: &Cursor<CursorPlace<S::Place>>,
    ) -> Result<(), Trouble> {
        if lane != CursorLane::Full || self.request.max_records.is_some() {
            return Ok(());
        }
        let (mut store, found) = CursorStore::open::<CursorPlace<S::Place>>(
            &self.pulls.broker,
            self.pulls.system.name(),
            &self.collection,
            CursorLane::Live,
        )
        .await?;
        if found.is_some_and(|live| live.request > self.sequence) {
            return Ok(());
        }
        let mut live = Cursor { records: 0, pull_last: Some(0), ..full.clone() };
        let place = full.place.clone();
        match store.commit(Vec::new(), &mut live, Some(self.run), |_| place.clone(), place.clone()).await {
            Ok(_) | Err(BatchError::Moved) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A listing that moves no cursor, for `since` and `dry_run`.
    pub(super) async fn without_cursor(&self, tally: &mut Tally) -> Result<Result<(), CallError>, Trouble> {
        let system = &self.pulls.system;
        let live = CursorStore::open::<CursorPlace<S::Place>>(
            &self.pulls.broker,
            system.name(),
            &self.collection,
            CursorLane::Live,
        )
        .await?
        .1;
        let mut place = match self.begin(live).await? {
            Ok(CursorPlace::Listing(place)) => place,
            Ok(CursorPlace::Resting(_)) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let read_after = self.pulls.broker.read_after().await?;
            let most = self.left(tally.records).min(LARGEST_PAGE);
            tally.pages += 1;
            let page = match self.unless_resting(system.page(&self.collection, &place, most)).await? {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            self.publish_page(&page, read_after, tally).await?;
            match page.next {
                Next::More(next) if self.left(tally.records) > 0 => place = next,
                _ => return Ok(Ok(())),
            }
        }
    }
}

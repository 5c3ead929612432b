//! Where a listing stands, and where the next one starts.

use chrono::{DateTime, TimeDelta, Utc};
use databridge_bridge::{Span, Start};
use serde::{Deserialize, Serialize};

/// Where a listing of a layer stands, or rests. Times are milliseconds since 1970 by the server's clocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The edit time from which the next incremental listing reads.
    pub watermark: Option<i64>,
    /// The layer's last edit when it was last looked at.
    pub edit_date_seen: Option<i64>,
    /// That edit was an overlap old by then, so no row with an earlier edit time can come to light any more.
    pub settled: bool,
    /// The edit time from which the listing under way reads.
    pub since: Option<i64>,
    /// The last object id that was read.
    pub after: Option<i64>,
}

/// What the layer's page told when a listing began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// When any row was last edited, if the layer tells.
    pub(crate) last_edit: Option<i64>,
    /// The server's clock.
    pub(crate) server_time: Option<DateTime<Utc>>,
}

impl Probe {
    fn settled(&self, overlap: TimeDelta) -> bool {
        self.last_edit
            .zip(self.server_time)
            .is_some_and(|(last_edit, now)| now.timestamp_millis() - last_edit >= overlap.num_milliseconds())
    }

    /// Whether the server's clock shows a time before the moment up to which everything was read. Where it was set back by
    /// less than the overlap, that covers it.
    fn clock_went_back(&self, rested: &Place) -> bool {
        let now = self.server_time.map(|now| now.timestamp_millis());
        now.zip(rested.watermark).is_some_and(|(now, watermark)| now < watermark)
    }

    /// From where the next listing has to read. Edits come to light late and clocks differ, by no more than the
    /// overlap. Once the last edit has settled, what comes next is later than it, and what has been listed now is
    /// not read again.
    fn watermark(&self, overlap: TimeDelta) -> Option<i64> {
        const SECOND: i64 = 1000;
        match self.last_edit {
            Some(last_edit) if self.settled(overlap) => Some(last_edit.div_euclid(SECOND) * SECOND + SECOND),
            last_edit => {
                let now = self.server_time.map(|now| now.timestamp_millis());
                let earlier = [last_edit, now].into_iter().flatten().min()?;
                Some(earlier - overlap.num_milliseconds())
            }
        }
    }
}

impl Place {
    /// Where a listing begins.
    pub(crate) fn begin(span: &Span, rested: Option<&Self>, probe: Probe, overlap: TimeDelta) -> Start<Self> {
        let listing = Self {
            watermark: probe.watermark(overlap),
            edit_date_seen: probe.last_edit,
            settled: probe.settled(overlap),
            ..Self::default()
        };
        match (span, rested) {
            (Span::Changed(Some(since)), _) => {
                Start::Listing(Self { since: Some(since.timestamp_millis()), ..listing })
            }
            (Span::Changed(None), Some(rested)) if probe.clock_went_back(rested) => {
                tracing::warn!(
                    watermark = rested.watermark,
                    "The server's clock was set back: edits may bear times that were read already, so all is read."
                );
                Start::Listing(listing)
            }
            (Span::Changed(None), Some(rested)) => {
                let same = probe.last_edit.is_some() && probe.last_edit == rested.edit_date_seen;
                if same && rested.settled {
                    Start::Nothing(rested.rest())
                } else {
                    Start::Listing(Self { since: rested.watermark, ..listing })
                }
            }
            (Span::Changed(None), None) | (Span::Whole, _) => Start::Listing(listing),
        }
    }

    /// From when on the next incremental listing reads that begins at this resting place.
    pub(crate) fn reads_from(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.watermark?)
    }

    /// The place after a row.
    pub(crate) fn past(&self, object_id: i64) -> Self {
        Self { after: Some(object_id), ..self.clone() }
    }

    /// Where the listing that is under way began.
    pub(crate) fn begun(&self) -> Self {
        Self { after: None, ..self.clone() }
    }

    /// The resting place at the end of the listing.
    pub(crate) fn rest(&self) -> Self {
        Self { since: None, after: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAP: TimeDelta = TimeDelta::seconds(120);

    fn probe(last_edit: Option<i64>, now: i64) -> Probe {
        Probe { last_edit, server_time: DateTime::from_timestamp_millis(now) }
    }

    fn listing(start: Start<Place>) -> Place {
        match start {
            Start::Listing(place) => place,
            Start::Nothing(place) => panic!("nothing to list at {place:?}"),
        }
    }

    #[test]
    fn the_first_listing_is_one_of_everything() {
        let place = listing(Place::begin(&Span::Changed(None), None, probe(Some(1), 500_000), OVERLAP));
        assert_eq!(place.since, None);
    }

    #[test]
    fn a_layer_without_edits_since_a_settled_look_is_not_listed() {
        let first = listing(Place::begin(&Span::Whole, None, probe(Some(100_000), 220_000), OVERLAP)).rest();
        assert!(first.settled);
        let again = Place::begin(&Span::Changed(None), Some(&first), probe(Some(100_000), 900_000), OVERLAP);
        assert_eq!(again, Start::Nothing(first));
    }

    #[test]
    fn an_edit_that_had_not_settled_is_listed_once_more() {
        let first = listing(Place::begin(&Span::Whole, None, probe(Some(100_000), 219_999), OVERLAP)).rest();
        assert!(!first.settled);
        let second =
            listing(Place::begin(&Span::Changed(None), Some(&first), probe(Some(100_000), 400_000), OVERLAP));
        assert_eq!(second.since, Some(100_000 - 120_000));
        let third =
            Place::begin(&Span::Changed(None), Some(&second.rest()), probe(Some(100_000), 500_000), OVERLAP);
        assert!(matches!(third, Start::Nothing(_)));
    }

    #[test]
    fn rows_of_a_settled_bulk_edit_are_not_read_again_and_later_ones_are() {
        let place = listing(Place::begin(&Span::Whole, None, probe(Some(100_400), 300_000), OVERLAP));
        assert_eq!(place.watermark, Some(101_000));
    }

    #[test]
    fn the_watermark_is_of_the_servers_clocks_less_the_overlap() {
        let without = listing(Place::begin(&Span::Whole, None, probe(None, 300_000), OVERLAP));
        assert_eq!((without.watermark, without.settled), (Some(180_000), false));
        let ahead = listing(Place::begin(&Span::Whole, None, probe(Some(310_000), 300_000), OVERLAP));
        assert_eq!(
            ahead.watermark,
            Some(180_000),
            "an edit clock that is ahead moves the watermark no further"
        );
        let nothing = Probe { last_edit: None, server_time: None };
        assert_eq!(listing(Place::begin(&Span::Whole, None, nothing, OVERLAP)).watermark, None);
    }

    #[test]
    fn after_the_servers_clock_was_set_back_all_is_read_once() {
        let first = listing(Place::begin(&Span::Whole, None, probe(Some(900_000), 900_000), OVERLAP)).rest();
        let back = Place::begin(&Span::Changed(None), Some(&first), probe(Some(500_000), 500_000), OVERLAP);
        let second = listing(back);
        assert_eq!((second.since, second.watermark), (None, Some(380_000)));
        let third =
            Place::begin(&Span::Changed(None), Some(&second.rest()), probe(Some(510_000), 510_000), OVERLAP);
        assert_eq!(listing(third).since, Some(380_000));
    }

    #[test]
    fn a_request_with_a_time_of_its_own_starts_there() {
        let since = DateTime::from_timestamp_millis(77_000).unwrap();
        let place =
            listing(Place::begin(&Span::Changed(Some(since)), None, probe(Some(1), 900_000), OVERLAP));
        assert_eq!(place.since, Some(77_000));
    }

    #[test]
    fn a_cursor_of_an_older_bridge_can_be_read() {
        assert_eq!(serde_json::from_str::<Place>("{}").unwrap(), Place::default());
    }
}

//! The seam through which all time comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the time. Clones share one offset, so a test can move the time of a whole service.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Where it stands, if it does not go by itself.
    standing: Option<DateTime<Utc>>,
    offset_milliseconds: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that goes only as it is moved, for simulations.
    pub fn standing_at(moment: DateTime<Utc>) -> Self {
        Self { standing: Some(moment), ..Self::default() }
    }

    /// Now, in UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that time comes from")]
    pub fn now(&self) -> DateTime<Utc> {
        self.standing.unwrap_or_else(Utc::now)
            + TimeDelta::milliseconds(self.offset_milliseconds.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones.
    pub fn advance(&self, by: TimeDelta) {
        self.offset_milliseconds.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}

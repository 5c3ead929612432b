//! The sandbox's one source of time, which a test can move.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The machine's clock plus an offset. Clones share the offset.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset: Arc<Mutex<TimeDelta>>,
}

impl Clock {
    /// A clock that tells the machine's own time.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time as both systems tell it, in UTC.
    pub fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the sandbox's own seam for the time")]
        let machine = Utc::now();
        machine + self.offset()
    }

    /// Moves the time forward, for all clones.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::zero());
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        *offset += by;
    }

    /// Sets how far this clock is ahead of the machine's.
    pub fn set_offset(&self, ahead: TimeDelta) {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
    }

    /// How far this clock is ahead of the machine's.
    pub fn offset(&self) -> TimeDelta {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

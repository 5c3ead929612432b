//! What a call is made for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use databridge_bridge::{PushTask, StillMine};
use databridge_model::subject::Lane;

/// One thing to be done with one or more calls: it counts them, and knows how long they may wait for the limit. Clones
/// count together.
#[derive(Clone, Debug, Default)]
pub struct Errand {
    calls: Arc<AtomicU32>,
    has_written: Arc<AtomicBool>,
    patience: Option<Duration>,
    still_mine: Option<StillMine>,
    is_of_a_migrate: bool,
}

/// A push that would wait longer for the limit goes back to the queue, where its worker's time does not run out.
pub(crate) const PATIENCE_OF_A_PUSH: Duration = Duration::from_secs(2);

impl Errand {
    /// A read that waits for the limit as long as it takes.
    pub fn patient() -> Self {
        Self::default()
    }

    /// A push, whose calls may wait so long for the limit.
    pub(crate) fn push(task: &PushTask, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            still_mine: Some(task.still_mine.clone()),
            is_of_a_migrate: task.lane == Lane::Bulk,
            ..Self::default()
        }
    }

    /// The calls made so far.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a write was done, or may have been.
    pub(crate) fn note_written(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// Whether a write was done, or may have been: then the errand cannot be taken for not begun.
    pub(crate) fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    /// How long a call of it may wait for the limit; `None` for as long as it takes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// Whether it is one of a migrate's thousands of pushes.
    pub(crate) fn is_of_a_migrate(&self) -> bool {
        self.is_of_a_migrate
    }

    pub(crate) fn is_still_mine(&self) -> bool {
        self.still_mine.as_ref().is_none_or(StillMine::now)
    }
}

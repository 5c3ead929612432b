//! One push of a record at a time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The records that have a push under way in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<Mutex<BTreeSet<String>>>);

/// A record's turn; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    under_way: UnderWay,
    record: String,
}

impl UnderWay {
    /// The turn of the record that a push aims at, unless another push has it.
    pub(super) fn turn(&self, subject: &str) -> Option<Turn> {
        let record = subject.splitn(3, '.').nth(2).unwrap_or(subject).to_owned();
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(record.clone());
        is_free.then(|| Turn { under_way: self.clone(), record })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.record);
    }
}

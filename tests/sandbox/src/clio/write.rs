//! Creates and updates. Everything is checked before anything changes.

use chrono::{DateTime, Utc};

use super::hand::TextLimits;
use super::records::Store;
use super::refusal::Refusal;

/// A writer of records at one moment.
pub(crate) struct Writer<'a> {
    /// All records.
    pub(crate) store: &'a mut Store,
    /// Who writes.
    pub(crate) user: i64,
    /// The time of the write.
    pub(crate) now: DateTime<Utc>,
    /// The longest texts taken.
    pub(crate) limits: Option<TextLimits>,
}

impl Writer<'_> {
    /// A text of one line, as it is kept.
    pub(crate) fn line(&self, name: &str, text: Option<&str>) -> Result<Option<String>, Refusal> {
        within(name, text, self.limits.map(|limits| limits.text_line))
    }

    /// A text of many lines, as it is kept.
    pub(crate) fn area(&self, name: &str, text: Option<&str>) -> Result<Option<String>, Refusal> {
        within(name, text, self.limits.map(|limits| limits.text_area))
    }
}

fn within(name: &str, text: Option<&str>, limit: Option<usize>) -> Result<Option<String>, Refusal> {
    match (text, limit) {
        (Some(text), Some(limit)) if text.chars().count() > limit => {
            Err(Refusal::invalid(format!("{name} is too long (maximum is {limit} characters)")))
        }
        (text, _) => Ok(text.map(str::to_owned)),
    }
}

//! Notes as their pages show them.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// A note as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotePage {
    /// Its id.
    pub id: i64,
    /// Id of the matter that it is on.
    pub matter: Option<i64>,
    /// Id of the contact that it is on.
    pub contact: Option<i64>,
    /// One line.
    pub subject: Option<String>,
    /// The text, with tags if it is rich.
    pub detail: Option<String>,
    /// Whether the text has tags.
    pub is_rich: bool,
    /// The day that it is for.
    pub date: NaiveDate,
    /// The etag, quotes included.
    pub etag: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, in whole seconds.
    pub updated_at: DateTime<Utc>,
}

/// A note on a matter that a person writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    /// Id of the matter.
    pub matter: i64,
    /// One line.
    pub subject: String,
    /// The text.
    pub detail: String,
    /// Whether the text has tags.
    #[serde(default)]
    pub is_rich: bool,
    /// The day that it is for; today if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<NaiveDate>,
}

/// What a person changes in a note. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteEdit {
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether the text has tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_rich: Option<bool>,
    /// The day that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<NaiveDate>,
}

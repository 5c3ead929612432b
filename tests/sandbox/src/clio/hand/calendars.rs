//! Calendars and their entries as their pages show them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An external property of an entry or document. No page of Clio's shows them; only apps see them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Property {
    /// A property.
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned() }
    }
}

/// A calendar entry as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPage {
    /// Its id, which answers of the API write as a text.
    pub id: i64,
    /// Id of its calendar.
    pub calendar_id: i64,
    /// Name of its calendar.
    pub calendar: String,
    /// Id of its matter.
    pub matter: Option<i64>,
    /// One line.
    pub summary: String,
    /// Free text.
    pub description: Option<String>,
    /// One line.
    pub location: Option<String>,
    /// When it starts.
    pub start_at: DateTime<Utc>,
    /// When it ends.
    pub end_at: DateTime<Utc>,
    /// Whether it is for whole days.
    pub all_day: bool,
    /// How it recurs, such as `FREQ=WEEKLY`.
    pub recurrence_rule: Option<String>,
    /// Its external properties.
    pub external_properties: Vec<Property>,
    /// The etag, quotes included.
    pub etag: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, in whole seconds.
    pub updated_at: DateTime<Utc>,
}

/// A calendar entry that a person makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// Name of the calendar, which must exist.
    pub calendar: String,
    /// Id of the matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter: Option<i64>,
    /// One line.
    pub summary: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// When it starts.
    pub start_at: DateTime<Utc>,
    /// When it ends.
    pub end_at: DateTime<Utc>,
    /// Whether it is for whole days.
    #[serde(default)]
    pub all_day: bool,
    /// How it recurs, such as `FREQ=WEEKLY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence_rule: Option<String>,
    /// External properties, as an app would have left them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_properties: Vec<Property>,
}

impl NewEntry {
    /// An entry of this time in a calendar, on no matter.
    pub fn new(calendar: &str, summary: &str, start_at: DateTime<Utc>, end_at: DateTime<Utc>) -> Self {
        Self {
            calendar: calendar.to_owned(),
            matter: None,
            summary: summary.to_owned(),
            description: None,
            location: None,
            start_at,
            end_at,
            all_day: false,
            recurrence_rule: None,
            external_properties: Vec::new(),
        }
    }

    /// The same entry on a matter.
    pub fn on(self, matter: i64) -> Self {
        Self { matter: Some(matter), ..self }
    }
}

/// What a person changes in a calendar entry. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryEdit {
    /// The name of another calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// The id of another matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter: Option<i64>,
    /// Whether to take it off its matter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off_matter: bool,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// When it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<DateTime<Utc>>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_at: Option<DateTime<Utc>>,
    /// Whether it is for whole days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_day: Option<bool>,
    /// How it recurs; an empty text makes it recur no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence_rule: Option<String>,
}

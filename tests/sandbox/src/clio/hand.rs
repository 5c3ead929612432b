//! What a person sees and does in Clio's own pages: the words of the admin side.

#![expect(clippy::option_option, reason = "absent, null and given are three different things")]

mod calendars;
mod documents;
mod notes;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

pub use calendars::{EntryEdit, EntryPage, NewEntry, Property};
pub use documents::{DocumentEdit, DocumentPage, NewDocument, Upload, VersionPage};
pub use notes::{NewNote, NoteEdit, NotePage};

/// A matter as its page shows it: names instead of ids, labels instead of option ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatterPage {
    /// The matter's id.
    pub id: i64,
    /// Name of its group.
    pub group: Option<String>,
    /// Name of its practice area.
    pub practice_area: Option<String>,
    /// Name of its client.
    pub client: String,
    /// Number and client, made by Clio.
    pub display_number: String,
    /// Free text.
    pub description: String,
    /// `Open`, `Pending` or `Closed`.
    pub status: String,
    /// The etag, quotes included.
    pub etag: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, in whole seconds.
    pub updated_at: DateTime<Utc>,
    /// Every custom field for matters by name; `None` when unset, the label for a picklist.
    pub custom_fields: BTreeMap<String, Option<String>>,
}

/// What a person changes in a matter. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatterEdit {
    /// A new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `Open`, `Pending` or `Closed`, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The name of another group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether to take it out of its group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave_group: bool,
    /// The name of another practice area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice_area: Option<String>,
    /// Custom fields by name; `None` empties one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_fields: BTreeMap<String, Option<String>>,
}

impl MatterEdit {
    /// An edit of one custom field.
    pub fn field(name: &str, value: Option<&str>) -> Self {
        Self::default().and_field(name, value)
    }

    /// The same edit with one more custom field.
    #[must_use]
    pub fn and_field(mut self, name: &str, value: Option<&str>) -> Self {
        self.custom_fields.insert(name.to_owned(), value.map(str::to_owned));
        self
    }
}

/// A matter that a person makes. Group, practice area and client are named and must exist.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMatter {
    /// Name of the client.
    pub client: String,
    /// Free text.
    pub description: String,
    /// Name of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Name of the practice area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice_area: Option<String>,
    /// `Open` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Custom fields by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_fields: BTreeMap<String, Option<String>>,
}

/// A custom field as the account's settings page shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldPage {
    /// The definition's id.
    pub id: i64,
    /// Its name, which need not be unique.
    pub name: String,
    /// `Matter` or `Contact`.
    pub parent_type: String,
    /// `text_line`, `picklist` and so on.
    pub field_type: String,
    /// The options in force, for a picklist.
    pub options: Vec<OptionPage>,
    /// Whether a person has deleted it.
    pub deleted: bool,
}

/// One option of a picklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionPage {
    /// The option's id.
    pub id: i64,
    /// Its label.
    pub option: String,
}

/// What a person changes in a custom field for matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldEdit {
    /// The label of an option to take away. Values that have it keep its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_option: Option<String>,
    /// The label of a new option.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_option: Option<String>,
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// Whether to delete the field with all its values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete: bool,
}

/// A contact, group or practice area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: i64,
    /// Its name, which need not be unique.
    pub name: String,
}

/// How the minute of the rate limit is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateWindow {
    /// A window starts at the first request after the last one ended.
    #[default]
    Fixed,
    /// Every request counts for 60 seconds from its own time.
    Sliding,
    /// A window is a minute of the clock.
    Clock,
}

/// The longest texts that Clio takes, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextLimits {
    /// For `text_line`, `email` and `url`.
    pub text_line: usize,
    /// For `text_area`.
    pub text_area: usize,
}

impl Default for TextLimits {
    fn default() -> Self {
        Self { text_line: 255, text_area: 65_535 }
    }
}

/// Switches of the Clio half; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClioSettings {
    /// Requests a minute and access token; `Some(None)` switches the limit off.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Option<u32>>,
    /// How the minute is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_window: Option<RateWindow>,
    /// How long access tokens given from now on live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_lifetime_seconds: Option<u32>,
    /// Whether a refresh gives a new refresh token and ends the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_refresh_tokens: Option<bool>,
    /// Whether the answer to a refresh repeats an unchanged refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_refresh_token: Option<bool>,
    /// The longest texts; `Some(None)` takes any length.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub text_limits: Option<Option<TextLimits>>,
    /// Whether the person at the consent page declines, whatever button is pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_consent: Option<bool>,
    /// The id of the user who is signed in at the consent page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_user: Option<i64>,
    /// Whether a document's version shows its number only when it is fully uploaded: "the ordered number of when this
    /// `DocumentVersion` was uploaded" can be read so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers_uploaded_versions: Option<bool>,
}

/// Tells a given `null` from an absent key.
fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

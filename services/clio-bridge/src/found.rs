//! What bootstrap found in Clio: the ids behind the names of the system file.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::settings::CustomFieldType;

/// The value of the key `clio` in the bucket `found`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The group of our matters.
    pub group_id: u64,
    /// Their practice area.
    pub practice_area_id: u64,
    /// The contact that is the client of a new matter.
    pub client_id: u64,
    /// Our calendar, where the system file has one and bootstrap was run since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar_id: Option<u64>,
    /// Our custom fields by name. One that Clio no longer has is absent.
    pub custom_fields: BTreeMap<String, FoundField>,
    /// When the custom fields were last read.
    pub read_at: DateTime<Utc>,
}

/// A custom field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundField {
    /// The id of its definition.
    pub id: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: CustomFieldType,
    /// The ids of its options by label, for a picklist.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, u64>,
}

impl Found {
    /// The name of the custom field with this id.
    pub fn name_of(&self, id: u64) -> Option<&str> {
        self.custom_fields.iter().find(|(_, field)| field.id == id).map(|(name, _)| name.as_str())
    }
}

impl FoundField {
    /// The label of an option.
    pub fn label(&self, id: u64) -> Option<&str> {
        self.options.iter().find(|(_, option)| **option == id).map(|(label, _)| label.as_str())
    }
}

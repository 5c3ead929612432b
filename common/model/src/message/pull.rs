//! Pull results.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunId;
use crate::{CollectionName, Fields, Key, SystemName};

/// How far the outcomes had come just before a page was requested: what the page shows is not older than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadAfter {
    /// The last sequence of the stream OUTCOME.
    pub sequence: u64,
    /// When that stream was made: sequences of another incarnation cannot be compared.
    pub stream_created: DateTime<Utc>,
}

/// Body of `pull.<system>.<collection>.<key>`: a record as the system shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullResult {
    /// The system.
    pub system: SystemName,
    /// The collection.
    pub collection: CollectionName,
    /// The system's own id.
    pub id: String,
    /// The value of the key field, trimmed; absent where the record has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The id of the parent record, for children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Grows with each edit of this record: the system's own edit time in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The record is not there (any more).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The values. A field that could not be read is absent.
    #[serde(default)]
    pub fields: Fields,
    /// The push that made it, where its system keeps that: of two with the same one, one is a double.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// What the bridge wants back with a push: opaque to all others.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub handle: serde_json::Value,
    /// The run that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Taken before the request that read it.
    pub read_after: ReadAfter,
}

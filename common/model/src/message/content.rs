//! Asking for the bytes of a record that one system has and another is to get.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failure, RunId};

/// Body of a request on `content.<system>.<collection>.<id>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContentRequest {
    /// The run for which it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// One answer to such a request. `working` comes at once and every five seconds, until one of the others ends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentReply {
    /// The bytes are being fetched.
    Working,
    /// They are in the object store.
    Ready(ContentObject),
    /// They cannot be had.
    Failed(Failure),
}

/// Bytes in the object store. Who asked for them deletes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentObject {
    /// The object's name: of system, collection, id and revision.
    pub object: String,
    /// How many bytes.
    pub size: u64,
    /// Their sha256, in hex.
    pub sha256: String,
    /// What they are (`image/jpeg`), where the system says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

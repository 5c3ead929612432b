//! What people do by hand to what the services keep.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Body of `audit.<what>.<action>`: somebody has done something by hand, such as discarding a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// When.
    pub at: DateTime<Utc>,
    /// Who, as the machine says: `name@host`.
    pub by: String,
    /// What was done: `replayed`, `edited`, `discarded`.
    pub action: String,
    /// To what.
    pub about: String,
    /// What came of it, or what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

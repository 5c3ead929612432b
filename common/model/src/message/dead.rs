//! Dead letters.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One try at a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadAttempt {
    /// When.
    pub at: DateTime<Utc>,
    /// What went wrong.
    pub error: String,
}

/// Body of `dead.<stage>.<system>.<collection>.<key>`: a message that could not be processed, once and whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// The message's subject.
    pub subject: String,
    /// The stream that held it.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// The body as text; absent where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64 where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Why, and what to do.
    pub error: String,
    /// The last 20 attempts.
    #[serde(default)]
    pub attempts: Vec<DeadAttempt>,
}

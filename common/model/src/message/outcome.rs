//! What came of a push.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::{Fields, PushId};

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeResult {
    /// The system took it.
    Written,
    /// The system showed the values already; nothing was written.
    Unchanged,
    /// A create found its key; the record comes back to be paired.
    Exists,
    /// The other side moved: read again, decide again.
    Stale,
    /// The target is not there any more.
    Gone,
    /// The system will never take it so.
    Refused,
    /// It could not be processed; a dead letter says why.
    Dead,
    /// Whether it was done is not known; the intent stays and the next push looks first.
    Unknown,
}

impl OutcomeResult {
    /// Whether the record is as the push wanted it, by this push or before.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Written | Self::Unchanged | Self::Exists)
    }
}

/// Body of `outcome.<system>.<collection>.<key>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The push that it answers.
    pub push: PushId,
    /// How it ended.
    pub result: OutcomeResult,
    /// The record's id: the new one after a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The record's revision, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The record's handle, where it changed.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub handle: serde_json::Value,
    /// The values as the system now shows them, where it says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: Fields,
    /// Fields of the push that the system cannot take, each with the reason; the others were written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parked: BTreeMap<String, String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Calls that it cost.
    #[serde(default)]
    pub calls: u32,
}

//! Why something failed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why something failed, and what class of failure it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The class.
    pub class: FailureClass,
    /// In a person's words, with what to do.
    pub message: String,
    /// The field at fault, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// The classes of failure. What follows from each is in one place of each service: its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// A fault of the moment: try again.
    Transient,
    /// The limit is used up: wait, which is no attempt.
    Limited,
    /// The credential is not valid (any more).
    Unauthorised,
    /// The record moved.
    Conflict,
    /// The request will never be taken so.
    Invalid,
    /// The record is not there.
    Gone,
    /// Whether it was done is not known.
    Unknown,
}

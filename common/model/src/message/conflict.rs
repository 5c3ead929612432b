//! Conflicts as records, kept until a person has looked at them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Conflict, PushRequest, RunId};
use crate::Key;

/// A value of the bucket `conflicts`: a conflict, with all that a person needs to choose the other value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictRecord {
    /// Both values, the base, who won.
    pub conflict: Conflict,
    /// The key of the records.
    pub key: Key,
    /// Why the winner won.
    pub why: WonBecause,
    /// The run that came upon it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How the value that lost is brought back.
    pub other: OtherValue,
    /// What a person has decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

/// Why one side wins a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WonBecause {
    /// The route says that it wins.
    Owner,
    /// The route carries the field from it only.
    OneWay,
    /// The owner has no value, and by the route none does not win.
    OwnerIsEmpty,
}

/// How the value that lost is brought back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtherValue {
    /// By a person's push, which the route then carries to the other side as it does every edit.
    Push {
        /// Its subject.
        subject: String,
        /// The push.
        push: Box<PushRequest>,
    },
    /// Not by us: why, and what to do.
    Impossible(String),
}

/// What a person has decided of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// When.
    pub at: DateTime<Utc>,
    /// Who, as the machine says: `name@host`.
    pub by: String,
    /// Whether the value that lost was brought back; else the winner stands.
    pub other_chosen: bool,
}

impl ConflictRecord {
    /// Why the winner won, in words.
    pub fn why(&self) -> String {
        let (won, field) = (&self.conflict.won, &self.conflict.field);
        match self.why {
            WonBecause::Owner => format!("the route says that {won} wins"),
            WonBecause::OneWay => format!("the route carries `{field}` from {won} only"),
            WonBecause::OwnerIsEmpty => {
                format!("{} has no value, and by the route none does not win", self.conflict.lost)
            }
        }
    }
}

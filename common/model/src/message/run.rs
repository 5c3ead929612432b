//! Runs, and what is told of them.

use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BodyError, Failure, Op, decode};
use crate::{CollectionName, Fields, Key, SystemName, Value};

/// Identifies a run: the stream sequence of the sync request that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Body of `run.<id>.listed`: a bridge has pulled its part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The system.
    pub system: SystemName,
    /// The collection.
    pub collection: CollectionName,
    /// The sequence of the request that it answers.
    pub request: u64,
    /// Every record that the request asked for is in PULL; false if it broke off.
    pub complete: bool,
    /// The listing covers the whole collection, so what it lacks is not there.
    #[serde(default)]
    pub whole: bool,
    /// Records published.
    pub records: u64,
    /// The sequence of the last of them; 0 if there were none.
    pub pull_last: u64,
    /// Why it broke off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Body of `run.<id>.parked`: a record, or a field of one, that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parked {
    /// The system that shows the record.
    pub system: SystemName,
    /// Its collection.
    pub collection: CollectionName,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The field, if it is only that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why, and what to do.
    pub reason: String,
}

/// Body of `run.<id>.conflict`: both sides changed one field; the loser is kept here and in the link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The link.
    pub link: String,
    /// The side that won.
    pub won: SystemName,
    /// The side that lost.
    pub lost: SystemName,
    /// The losing side's field.
    pub field: String,
    /// What the losing side showed when both last agreed.
    pub base: Value,
    /// The value that won, in the losing side's form.
    pub winner: Value,
    /// The value that lost.
    pub loser: Value,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Body of `run.<id>.would_push`: what a dry run would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WouldPush {
    /// The system that would be written.
    pub system: SystemName,
    /// Its collection.
    pub collection: CollectionName,
    /// The record's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// What would be done.
    pub op: Op,
    /// The values that would be set.
    pub set: Fields,
    /// What they would replace.
    #[serde(default)]
    pub expect: Fields,
}

/// The counts of a run, so far or in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunSummary {
    /// Records pulled and decided.
    pub records: u64,
    /// Pushes sent.
    pub pushes: u64,
    /// Pushes that wrote.
    pub written: u64,
    /// Pushes that found nothing to write.
    pub unchanged: u64,
    /// Pushes that failed for good.
    pub failed: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// Records or fields parked.
    pub parked: u64,
    /// Parts that broke off, each with the reason.
    pub errors: Vec<String>,
}

/// What stands on `run.<id>.<event>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RunEvent {
    /// `listed`.
    Listed(Listed),
    /// `conflict`.
    Conflict(Conflict),
    /// `would_push`.
    WouldPush(WouldPush),
    /// `parked`.
    Parked(Parked),
    /// `opened`, `progress` and `ended`.
    Summary(RunSummary),
}

impl RunEvent {
    /// Reads the body of `run.<id>.<event>`.
    pub fn decode(event: &str, body: &[u8]) -> Result<Self, BodyError> {
        match event {
            "listed" => decode("a listing's end", body).map(Self::Listed),
            "conflict" => decode("a conflict", body).map(Self::Conflict),
            "would_push" => decode("a dry run's push", body).map(Self::WouldPush),
            "parked" => decode("a parked record", body).map(Self::Parked),
            "opened" | "progress" | "ended" => decode("a run's counts", body).map(Self::Summary),
            other => Err(BodyError { what: "a run event", why: format!("`{other}` is no event of a run") }),
        }
    }
}

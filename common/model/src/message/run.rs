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
    /// Pages that were asked of the system for it, as far as they are known.
    #[serde(default)]
    pub pages: u64,
    /// How many calls a minute the system takes, by what it last said of its limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u32>,
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

/// Body of `run.<id>.waiting`: pushes of the run wait because their system cannot be written at the moment, or it waits to
/// be read. Nothing is lost; it goes on as soon as it can. Told once a minute at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The system.
    pub system: SystemName,
    /// How many pushes wait for it, those of other runs among them; 0 where it waits to be read.
    pub pushes: u64,
    /// Why, and what to do.
    pub reason: String,
}

/// Records whose pushes were under way for another run when this one came upon them. What is still to be written then
/// is written for that run, and counted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnderWay {
    /// The other run; none if the pushes belong to no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How many records.
    pub records: u64,
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
    /// Records whose pushes are under way for other runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub under_way: Vec<UnderWay>,
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
    /// `waiting`.
    Waiting(Waiting),
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
            "waiting" => decode("a word of pushes that wait", body).map(Self::Waiting),
            "opened" | "progress" | "ended" => decode("a run's counts", body).map(Self::Summary),
            other => Err(BodyError { what: "a run event", why: format!("`{other}` is no event of a run") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_read_as_what_it_is() {
        let waiting = br#"{"system":"clio","pushes":60,"reason":"Clio is not connected"}"#;
        let Ok(RunEvent::Waiting(read)) = RunEvent::decode("waiting", waiting) else { panic!("not read") };
        assert_eq!((read.system.as_str(), read.pushes), ("clio", 60));
        let counts = br#"{"records":60,"under_way":[{"run":12,"records":60}]}"#;
        let Ok(RunEvent::Summary(read)) = RunEvent::decode("ended", counts) else { panic!("not read") };
        assert_eq!(read.under_way, [UnderWay { run: Some(RunId(12)), records: 60 }]);
        assert!(RunEvent::decode("rumour", b"{}").is_err());
    }
}

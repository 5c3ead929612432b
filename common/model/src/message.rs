//! The bodies of the durable messages.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{CollectionName, Fields, Key, PushId, SystemName, Value};

/// Identifies a run: the stream sequence of the sync request that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message's body is not what its subject promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be read: {why}")]
pub struct BodyError {
    /// What was expected, `a sync request`.
    pub what: &'static str,
    /// Where and why it fails; names the key.
    pub why: String,
}

/// Reads a body; an error names the offending key. Bytes that are blank are read as `{}`.
pub fn decode<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, BodyError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}".as_slice() } else { body };
    serde_json::from_slice(body).map_err(|error| BodyError { what, why: error.to_string() })
}

/// How much of a collection a sync request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What changed since the cursor.
    #[default]
    Incremental,
    /// Everything.
    Full,
    /// Everything on both sides, paired, with pushes in the bulk lane.
    Migrate,
}

/// Body of `sync.request.<system>[.<collection>]`. Every key is optional; an empty body is an incremental sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyncRequest {
    /// How much to pull.
    pub mode: Mode,
    /// Pull what changed after this moment instead of after the cursor. Moves no cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Pull just these records, by the system's own ids. Moves no cursor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Stop after so many records. The cursor stays where the run stopped, so the next goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_records: Option<u64>,
    /// Say on `run.` what would be pushed, and change nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Why, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The run of which this request is a part. It opens none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<RunId>,
}

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
    /// What the bridge wants back with a push: opaque to all others.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub handle: serde_json::Value,
    /// The run that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Taken before the request that read it.
    pub read_after: ReadAfter,
}

/// What a push does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Make a record.
    Create,
    /// Set fields of a record.
    Update,
    /// Remove a record.
    Delete,
}

/// The record that a push aims at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The system's own id.
    pub id: String,
    /// What the bridge gave with the record when it last showed it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub handle: serde_json::Value,
}

/// Body of `push.<lane>.<system>.<collection>.<key>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// Its identity; a person's push leaves it out and goes by its sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// What to do.
    pub op: Op,
    /// The record; absent for a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The fields to set.
    #[serde(default)]
    pub set: Fields,
    /// What each field in `set` is believed to show now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: Fields,
    /// The run whose complete listing of this collection lacked the key: a create needs no look-up of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_in: Option<RunId>,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why, in a person's words.
    #[serde(default)]
    pub why: String,
}

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

/// The answer to a request on `auth.token.<system>`. Never stored by a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenReply {
    /// A token.
    Token {
        /// The access token, sealed under the key derived from `DATABRIDGE_KEY` for the purpose `token:<system>`,
        /// with the subject of the request as associated data.
        sealed: String,
        /// When it ends.
        expires_at: DateTime<Utc>,
    },
    /// There is none to give.
    None {
        /// Why, and what a person should do.
        reason: String,
    },
}

/// The body of a request on `auth.token.<system>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenRequest {
    /// The system refused a token that should be valid still; the first 8 hex digits of that token's sha256, so
    /// that a token got meanwhile is not refreshed once more.
    pub refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_request_is_an_incremental_sync() {
        let request: SyncRequest = decode("a sync request", b"").unwrap();
        assert_eq!(request, SyncRequest::default());
        assert_eq!(request.mode, Mode::Incremental);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = decode::<SyncRequest>("a sync request", br#"{"mod":"full"}"#).unwrap_err();
        assert!(error.to_string().contains("`mod`"), "{error}");
    }

    #[test]
    fn a_wrong_type_is_refused() {
        let error = decode::<SyncRequest>("a sync request", br#"{"max_records":"many"}"#).unwrap_err();
        assert!(error.to_string().contains("many"), "{error}");
    }

    #[test]
    fn a_value_that_is_no_field_value_says_what_would_be() {
        let error = decode::<Fields>("fields", br#"{"a":1.5}"#).unwrap_err();
        assert!(error.to_string().contains("decimals are text"), "{error}");
    }
}

//! Sync requests.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunId;

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
    /// Stop after so many records, at least one. The cursor stays where an incremental run without `since` stopped, so
    /// the next one goes on from there; what changed meanwhile in records before that place comes with the run after.
    /// A run of everything begins anew each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_records: Option<u64>,
    /// Believe a complete listing that lacks more records than would be believed without a person's word.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accept_missing: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

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
}

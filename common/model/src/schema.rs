//! The JSON Schemas of the durable messages, as they stand in `docs/schemas`.

use schemars::schema_for;

use crate::{
    Audit, Conflict, ConflictRecord, ContentReply, DeadLetter, Listed, Outcome, Parked, PullResult,
    PushRequest, RunSummary, SyncRequest, Waiting, WouldPush,
};

/// The schemas, each with the name of its file in `docs/schemas`.
pub fn all() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("sync-request", schema_for!(SyncRequest).to_value()),
        ("pull-result", schema_for!(PullResult).to_value()),
        ("push-request", schema_for!(PushRequest).to_value()),
        ("outcome", schema_for!(Outcome).to_value()),
        ("content-reply", schema_for!(ContentReply).to_value()),
        ("dead-letter", schema_for!(DeadLetter).to_value()),
        ("audit", schema_for!(Audit).to_value()),
        ("conflict", schema_for!(ConflictRecord).to_value()),
        ("run-listed", schema_for!(Listed).to_value()),
        ("run-parked", schema_for!(Parked).to_value()),
        ("run-conflict", schema_for!(Conflict).to_value()),
        ("run-waiting", schema_for!(Waiting).to_value()),
        ("run-would-push", schema_for!(WouldPush).to_value()),
        ("run-summary", schema_for!(RunSummary).to_value()),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// `UPDATE_SCHEMAS=1 cargo test -p databridge-model schemas` writes them anew.
    #[test]
    fn the_schemas_in_the_docs_are_those_of_the_types() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
        for (name, schema) in super::all() {
            let path = folder.join(format!("{name}.json"));
            let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
            if std::env::var_os("UPDATE_SCHEMAS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &text).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
        }
    }
}

//! The versions of a document.

use databridge_http::CallError;
use serde_json::Value as Json;

use super::Documents;
use crate::api;
use crate::clio::Clio;
use crate::errand::Errand;

/// A version, whole or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// Its bytes; told of a whole one only.
    pub(super) size: Option<u64>,
    /// Whether its upload was marked as done.
    pub(super) is_whole: bool,
    /// Its place among the document's versions, from 1.
    pub(super) number: Option<u64>,
}

impl Version {
    fn of(json: &Json) -> Self {
        let number = |name: &str| json.get(name).and_then(Json::as_u64);
        // Samples of the reference show the mark as text, too.
        let is_whole = match json.get("fully_uploaded") {
            Some(Json::Bool(is_whole)) => *is_whole,
            Some(Json::String(is_whole)) => is_whole == "true",
            _ => false,
        };
        Self { size: number("size"), is_whole, number: number("version_number") }
    }

    /// The latest version of a document.
    pub(super) fn latest_of(document: &Json) -> Self {
        document.get("latest_document_version").map(Self::of).unwrap_or_default()
    }

    /// Whether a whole version may stand behind this one, which is not.
    pub(super) fn may_hide_a_whole_one(self) -> bool {
        !self.is_whole && self.number != Some(1)
    }
}

impl Documents {
    /// The latest whole version of a document: what a person sees of it while a later one waits for its bytes.
    pub(super) async fn last_whole(
        &self,
        clio: &Clio,
        errand: &Errand,
        id: u64,
    ) -> Result<Option<Version>, CallError> {
        let most = api::PAGE.to_string();
        let query = [("fully_uploaded", "true"), (api::LIMIT, &most), (api::FIELDS, api::VERSION_FIELDS)];
        let all = clio.client.all_below(errand, &api::versions_of(id), &query).await?;
        let whole = all.iter().map(Version::of).filter(|version| version.is_whole);
        Ok(whole.max_by_key(|version| version.number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_is_whole_if_it_says_so_in_either_form() {
        for (told, is_whole) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (Json::Null, false),
        ] {
            let document = json!({"latest_document_version": {"fully_uploaded": told, "size": 4}});
            assert_eq!(Version::latest_of(&document).is_whole, is_whole, "{document}");
        }
        assert_eq!(Version::latest_of(&json!({"latest_document_version": null})), Version::default());
    }
}

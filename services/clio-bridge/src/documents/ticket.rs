//! The right to put the bytes of one version into Clio's storage ("Documents", uploading).

use serde::Deserialize;
use serde_json::Value as Json;

use super::version::Version;

/// Where the bytes go. The address is a secret: who has it may write there. It ends after ten minutes, or later.
#[derive(Clone, Deserialize)]
pub(crate) struct Ticket {
    /// The version.
    pub(crate) uuid: String,
    pub(crate) put_url: String,
    /// What the storage wants to hear with the bytes.
    #[serde(default)]
    pub(crate) put_headers: Vec<PutHeader>,
}

/// A header of the upload.
#[derive(Clone, Deserialize)]
pub(crate) struct PutHeader {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("uuid", &self.uuid).finish_non_exhaustive()
    }
}

impl Ticket {
    /// The ticket of a document's latest version, where that waits for its bytes.
    pub(crate) fn of(document: &Json) -> Option<Self> {
        if Version::latest_of(document).is_whole {
            return None;
        }
        Self::deserialize(document.get("latest_document_version")?).ok()
    }
}

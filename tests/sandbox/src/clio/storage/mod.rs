//! The storage behind Clio's documents: signed addresses of an S3 bucket, to which bytes are put and from which they are
//! had, past the API.
//!
//! Source: "Uploading a Document" in Clio's API documentation, and "Authenticating Requests: Using Query Parameters" and
//! "Error Responses" in Amazon's S3 reference.

mod address;
mod refusal;
mod routes;

use std::path::PathBuf;

use axum::body::Body;
use serde::{Deserialize, Serialize};

use crate::files::{Files, ReceivedFile};

pub(crate) use address::{download_address, upload_address};
pub(crate) use routes::storage_router;

/// The path of the storage below the listener's root.
pub(crate) const STORAGE: &str = "/storage/";

/// The largest upload in bytes: S3 takes 5 GiB at once.
const LARGEST_UPLOAD: u64 = 5 << 30;

/// The bucket: a file for each upload, named by its UUID.
pub(crate) fn bucket(kept: Option<PathBuf>) -> Files {
    Files::new(kept, LARGEST_UPLOAD)
}

/// What lies in the storage for one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// In bytes.
    pub(crate) size: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
    /// The bytes, for what was there from the start; all else is in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

impl Content {
    /// A short text that needs no file.
    pub(crate) fn of_text(text: &str) -> Self {
        let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()));
        Self { size: text.len() as u64, sha256, text: Some(text.to_owned()) }
    }

    /// What has arrived, put in its place.
    pub(crate) fn of_file(received: &ReceivedFile) -> std::io::Result<Self> {
        received.put()?;
        Ok(Self { size: received.size, sha256: received.sha256.clone(), text: None })
    }

    /// The bytes of an upload, read while they leave.
    pub(crate) async fn body(&self, files: &Files, uuid: &str) -> std::io::Result<Body> {
        match &self.text {
            Some(text) => Ok(Body::from(text.clone())),
            None => files.body(uuid).await,
        }
    }
}

/// A secret with which addresses are signed.
pub(crate) fn new_secret() -> String {
    hex::encode(rand::random::<[u8; 20]>())
}

/// A name for an upload, in the form of a UUID.
pub(crate) fn new_uuid() -> String {
    let [a, b, c, d] = rand::random::<[u16; 4]>();
    let (first, last) = (rand::random::<u32>(), rand::random::<u32>());
    let (version, variant) = (0x4000 | (b & 0x0FFF), 0x8000 | (c & 0x3FFF));
    format!("{first:08x}-{a:04x}-{version:04x}-{variant:04x}-{d:04x}{last:08x}")
}

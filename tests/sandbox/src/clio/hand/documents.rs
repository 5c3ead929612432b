//! Documents as their pages show them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Property;

/// A document as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentPage {
    /// Its id.
    pub id: i64,
    /// Id of its matter.
    pub matter: Option<i64>,
    /// Id of its contact.
    pub contact: Option<i64>,
    /// Its name.
    pub name: String,
    /// Whether it may not be changed.
    pub locked: bool,
    /// When it was put in the trash.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Its external properties.
    pub external_properties: Vec<Property>,
    /// Its versions, oldest first.
    pub versions: Vec<VersionPage>,
    /// The etag, quotes included.
    pub etag: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, in whole seconds.
    pub updated_at: DateTime<Utc>,
}

impl DocumentPage {
    /// The version that a download gives: the newest one fully uploaded.
    pub fn current(&self) -> Option<&VersionPage> {
        self.versions.iter().rfind(|version| version.fully_uploaded)
    }

    /// The value of an external property; the first one where its name is repeated.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.external_properties
            .iter()
            .find(|property| property.name == name)
            .map(|found| found.value.as_str())
    }
}

/// A version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionPage {
    /// Its id.
    pub id: i64,
    /// Names its upload.
    pub uuid: String,
    /// Name of the file.
    pub filename: String,
    /// MIME type.
    pub content_type: String,
    /// Whether it was marked as fully uploaded.
    pub fully_uploaded: bool,
    /// How many bytes lie in the storage; none before the upload.
    pub size: Option<u64>,
    /// The SHA-256 of the bytes in the storage, in hexadecimal.
    pub sha256: Option<String>,
}

/// What lies in the storage for a document that a person adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upload {
    /// Nothing: the upload was begun and given up.
    #[default]
    None,
    /// These bytes, in Base64, but never marked as fully uploaded.
    Unmarked(String),
    /// These bytes, in Base64.
    Done(String),
}

impl Upload {
    /// A whole upload.
    pub fn of(bytes: &[u8]) -> Self {
        Self::Done(STANDARD.encode(bytes))
    }

    /// An upload that was never marked as done.
    pub fn unmarked(bytes: &[u8]) -> Self {
        Self::Unmarked(STANDARD.encode(bytes))
    }

    /// A whole upload of the wrong bytes: the form that a browser sends, with the file in its midst, as a program leaves it
    /// that puts a form to an address which takes the raw bytes.
    pub fn form(filename: &str, content_type: &str, bytes: &[u8]) -> Self {
        let boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
             Content-Type: {content_type}\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        Self::of(&[head.as_bytes(), bytes, tail.as_bytes()].concat())
    }

    /// The bytes, and whether they were marked as done; none if there are no bytes.
    pub(crate) fn bytes(&self) -> Result<Option<(Vec<u8>, bool)>, base64::DecodeError> {
        match self {
            Self::None => Ok(None),
            Self::Unmarked(text) => Ok(Some((STANDARD.decode(text)?, false))),
            Self::Done(text) => Ok(Some((STANDARD.decode(text)?, true))),
        }
    }
}

/// A document that a person adds to a matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDocument {
    /// Id of the matter.
    pub matter: i64,
    /// Its name, which is also the file's.
    pub name: String,
    /// MIME type; found by the name's ending if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// External properties, as an app would have left them. A name may be repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_properties: Vec<Property>,
    /// What lies in the storage.
    #[serde(default)]
    pub upload: Upload,
}

/// What a person changes in a document. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentEdit {
    /// Another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of another matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter: Option<i64>,
    /// Whether it may not be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// All external properties that it has from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_properties: Option<Vec<Property>>,
    /// A new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// Whether to take it out of the trash.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restore: bool,
}

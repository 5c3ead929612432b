//! The versions of a document: what was uploaded, or is to be.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::collection::{Ask, Collection};
use crate::clio::collections::users::USER;
use crate::clio::listing::Params;
use crate::clio::records::Stamp;
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::storage::{self, Content};
use crate::clio::view::{Entity, Record, Shown, View, time};

/// How long the address for an upload can be used.
pub(crate) const ADDRESS_LASTS: TimeDelta = TimeDelta::minutes(10);

/// A version.
pub(crate) static DOCUMENT_VERSION: Shape = Shape {
    kind: "DocumentVersion",
    plain: &[
        "document_id",
        "uuid",
        "created_at",
        "updated_at",
        "filename",
        "size",
        "version_number",
        "content_type",
        "received_at",
        "put_url",
        "put_headers",
        "fully_uploaded",
    ],
    nested: &[("creator", Nested::Base(&USER))],
    defaults: &[],
};

/// A version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DocumentVersion {
    /// Its id.
    pub(crate) id: i64,
    /// Id of its document.
    pub(crate) document: i64,
    /// Its number within the document, from 1.
    pub(crate) number: usize,
    /// Names its upload, and its bytes in the storage.
    pub(crate) uuid: String,
    /// Name of the file.
    pub(crate) filename: String,
    /// MIME type.
    pub(crate) content_type: String,
    /// When it was received, as the app says.
    pub(crate) received_at: DateTime<Utc>,
    /// What lies in the storage, fully uploaded or not.
    pub(crate) content: Option<Content>,
    /// Whether it was marked as fully uploaded.
    pub(crate) fully_uploaded: bool,
    /// When the address for its upload ends.
    pub(crate) address_ends: DateTime<Utc>,
    /// Id of the user who made it.
    pub(crate) creator: i64,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl DocumentVersion {
    /// The headers that an upload must carry.
    pub(crate) fn put_headers(&self) -> [(&'static str, &str); 2] {
        [("x-amz-server-side-encryption", "AES256"), ("Content-Type", &self.content_type)]
    }

    /// What is shown, once it is fully uploaded.
    pub(crate) fn shown_content(&self) -> Option<&Content> {
        self.content.as_ref().filter(|_| self.fully_uploaded)
    }
}

impl Entity for DocumentVersion {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&DOCUMENT_VERSION, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "creator" => return Shown::one(view.store.users.get(&self.creator)),
            "document_id" => json!(self.document),
            "uuid" => json!(self.uuid),
            "filename" => json!(self.filename),
            "size" => json!(self.shown_content().map(|content| content.size)),
            "version_number" if self.fully_uploaded || !view.store.numbers_uploaded_versions => {
                json!(self.number)
            }
            "content_type" => json!(self.content_type),
            "received_at" => time(self.received_at),
            "fully_uploaded" => json!(self.fully_uploaded),
            "put_url" if !self.fully_uploaded => {
                json!(storage::upload_address(view.root, &view.store.storage_secret, self))
            }
            "put_headers" if !self.fully_uploaded => {
                let headers = self.put_headers().into_iter();
                headers.map(|(name, value)| json!({"name": name, "value": value})).collect()
            }
            _ => Value::Null,
        })
    }
}

/// The versions of the document in the path.
pub(crate) struct DocumentVersions;

impl Collection for DocumentVersions {
    fn shape(&self) -> &'static Shape {
        &DOCUMENT_VERSION
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        let uploaded = params.flag("fully_uploaded")?;
        let document = ask.of.and_then(|id| ask.store.documents.get(&id));
        let document = document.ok_or_else(|| Refusal::not_found("Document"))?;
        let versions = document.versions.iter();
        let found = versions.filter(|version| uploaded.is_none_or(|asked| version.fully_uploaded == asked));
        Ok(found.map(|version| Record::Of(version)).collect())
    }

    /// No path names a version by its id alone.
    fn find<'a>(&self, _: &Ask<'a>, _: i64) -> Option<Record<'a>> {
        None
    }
}

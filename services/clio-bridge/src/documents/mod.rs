//! Documents of our matters that came from elsewhere ("Documents").

mod push;
mod ticket;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use databridge_bridge::Shown;
use databridge_http::CallError;
use databridge_model::{FieldType, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::api::{self, Resource, filter};
use crate::content_source::ContentSource;
use crate::declared::Declared;
use crate::found::Found;
use crate::kind::{Filters, Kind, Pushed, Reading, Work, id_of, matter_in};
use crate::record::{RecordReader, etag_of, external_property};
use crate::settings::DocumentSettings;
use crate::whose::OurMatters;

pub(crate) use upload::Storage;

const NAME: &str = "name";
const CONTENT: &str = "content";
const CONTENT_TYPE: &str = "content_type";

/// The fields, and the types that each may be declared with.
const FIELDS: [(&str, &[FieldType]); 4] = [
    (api::KEY_PROPERTY, &[FieldType::Text]),
    (NAME, &[FieldType::Text]),
    (CONTENT_TYPE, &[FieldType::Text]),
    (CONTENT, &[FieldType::Ref, FieldType::Text]),
];

/// How long a call of a document's push may wait for the limit: the bytes have been fetched by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// What comes back with a push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Handle {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matter: Option<u64>,
    /// A new version needs the document's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// What the system file says of documents.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredDocuments {
    declared: Declared,
    settings: DocumentSettings,
}

impl DeclaredDocuments {
    /// As the system file has them; what is wrong there is told.
    pub(crate) fn new(declared: Declared, settings: DocumentSettings, wrong: &mut Vec<String>) -> Self {
        wrong.extend(declared.problems(api::KEY_PROPERTY, &FIELDS));
        Self { declared, settings }
    }

    /// With where contents come from, and go to.
    pub(crate) fn served(self, contents: Arc<dyn ContentSource>, storage: Storage) -> Documents {
        Documents { declared: self.declared, settings: self.settings, contents, storage }
    }
}

/// The collection `documents`.
#[derive(Debug)]
pub(crate) struct Documents {
    declared: Declared,
    settings: DocumentSettings,
    contents: Arc<dyn ContentSource>,
    storage: Storage,
}

impl Documents {
    /// The collection's name.
    pub(crate) const NAME: &str = "documents";

    /// Reads a document; `None` if it is not one of ours, or in the trash.
    fn read_one(&self, ours: &OurMatters, json: &Json, reading: &mut Reading) -> Option<Shown> {
        let (matter, key) = (ours.of(json)?, key_of(json)?);
        let id = id_of(json)?.to_string();
        let mut record = RecordReader::new(self, json);
        record.set(api::KEY_PROPERTY, Value::text(key.trim()));
        for name in [NAME, CONTENT_TYPE] {
            record.take(name, json.get(name));
        }
        let version = json.get("latest_document_version").unwrap_or(&Json::Null);
        let size = version.get("size").and_then(Json::as_u64);
        match (is_fully_uploaded(version), size) {
            (true, Some(size)) => record.take(CONTENT, Some(&json!(size.to_string()))),
            // Its size is not told (yet), which is no other content.
            (true, None) => {}
            (false, _) => record.take(CONTENT, Some(&Json::Null)),
        }
        let name = json.get(NAME).and_then(Json::as_str).map(str::to_owned);
        let handle = Handle { etag: etag_of(json), matter: Some(matter), name };
        let handle = serde_json::to_value(handle).unwrap_or_default();
        Some(record.finish(id, Some(matter), handle, &mut reading.notices))
    }
}

/// The key of a document that came from elsewhere and is not in the trash.
fn key_of(json: &Json) -> Option<String> {
    let is_trashed = json.get("deleted_at").is_some_and(|at| !at.is_null());
    external_property(json, api::KEY_PROPERTY).filter(|_| !is_trashed)
}

/// A version whose upload was marked as done. Samples of the reference show the mark as text, too.
fn is_fully_uploaded(version: &Json) -> bool {
    match version.get("fully_uploaded") {
        Some(Json::Bool(is_full)) => *is_full,
        Some(Json::String(is_full)) => is_full == "true",
        _ => false,
    }
}

impl Kind for Documents {
    fn declared(&self) -> &Declared {
        &self.declared
    }

    fn resource(&self) -> &'static Resource {
        &api::DOCUMENTS
    }

    fn ours(&self, _found: &Found) -> Result<Filters, CallError> {
        Ok(vec![(filter::PROPERTY_NAME, api::KEY_PROPERTY.to_owned())])
    }

    fn matter_of(&self, _found: &Found, json: &Json) -> Option<u64> {
        key_of(json).and_then(|_| matter_in(json))
    }

    fn read(&self, _found: &Found, ours: &OurMatters, page: &[Json]) -> Reading {
        Reading::of(page, |json, reading| self.read_one(ours, json, reading))
    }

    fn tells_changes(&self) -> bool {
        self.settings.incremental
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn create<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed> {
        self.make(work).boxed()
    }

    fn update<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed> {
        self.set(work).boxed()
    }
}

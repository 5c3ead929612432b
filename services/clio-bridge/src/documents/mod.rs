//! Documents of our matters that came from elsewhere ("Documents").

pub(crate) mod delivery;
mod push;
pub(crate) mod ticket;
pub(crate) mod upload;
mod version;

use std::collections::BTreeMap;
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
use crate::clio::Clio;
use crate::content_source::ContentSource;
use crate::declared::Declared;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Filters, Kind, Pushed, Reading, Work, id_of, matter_in};
use crate::record::{RecordReader, etag_of, external_property, external_property_id};
use crate::settings::DocumentSettings;
use crate::whose::OurMatters;

use version::Version;

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
    /// The id of the property that holds the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<u64>,
    /// The number of the latest version. A person's upload makes another.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Whether that version waits for its bytes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
}

impl Handle {
    /// Of a document as Clio shows it.
    fn of(document: &Json) -> Self {
        let latest = Version::latest_of(document);
        Self {
            etag: etag_of(document),
            matter: matter_in(document),
            name: document.get(NAME).and_then(Json::as_str).map(str::to_owned),
            property: external_property_id(document, api::KEY_PROPERTY),
            version: latest.number,
            unfinished: !latest.is_whole,
        }
    }

    /// As it came back with a push. What cannot be read is not known.
    fn read(handle: &Json) -> Self {
        serde_json::from_value(handle.clone()).unwrap_or_default()
    }

    fn tells_its_version(&self) -> bool {
        self.version.is_some()
    }
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

    /// Reads a document, given what was found of the whole versions behind unfinished ones; `None` if it is not one of
    /// ours, or in the trash.
    fn read_one(
        &self,
        ours: &OurMatters,
        behind: &WholeBehind,
        json: &Json,
        reading: &mut Reading,
    ) -> Option<Shown> {
        let (matter, key) = (ours.of(json)?, key_of(json)?);
        let id = id_of(json)?.to_string();
        let mut record = RecordReader::new(self, json);
        record.set(api::KEY_PROPERTY, Value::text(key.trim()));
        for name in [NAME, CONTENT_TYPE] {
            record.take(name, json.get(name));
        }
        match content_of(json, behind) {
            Content::None => record.take(CONTENT, Some(&Json::Null)),
            Content::Of(size) => record.take(CONTENT, Some(&json!(size.to_string()))),
            // Which is no other content.
            Content::NotTold => {}
        }
        let handle = serde_json::to_value(Handle::of(json)).unwrap_or_default();
        Some(record.finish(id, Some(matter), handle, &mut reading.notices))
    }
}

/// The key of a document that came from elsewhere and is not in the trash.
fn key_of(json: &Json) -> Option<String> {
    let is_trashed = json.get("deleted_at").is_some_and(|at| !at.is_null());
    external_property(json, api::KEY_PROPERTY).filter(|_| !is_trashed)
}

/// The latest whole version of documents whose latest one waits for its bytes, where there is one, by the document's id.
type WholeBehind = BTreeMap<u64, Option<Version>>;

/// What a person gets who opens a document.
enum Content {
    /// Nothing: its first upload was begun and not marked as done.
    None,
    /// A file of so many bytes.
    Of(u64),
    /// Clio does not tell (yet).
    NotTold,
}

fn content_of(document: &Json, behind: &WholeBehind) -> Content {
    let latest = Version::latest_of(document);
    let whole = if latest.is_whole {
        latest
    } else if latest.may_hide_a_whole_one() {
        match id_of(document).and_then(|id| behind.get(&id)) {
            Some(Some(whole)) => *whole,
            Some(None) => return Content::None,
            None => return Content::NotTold,
        }
    } else {
        return Content::None;
    };
    whole.size.map_or(Content::NotTold, Content::Of)
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
        Reading::of(page, |json, reading| self.read_one(ours, &WholeBehind::new(), json, reading))
    }

    /// Where the upload of a new version broke off, a person still sees the one before, which must be asked for.
    fn understand<'a>(
        &'a self,
        clio: &'a Clio,
        errand: &'a Errand,
        page: &'a [Json],
        found: &'a Found,
    ) -> BoxFuture<'a, Result<Reading, CallError>> {
        async move {
            let matters = page.iter().filter_map(|json| self.matter_of(found, json));
            let ours = clio.ours_among(errand, matters, found).await?;
            let mut behind = WholeBehind::new();
            for json in page.iter().filter(|json| key_of(json).is_some() && ours.of(json).is_some()) {
                if let Some(id) = id_of(json).filter(|_| Version::latest_of(json).may_hide_a_whole_one()) {
                    behind.insert(id, self.last_whole(clio, errand, id).await?);
                }
            }
            Ok(Reading::of(page, |json, reading| self.read_one(&ours, &behind, json, reading)))
        }
        .boxed()
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

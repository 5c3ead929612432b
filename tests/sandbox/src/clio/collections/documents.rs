//! Documents. Their bytes lie in the storage; see [`crate::clio::storage`].

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::collections::contacts::CONTACT;
use crate::clio::collections::document_versions::{ADDRESS_LASTS, DOCUMENT_VERSION, DocumentVersion};
use crate::clio::collections::matters::MATTER;
use crate::clio::collections::notes::On;
use crate::clio::collections::users::USER;
use crate::clio::external_properties::{self, EXTERNAL_PROPERTY, ExternalProperty, PropertyFilter};
use crate::clio::filters::contains;
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::storage;
use crate::clio::view::{Entity, Record, Shown, View, time};
use crate::clio::write::Writer;

/// How long a document lies in the trash.
const TRASH_LASTS: TimeDelta = TimeDelta::days(30);

/// A document.
pub(crate) static DOCUMENT: Shape = Shape {
    kind: "Document",
    plain: &[
        "created_at",
        "updated_at",
        "deleted_at",
        "type",
        "locked",
        "name",
        "received_at",
        "filename",
        "size",
        "content_type",
    ],
    nested: &[
        ("matter", Nested::Base(&MATTER)),
        ("contact", Nested::Base(&CONTACT)),
        ("creator", Nested::Base(&USER)),
        ("latest_document_version", Nested::Whole(&DOCUMENT_VERSION)),
        ("external_properties", Nested::Base(&EXTERNAL_PROPERTY)),
    ],
    defaults: &[],
};

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Document {
    /// Its id.
    pub(crate) id: i64,
    /// Its name, never empty.
    pub(crate) name: String,
    /// The matter or contact that it belongs to.
    pub(crate) on: On,
    /// Whether it may not be changed.
    pub(crate) locked: bool,
    /// When it was put in the trash.
    pub(crate) deleted_at: Option<DateTime<Utc>>,
    /// Its versions, oldest first; never none.
    pub(crate) versions: Vec<DocumentVersion>,
    /// Its external properties.
    pub(crate) properties: Vec<ExternalProperty>,
    /// Id of the user who made it.
    pub(crate) creator: i64,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Document {
    /// A document without a version that is not yet in the store.
    pub(crate) fn draft(name: &str, on: On, creator: i64, now: DateTime<Utc>) -> Self {
        Self {
            id: 0,
            name: name.to_owned(),
            on,
            locked: false,
            deleted_at: None,
            versions: Vec::new(),
            properties: Vec::new(),
            creator,
            stamp: Stamp::new(now),
        }
    }

    /// The newest version that was fully uploaded.
    pub(crate) fn complete_version(&self) -> Option<&DocumentVersion> {
        self.versions.iter().rfind(|version| version.fully_uploaded)
    }

    /// Whether it is still to be had at this time: for 30 days in the trash, else always.
    fn is_there(&self, now: DateTime<Utc>) -> bool {
        self.deleted_at.is_none_or(|deleted| deleted + TRASH_LASTS > now)
    }

    /// The version whose bytes a download gives.
    pub(crate) fn downloaded(&self, version: Option<i64>) -> Option<&DocumentVersion> {
        if self.deleted_at.is_some() {
            return None;
        }
        match version {
            None => self.complete_version(),
            Some(id) => self.versions.iter().find(|version| version.id == id && version.fully_uploaded),
        }
    }
}

impl Entity for Document {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&DOCUMENT, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        let store = view.store;
        let complete = self.complete_version();
        Shown::Plain(match name {
            "matter" => return Shown::one(self.on.matter().and_then(|id| store.matters.get(&id))),
            "contact" => return Shown::one(self.on.contact().and_then(|id| store.contacts.get(&id))),
            "creator" => return Shown::one(store.users.get(&self.creator)),
            "latest_document_version" => return Shown::one(self.versions.last()),
            "external_properties" => return Shown::many(self.properties.iter()),
            "deleted_at" => self.deleted_at.map_or(Value::Null, time),
            "type" => json!("Document"),
            "locked" => json!(self.locked),
            "name" => json!(self.name),
            "received_at" => complete.map_or(Value::Null, |version| time(version.received_at)),
            "filename" => json!(complete.map(|version| &version.filename)),
            "size" => {
                json!(complete.and_then(|version| version.content.as_ref()).map(|content| content.size))
            }
            "content_type" => json!(complete.map(|version| &version.content_type)),
            _ => Value::Null,
        })
    }
}

/// What a new version is made from.
#[derive(Debug, Clone)]
pub(crate) struct NewVersion {
    /// Name of the file.
    pub(crate) filename: String,
    /// MIME type; found by the file's ending if absent.
    pub(crate) content_type: Option<String>,
    /// When it was received, if another time than now.
    pub(crate) received_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Adds a document with its first version, giving both their ids.
    pub(crate) fn add_document(&mut self, draft: Document, version: NewVersion, now: DateTime<Utc>) -> i64 {
        let id = self.new_id();
        let creator = draft.creator;
        self.documents.insert(id, Document { id, ..draft });
        self.add_version(id, version, creator, now);
        id
    }

    /// Adds a version that is to be uploaded, and gives the name of the upload.
    pub(crate) fn add_version(
        &mut self,
        document: i64,
        new: NewVersion,
        creator: i64,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let id = self.new_id();
        let held = self.documents.get_mut(&document)?;
        let content_type = new.content_type.unwrap_or_else(|| content_type_of(&new.filename).to_owned());
        let uuid = storage::new_uuid();
        held.versions.push(DocumentVersion {
            id,
            document,
            number: held.versions.len() + 1,
            uuid: uuid.clone(),
            filename: new.filename,
            content_type,
            received_at: new.received_at.unwrap_or(now),
            content: None,
            fully_uploaded: false,
            address_ends: now + ADDRESS_LASTS,
            creator,
            stamp: Stamp::new(now),
        });
        Some(uuid)
    }

    /// The version of an upload.
    pub(crate) fn version_mut(&mut self, uuid: &str) -> Option<&mut DocumentVersion> {
        let mut versions = self.documents.values_mut().flat_map(|document| &mut document.versions);
        versions.find(|version| version.uuid == uuid)
    }
}

/// The MIME type by a file's ending.
fn content_type_of(filename: &str) -> &'static str {
    let ending = filename.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    match ending.as_deref() {
        Some("pdf") => "application/pdf",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("txt") => "text/plain",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        _ => "application/octet-stream",
    }
}

impl Writer<'_> {
    fn new_version(&self, data: &Data<'_>) -> Result<NewVersion, Refusal> {
        let name = data.required_text("name")?;
        let filename = data.unblank_text("filename")?.unwrap_or(name);
        Ok(NewVersion {
            filename: self.line("filename", Some(filename))?.unwrap_or_default(),
            content_type: data.unblank_text("content_type")?.map(str::to_owned),
            received_at: data.time("received_at")?,
        })
    }

    /// A new version of a document that is there.
    fn add_version(&mut self, data: &Data<'_>, document: i64) -> Result<i64, Refusal> {
        if data.get("external_properties").is_some() {
            // What Clio does with them then is in no source.
            return Err(Refusal::invalid("external_properties are for a new document, not for a version"));
        }
        let version = self.new_version(data)?;
        let held = self.store.documents.get_mut(&document);
        let held = held.filter(|held| held.deleted_at.is_none());
        let held = held.ok_or_else(|| Refusal::invalid("parent does not exist"))?;
        must_be_open(held)?;
        held.stamp.touch(self.now);
        self.store.add_version(document, version, self.user, self.now);
        Ok(document)
    }

    /// The document with the properties of a body.
    fn changed_document(&mut self, data: &Data<'_>, document: &Document) -> Result<Document, Refusal> {
        let mut changed = document.clone();
        if data.flag("restore")? == Some(true) {
            changed.deleted_at = None;
        }
        if changed.deleted_at.is_some() {
            return Err(Refusal::invalid("the document is in the trash"));
        }
        if let Some(name) = data.unblank_text("name")? {
            changed.name = self.line("name", Some(name))?.unwrap_or_default();
        }
        changed.properties = external_properties::changed(data, &document.properties, self.store, self.now)?;
        if let Some(version) = changed.versions.last_mut() {
            version.received_at = data.time("received_at")?.unwrap_or(version.received_at);
        }
        if is_true(data, "fully_uploaded")? {
            let uuid = data.required_text("uuid")?;
            let mut versions = changed.versions.iter_mut();
            let version = versions
                .find(|version| version.uuid == uuid && version.content.is_some() && !version.fully_uploaded)
                .ok_or_else(Refusal::upload_not_found)?;
            version.fully_uploaded = true;
            version.stamp.touch(self.now);
        }
        changed.stamp.touch(self.now);
        Ok(changed)
    }
}

/// A yes or no, which Clio's samples write as a text.
fn is_true(data: &Data<'_>, name: &str) -> Result<bool, Refusal> {
    match data.get(name) {
        Some(Value::String(text)) if text == "true" => Ok(true),
        Some(Value::String(text)) if text == "false" => Ok(false),
        _ => Ok(data.flag(name)?.unwrap_or(false)),
    }
}

fn must_be_open(document: &Document) -> Result<(), Refusal> {
    if document.locked { Err(Refusal::invalid("the document is locked")) } else { Ok(()) }
}

/// All documents.
pub(crate) struct Documents;

impl Collection for Documents {
    fn shape(&self) -> &'static Shape {
        &DOCUMENT
    }

    fn orders(&self) -> &'static [&'static str] {
        &["created_at", "name", "received_at", "updated_at"]
    }

    /// Those in the trash, and those of which no version was fully uploaded, must be asked for.
    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        let matter = params.id_or_null("matter_id")?;
        let contact = params.id_or_null("contact_id")?;
        let locked = params.flag("locked")?;
        let query = params.one("query");
        let with_deleted = params.flag("include_deleted")?.unwrap_or(false);
        let with_uncompleted = params.flag("show_uncompleted")?.unwrap_or(false);
        let properties = PropertyFilter::read(params)?;
        let found = ask.store.documents.values().filter(|document| {
            document.is_there(ask.now)
                && (with_deleted || document.deleted_at.is_none())
                && (with_uncompleted || document.complete_version().is_some())
                && matter.is_none_or(|matter| document.on.matter() == matter)
                && contact.is_none_or(|contact| document.on.contact() == contact)
                && locked.is_none_or(|locked| document.locked == locked)
                && query.is_none_or(|part| contains(&document.name, part))
                && properties.passes(&document.properties)
        });
        Ok(found.map(|document| Record::Of(document)).collect())
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        let document = ask.store.documents.get(&id)?;
        document.is_there(ask.now).then_some(Record::Of(document))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = data.required_text("name")?;
        let parents = data.object("parent")?.ok_or_else(|| Refusal::invalid("parent can't be blank"))?;
        let missing = || Refusal::invalid("parent does not exist");
        let id = parents.number("id")?.ok_or_else(missing)?;
        let on = match parents.required_text("type")? {
            "Document" => return writer.add_version(data, id),
            "Matter" if writer.store.matters.contains_key(&id) => On::Matter(id),
            "Contact" if writer.store.contacts.contains_key(&id) => On::Contact(id),
            // There are no folders in the sandbox.
            "Matter" | "Contact" | "Folder" => return Err(missing()),
            _ => return Err(Refusal::invalid("parent.type must be Document, Folder, Contact or Matter")),
        };
        let version = writer.new_version(data)?;
        let name = writer.line("name", Some(name))?.unwrap_or_default();
        let properties = external_properties::changed(data, &[], writer.store, writer.now)?;
        let draft = Document { properties, ..Document::draft(&name, on, writer.user, writer.now) };
        Ok(writer.store.add_document(draft, version, writer.now))
    }

    fn update(&self, writer: &mut Writer<'_>, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        if data.is_empty() {
            return Ok(());
        }
        let held = writer.store.documents.get(&id).cloned();
        let held = held.ok_or_else(|| Refusal::not_found("Document"))?;
        must_be_open(&held)?;
        let changed = writer.changed_document(data, &held)?;
        writer.store.documents.insert(id, changed);
        Ok(())
    }

    /// Puts a document in the trash.
    fn destroy(&self, writer: &mut Writer<'_>, id: i64) -> Result<(), Refusal> {
        let held = writer.store.documents.get_mut(&id).filter(|document| document.deleted_at.is_none());
        let document = held.ok_or_else(|| Refusal::not_found("Document"))?;
        if document.locked {
            return Err(Refusal::conflict("the document is locked"));
        }
        document.deleted_at = Some(writer.now);
        document.stamp.touch(writer.now);
        Ok(())
    }
}

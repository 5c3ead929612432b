//! A person's hand on documents.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use chrono::TimeDelta;
use futures::stream;

use super::calendars::{new_properties, property_pages};
use super::{DeskError, missing_matter};
use crate::clio::ClioState;
use crate::clio::collections::document_versions::DocumentVersion;
use crate::clio::collections::documents::{Document, NewVersion};
use crate::clio::collections::notes::On;
use crate::clio::hand::{DocumentEdit, DocumentPage, NewDocument, Upload, VersionPage};
use crate::clio::records::Store;
use crate::clio::storage::Content;
use crate::clio::view::Record;

impl ClioState {
    /// All documents, the foreign ones and those in the trash too.
    pub(crate) fn document_pages(&self) -> Vec<DocumentPage> {
        self.inner().kept.store.documents.values().map(document_page).collect()
    }

    /// Adds a document to a matter.
    pub(crate) async fn add_document_by_hand(&self, new: NewDocument) -> Result<DocumentPage, DeskError> {
        let now = self.clock.now();
        let (id, uuid) = {
            let mut inner = self.inner();
            let creator = inner.kept.switches.signed_in_user;
            let store = &mut inner.kept.store;
            must_be_there(store, new.matter)?;
            let draft = Document::draft(&new.name, On::Matter(new.matter), creator, now);
            let properties = new_properties(store, &new.external_properties, now);
            let version =
                NewVersion { filename: new.name, content_type: new.content_type, received_at: None };
            let id = store.add_document(Document { properties, ..draft }, version, now);
            (id, newest_upload(store, id)?)
        };
        self.upload_by_hand(id, &uuid, &new.upload).await
    }

    /// Edits a document.
    pub(crate) async fn edit_document_by_hand(
        &self,
        id: i64,
        edit: DocumentEdit,
    ) -> Result<DocumentPage, DeskError> {
        let now = self.clock.now();
        let uuid = {
            let mut inner = self.inner();
            let creator = inner.kept.switches.signed_in_user;
            let store = &mut inner.kept.store;
            edit.matter.map(|matter| must_be_there(store, matter)).transpose()?;
            let properties = edit.external_properties.map(|new| new_properties(store, &new, now));
            let document = store.documents.get_mut(&id).ok_or_else(|| missing_document(id))?;
            document.name = edit.name.unwrap_or(std::mem::take(&mut document.name));
            document.on = edit.matter.map_or(document.on, On::Matter);
            document.locked = edit.locked.unwrap_or(document.locked);
            document.properties = properties.unwrap_or(std::mem::take(&mut document.properties));
            document.deleted_at = document.deleted_at.filter(|_| !edit.restore);
            document.stamp.touch(now);
            if edit.upload.is_some() {
                let version =
                    NewVersion { filename: document.name.clone(), content_type: None, received_at: None };
                store.add_version(id, version, creator, now);
            }
            newest_upload(store, id)?
        };
        self.upload_by_hand(id, &uuid, &edit.upload.unwrap_or_default()).await
    }

    /// Puts a document in the trash.
    pub(crate) fn delete_document_by_hand(&self, id: i64) -> Result<(), DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let held = inner.kept.store.documents.get_mut(&id);
        let document =
            held.filter(|document| document.deleted_at.is_none()).ok_or_else(|| missing_document(id))?;
        document.deleted_at = Some(now);
        document.stamp.touch(now);
        Ok(())
    }

    /// Ends every address for an upload that was given out so far.
    pub(crate) fn end_upload_addresses(&self) {
        let just_before = self.clock.now() - TimeDelta::seconds(1);
        let mut inner = self.inner();
        for version in inner.kept.store.documents.values_mut().flat_map(|document| &mut document.versions) {
            version.address_ends = version.address_ends.min(just_before);
        }
    }

    /// The bytes of the newest version that was fully uploaded.
    pub(crate) async fn document_bytes(&self, id: i64) -> Result<Body, DeskError> {
        let held = self.inner().kept.store.documents.get(&id).and_then(|document| {
            let version = document.complete_version()?;
            Some((version.uuid.clone(), version.content.clone()?))
        });
        let (uuid, content) = held.ok_or_else(|| missing_document(id))?;
        content.body(&self.files, &uuid).await.map_err(refused)
    }

    async fn upload_by_hand(&self, id: i64, uuid: &str, upload: &Upload) -> Result<DocumentPage, DeskError> {
        let bytes = upload.bytes().map_err(refused)?;
        let mut received = None;
        if let Some((bytes, is_done)) = bytes {
            let arriving = stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))]);
            let file = self.files.receive(uuid, arriving).await.map_err(refused)?;
            received = Some((Content::of_file(&file).map_err(refused)?, is_done));
        }
        let mut inner = self.inner();
        let store = &mut inner.kept.store;
        if let (Some((content, is_done)), Some(version)) = (received, store.version_mut(uuid)) {
            version.content = Some(content);
            version.fully_uploaded = is_done;
        }
        store.documents.get(&id).map(document_page).ok_or_else(|| missing_document(id))
    }
}

fn refused(error: impl std::fmt::Display) -> DeskError {
    DeskError::Refused(error.to_string())
}

fn missing_document(id: i64) -> DeskError {
    DeskError::Missing(format!("document {id}"))
}

fn must_be_there(store: &Store, matter: i64) -> Result<(), DeskError> {
    if store.matters.contains_key(&matter) { Ok(()) } else { Err(missing_matter(matter)) }
}

fn newest_upload(store: &Store, document: i64) -> Result<String, DeskError> {
    let version = store.documents.get(&document).and_then(|document| document.versions.last());
    version.map(|version| version.uuid.clone()).ok_or_else(|| missing_document(document))
}

fn document_page(document: &Document) -> DocumentPage {
    DocumentPage {
        id: document.id,
        matter: document.on.matter(),
        contact: document.on.contact(),
        name: document.name.clone(),
        locked: document.locked,
        deleted_at: document.deleted_at,
        external_properties: property_pages(&document.properties),
        versions: document.versions.iter().map(version_page).collect(),
        etag: Record::Of(document).etag(),
        created_at: document.stamp.created_at,
        updated_at: document.stamp.updated_at,
    }
}

fn version_page(version: &DocumentVersion) -> VersionPage {
    let content: Option<&Content> = version.content.as_ref();
    VersionPage {
        id: version.id,
        uuid: version.uuid.clone(),
        filename: version.filename.clone(),
        content_type: version.content_type.clone(),
        fully_uploaded: version.fully_uploaded,
        size: content.map(|content| content.size),
        sha256: content.map(|content| content.sha256.clone()),
    }
}

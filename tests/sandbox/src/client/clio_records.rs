//! Notes, calendars and documents, as a person sees and edits them in Clio.

use bytes::Bytes;
use serde_json::json;

use super::{Admin, AdminError};
use crate::clio::hand::{
    DocumentEdit, DocumentPage, EntryEdit, EntryPage, MatterEdit, MatterPage, Named, NewDocument, NewEntry,
    NewNote, NoteEdit, NotePage,
};

impl Admin {
    /// All notes of the account, the foreign ones too, by id.
    pub async fn notes(&self) -> Result<Vec<NotePage>, AdminError> {
        self.get("clio/notes").await
    }

    /// Writes a note on a matter.
    pub async fn add_note(&self, note: &NewNote) -> Result<NotePage, AdminError> {
        self.call("POST", "clio/notes", json!(note)).await
    }

    /// Edits a note.
    pub async fn edit_note(&self, id: i64, edit: &NoteEdit) -> Result<NotePage, AdminError> {
        self.call("PATCH", &format!("clio/notes/{id}"), json!(edit)).await
    }

    /// Deletes a note.
    pub async fn delete_note(&self, id: i64) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("clio/notes/{id}"), json!({})).await
    }

    /// All calendars, by id.
    pub async fn calendars(&self) -> Result<Vec<Named>, AdminError> {
        self.get("clio/calendars").await
    }

    /// Makes a calendar that others can share.
    pub async fn add_calendar(&self, name: &str) -> Result<Named, AdminError> {
        self.call("POST", "clio/calendars", json!({ "name": name })).await
    }

    /// Deletes a calendar with its entries.
    pub async fn delete_calendar(&self, id: i64) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("clio/calendars/{id}"), json!({})).await
    }

    /// All calendar entries of the account, the foreign ones too, by id.
    pub async fn calendar_entries(&self) -> Result<Vec<EntryPage>, AdminError> {
        self.get("clio/calendar_entries").await
    }

    /// Makes a calendar entry.
    pub async fn add_calendar_entry(&self, entry: &NewEntry) -> Result<EntryPage, AdminError> {
        self.call("POST", "clio/calendar_entries", json!(entry)).await
    }

    /// Edits a calendar entry.
    pub async fn edit_calendar_entry(&self, id: i64, edit: &EntryEdit) -> Result<EntryPage, AdminError> {
        self.call("PATCH", &format!("clio/calendar_entries/{id}"), json!(edit)).await
    }

    /// Deletes a calendar entry.
    pub async fn delete_calendar_entry(&self, id: i64) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("clio/calendar_entries/{id}"), json!({})).await
    }

    /// All documents of the account, the foreign ones and those in the trash too, by id.
    pub async fn documents(&self) -> Result<Vec<DocumentPage>, AdminError> {
        self.get("clio/documents").await
    }

    /// Adds a document to a matter.
    pub async fn add_document(&self, document: &NewDocument) -> Result<DocumentPage, AdminError> {
        self.call("POST", "clio/documents", json!(document)).await
    }

    /// Edits a document, or uploads a new version of it.
    pub async fn edit_document(&self, id: i64, edit: &DocumentEdit) -> Result<DocumentPage, AdminError> {
        self.call("PATCH", &format!("clio/documents/{id}"), json!(edit)).await
    }

    /// Puts a document in the trash.
    pub async fn delete_document(&self, id: i64) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("clio/documents/{id}"), json!({})).await
    }

    /// The bytes of a document's newest version that was fully uploaded.
    pub async fn document_bytes(&self, id: i64) -> Result<Bytes, AdminError> {
        Ok(self.send("GET", &format!("clio/documents/{id}/bytes"), None).await?.bytes().await?)
    }

    /// Ends every address for an upload that was given out so far, as if its ten minutes had passed.
    pub async fn end_upload_addresses(&self) -> Result<(), AdminError> {
        self.tell("POST", "clio/end_upload_addresses", json!({})).await
    }

    /// Takes a matter out of its group.
    pub async fn move_matter_out(&self, id: i64) -> Result<MatterPage, AdminError> {
        self.edit_matter(id, &MatterEdit { leave_group: true, ..MatterEdit::default() }).await
    }
}

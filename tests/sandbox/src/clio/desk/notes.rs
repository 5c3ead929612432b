//! A person's hand on notes.

use super::{DeskError, missing_matter};
use crate::clio::ClioState;
use crate::clio::collections::notes::{Note, On};
use crate::clio::hand::{NewNote, NoteEdit, NotePage};
use crate::clio::view::Record;

impl ClioState {
    /// All notes, the foreign ones too.
    pub(crate) fn note_pages(&self) -> Vec<NotePage> {
        self.inner().kept.store.notes.values().map(note_page).collect()
    }

    /// Writes a note on a matter.
    pub(crate) fn add_note_by_hand(&self, new: NewNote) -> Result<NotePage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let author = inner.kept.switches.signed_in_user;
        let store = &mut inner.kept.store;
        if !store.matters.contains_key(&new.matter) {
            return Err(missing_matter(new.matter));
        }
        let draft = Note::draft(On::Matter(new.matter), author, now);
        let id = store.add_note(Note {
            subject: Some(new.subject),
            detail: Some(new.detail),
            is_rich: new.is_rich,
            date: new.date.unwrap_or(draft.date),
            ..draft
        });
        store.notes.get(&id).map(note_page).ok_or_else(|| missing_note(id))
    }

    /// Edits a note.
    pub(crate) fn edit_note_by_hand(&self, id: i64, edit: NoteEdit) -> Result<NotePage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let note = inner.kept.store.notes.get_mut(&id).ok_or_else(|| missing_note(id))?;
        note.subject = edit.subject.or(note.subject.take());
        note.detail = edit.detail.or(note.detail.take());
        note.is_rich = edit.is_rich.unwrap_or(note.is_rich);
        note.date = edit.date.unwrap_or(note.date);
        note.stamp.touch(now);
        Ok(note_page(note))
    }

    /// Deletes a note.
    pub(crate) fn delete_note_by_hand(&self, id: i64) -> Result<(), DeskError> {
        self.inner().kept.store.notes.remove(&id).map(drop).ok_or_else(|| missing_note(id))
    }
}

fn missing_note(id: i64) -> DeskError {
    DeskError::Missing(format!("note {id}"))
}

fn note_page(note: &Note) -> NotePage {
    NotePage {
        id: note.id,
        matter: note.on.matter(),
        contact: note.on.contact(),
        subject: note.subject.clone(),
        detail: note.detail.clone(),
        is_rich: note.is_rich,
        date: note.date,
        etag: Record::Of(note).etag(),
        created_at: note.stamp.created_at,
        updated_at: note.stamp.updated_at,
    }
}

//! Adding, replacing and deleting attachments. Each counts as an edit of the row: its edit date moves, and the layer's.

use serde_json::{Map, Value, json};

use super::attachments::Attachment;
use super::content::Content;
use super::edits::Hand;
use super::layer::{Layer, Row};
use super::refusal::{ItemError, Refusal};

/// What a client, or a person, hangs on a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewAttachment {
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) keywords: String,
    pub(super) content: Content,
}

/// The ids of an attachment edited, or why it was not.
pub(super) type Outcome = Result<(i64, String), ItemError>;

/// An outcome as the server answers it.
pub(super) fn outcome_body(outcome: &Outcome) -> Value {
    match outcome {
        Ok((id, global_id)) => json!({ "objectId": id, "globalId": global_id, "success": true }),
        Err(error) => json!({ "globalId": null, "success": false, "error": error.body() }),
    }
}

impl Layer {
    fn row_mut(&mut self, object_id: i64) -> Result<&mut Row, ItemError> {
        self.rows.get_mut(&object_id).ok_or_else(ItemError::missing_object)
    }

    /// Hangs one more attachment on a row.
    pub(super) fn add_attachment(&mut self, object_id: i64, new: NewAttachment, hand: Hand<'_>) -> Outcome {
        self.row_mut(object_id)?;
        let ids = (self.take_attachment_id(), self.take_global_id());
        self.hang(object_id, &ids, new)?;
        self.note_attachment_edit(object_id, hand)?;
        Ok(ids)
    }

    /// Puts another file in the place of an attachment, which keeps its ids. Gives the content that is no longer needed.
    pub(super) fn update_attachment(
        &mut self,
        (object_id, id): (i64, i64),
        new: NewAttachment,
        hand: Hand<'_>,
    ) -> Result<((i64, String), Content), ItemError> {
        let row = self.row_mut(object_id)?;
        let old = row.attachments.remove(&id).ok_or_else(ItemError::attachment_update)?;
        let ids = (id, old.global_id);
        self.hang(object_id, &ids, new)?;
        self.note_attachment_edit(object_id, hand)?;
        Ok((ids, old.content))
    }

    /// Takes attachments off a row. With `rollback_on_failure` one that is not there keeps all. Gives what became of
    /// each, and the contents that are no longer needed.
    pub(super) fn delete_attachments(
        &mut self,
        object_id: i64,
        ids: &[i64],
        rollback_on_failure: bool,
        hand: Hand<'_>,
    ) -> Result<(Vec<Outcome>, Vec<Content>), Refusal> {
        let (mut outcomes, mut removed) = (Vec::new(), Vec::new());
        for id in ids {
            let row = self.row_mut(object_id);
            let taken =
                row.and_then(|row| row.attachments.remove(id).ok_or_else(ItemError::attachment_delete));
            outcomes.push(taken.as_ref().map(|taken| (*id, taken.global_id.clone())).map_err(Clone::clone));
            removed.extend(taken.ok().map(|taken| (*id, taken)));
        }
        if rollback_on_failure && outcomes.iter().any(Result::is_err) {
            if let Ok(row) = self.row_mut(object_id) {
                row.attachments.extend(removed);
            }
            return Err(Refusal::rolled_back(outcomes.len()));
        }
        if !removed.is_empty() {
            self.note_attachment_edit(object_id, hand).map_err(|_| Refusal::not_completed())?;
        }
        Ok((outcomes, removed.into_iter().map(|(_, attachment)| attachment.content).collect()))
    }

    fn hang(
        &mut self,
        object_id: i64,
        (id, global_id): &(i64, String),
        new: NewAttachment,
    ) -> Result<(), ItemError> {
        let NewAttachment { name, content_type, keywords, content } = new;
        let attachment = Attachment { global_id: global_id.clone(), name, content_type, keywords, content };
        self.row_mut(object_id)?.attachments.insert(*id, attachment);
        Ok(())
    }

    fn note_attachment_edit(&mut self, object_id: i64, hand: Hand<'_>) -> Result<(), ItemError> {
        let mut attributes: Map<String, Value> = std::mem::take(&mut self.row_mut(object_id)?.attributes);
        self.track(&mut attributes, hand, false);
        self.row_mut(object_id)?.attributes = attributes;
        self.last_edit = hand.now;
        Ok(())
    }
}

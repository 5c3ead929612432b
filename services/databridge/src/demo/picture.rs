//! What both systems show at one moment, by the sandbox's own account of them.

use chrono::{DateTime, Utc};
use sandbox::Admin;
use sandbox::client::{GisAttachment, GisFeature};
use sandbox::clio::hand::{DocumentPage, EntryPage, MatterPage, NotePage};

use super::compare::Comparer;

/// Everything that is compared. What is not compared is empty.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    /// When it was taken, by the systems' own clock.
    pub(crate) now: DateTime<Utc>,
    /// The rows of the layer.
    pub(crate) rows: Vec<GisFeature>,
    /// The files on them.
    pub(crate) files: Vec<GisAttachment>,
    /// The rows of the history, in the order in which they were added.
    pub(crate) history: Vec<GisFeature>,
    /// All matters of the account.
    pub(crate) matters: Vec<MatterPage>,
    /// All notes of the account.
    pub(crate) notes: Vec<NotePage>,
    /// All calendar entries of the account.
    pub(crate) entries: Vec<EntryPage>,
    /// All documents of the account.
    pub(crate) documents: Vec<DocumentPage>,
}

impl Picture {
    /// Looks at both systems.
    pub(crate) async fn take(admin: &Admin, comparer: &Comparer, layer: u32) -> anyhow::Result<Self> {
        let mut picture = Self {
            now: admin.now().await?,
            rows: admin.features(layer).await?,
            matters: admin.matters().await?,
            ..Self::default()
        };
        if comparer.notes.is_some() {
            picture.notes = admin.notes().await?;
        }
        if comparer.court_dates.is_some() {
            picture.entries = admin.calendar_entries().await?;
        }
        if comparer.documents.is_some() {
            picture.files = admin.gis_attachments(layer).await?;
            picture.documents = admin.documents().await?;
        }
        if let Some(history) = &comparer.history {
            picture.history = admin.features(history.layer).await?;
        }
        Ok(picture)
    }
}

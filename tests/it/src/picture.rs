//! What both systems show of every kind of record, and where they disagree. It shares no code with the services.

use std::ops::Add;

use chrono::{DateTime, Utc};
use chrono_tz::America::Chicago;
use sandbox::city::LITIGATION_HISTORY;
use sandbox::client::{GisAttachment, GisFeature};
use sandbox::clio::hand::{DocumentPage, EntryPage, MatterPage, NotePage};

use crate::Town;
use crate::town::{object_id, text, value};

/// The external property by which a document is known again.
const KEY_PROPERTY: &str = "GIS_ID";

/// Both systems at one moment. Of Clio only what belongs to our matters.
#[derive(Clone, Debug)]
pub struct Picture {
    /// When, by the clock of both.
    pub now: DateTime<Utc>,
    /// The litigations.
    pub rows: Vec<GisFeature>,
    /// Their attachments.
    pub attachments: Vec<GisAttachment>,
    /// The rows of history.
    pub history: Vec<GisFeature>,
    /// The matters.
    pub matters: Vec<MatterPage>,
    /// Their notes.
    pub notes: Vec<NotePage>,
    /// Their calendar entries.
    pub entries: Vec<EntryPage>,
    /// Their documents, those in the trash left out.
    pub documents: Vec<DocumentPage>,
}

/// How much there is of each kind that a flow adds to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Notes.
    pub notes: usize,
    /// Calendar entries.
    pub entries: usize,
    /// Documents.
    pub documents: usize,
    /// Versions of documents that were fully uploaded.
    pub versions: usize,
    /// Rows of history.
    pub history: usize,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            notes: self.notes + other.notes,
            entries: self.entries + other.entries,
            documents: self.documents + other.documents,
            versions: self.versions + other.versions,
            history: self.history + other.history,
        }
    }
}

impl Picture {
    /// As it is now.
    pub async fn of(town: &Town) -> anyhow::Result<Self> {
        let matters = town.matters().await?;
        let is_ours = |id: Option<i64>| matters.iter().any(|matter| Some(matter.id) == id);
        let mut notes = town.admin.notes().await?;
        notes.retain(|note| is_ours(note.matter));
        let mut entries = town.admin.calendar_entries().await?;
        entries.retain(|entry| is_ours(entry.matter));
        let mut documents = town.admin.documents().await?;
        documents.retain(|document| is_ours(document.matter) && document.deleted_at.is_none());
        Ok(Self {
            now: town.admin.now().await?,
            rows: town.rows().await?,
            attachments: town.admin.gis_attachments(town.layer()).await?,
            history: town.admin.features(LITIGATION_HISTORY).await?,
            matters,
            notes,
            entries,
            documents,
        })
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        let uploaded = |document: &DocumentPage| {
            document.versions.iter().filter(|version| version.fully_uploaded).count()
        };
        Counts {
            notes: self.notes.len(),
            entries: self.entries.len(),
            documents: self.documents.len(),
            versions: self.documents.iter().map(uploaded).sum(),
            history: self.history.len(),
        }
    }

    /// The row of a warrant.
    pub fn row(&self, warrant: &str) -> Option<&GisFeature> {
        self.rows.iter().find(|row| text(row, "CivilWarrant") == warrant)
    }

    /// The one matter of a warrant.
    pub fn matter(&self, warrant: &str) -> Option<&MatterPage> {
        let mut of_it = self.matters.iter().filter(|matter| value(matter, "Civil Warrant") == warrant);
        of_it.next().filter(|_| of_it.next().is_none())
    }

    /// The document of an attachment, if there is just one.
    pub fn document(&self, attachment: i64) -> Option<&DocumentPage> {
        let key = attachment.to_string();
        let mut of_it =
            self.documents.iter().filter(|document| document.property(KEY_PROPERTY) == Some(key.as_str()));
        of_it.next().filter(|_| of_it.next().is_none())
    }

    /// The rows of history of a warrant with this status.
    pub fn history_of(&self, warrant: &str, status: &str) -> usize {
        let is_it =
            |row: &&GisFeature| text(row, "CivilWarrant") == warrant && text(row, "Status_1") == status;
        self.history.iter().filter(is_it).count()
    }

    /// Where both systems disagree, in words.
    pub fn disagreements(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.matters.len() != self.rows.len() {
            wrong.push(format!("{} rows and {} matters", self.rows.len(), self.matters.len()));
        }
        for row in &self.rows {
            let warrant = text(row, "CivilWarrant");
            match self.matter(&warrant) {
                Some(matter) => wrong.extend(
                    [
                        self.wrong_note(row, matter),
                        self.wrong_date(row, matter),
                        self.wrong_dismissal(matter),
                    ]
                    .into_iter()
                    .flatten()
                    .map(|what| format!("{warrant}: {what}")),
                ),
                None => wrong.push(format!("{warrant} has no matter, or several")),
            }
        }
        if self.documents.len() != self.attachments.len() {
            let (documents, attachments) = (self.documents.len(), self.attachments.len());
            wrong.push(format!("{attachments} attachments and {documents} documents"));
        }
        wrong.extend(self.attachments.iter().filter_map(|attachment| self.wrong_document(attachment)));
        wrong
    }

    /// The newest note is the one of the map.
    fn wrong_note(&self, row: &GisFeature, matter: &MatterPage) -> Option<String> {
        let of_it = self.notes.iter().filter(|note| note.matter == Some(matter.id));
        let newest = of_it.max_by_key(|note| (note.date, note.created_at, note.id));
        let (on_the_map, in_clio) =
            (text(row, "BoardUp_Notes"), newest.and_then(|note| note.detail.clone()).unwrap_or_default());
        (on_the_map != in_clio).then(|| format!("notes `{on_the_map}`, newest note `{in_clio}`"))
    }

    /// The date on the map is that of the earliest entry to come, and the matter has its day.
    fn wrong_date(&self, row: &GisFeature, matter: &MatterPage) -> Option<String> {
        let on_the_map = court_date(row);
        let of_it = self.entries.iter().filter(|entry| entry.matter == Some(matter.id));
        let next = of_it.map(|entry| entry.start_at).filter(|at| *at > self.now).min();
        let is_right = match next {
            Some(next) => on_the_map == Some(next),
            None => on_the_map.is_none_or(|at| at <= self.now),
        };
        if !is_right {
            return Some(format!("court date {on_the_map:?}, next entry {next:?}"));
        }
        let day = on_the_map.map(|at| at.with_timezone(&Chicago).date_naive().to_string());
        let of_matter = value(matter, "Next Court Date");
        (next.is_some() && day.as_deref() != Some(of_matter.as_str()))
            .then(|| format!("court date {on_the_map:?}, day in the matter `{of_matter}`"))
    }

    /// What the last row of history that tells of a dismissal says stands in the matter.
    fn wrong_dismissal(&self, matter: &MatterPage) -> Option<String> {
        let told = |row: &GisFeature| [text(row, "DismissStatus"), text(row, "DismissedCondition")];
        let warrant = value(matter, "Civil Warrant");
        let of_it = self.history.iter().filter(|row| text(row, "CivilWarrant") == warrant);
        let last = of_it.filter(|row| told(row) != ["", ""]).max_by_key(|row| object_id(row).unwrap_or(0))?;
        let shown = [value(matter, "Dismiss Status"), value(matter, "Dismissed Condition")];
        (shown != told(last)).then(|| format!("dismissal {:?}, in the matter {shown:?}", told(last)))
    }

    /// Each attachment has one document, on the right matter, with its bytes.
    fn wrong_document(&self, attachment: &GisAttachment) -> Option<String> {
        let name = &attachment.name;
        let Some(document) = self.document(attachment.id) else {
            return Some(format!("the attachment {name} has no document, or several"));
        };
        let row = self.rows.iter().find(|row| object_id(row).is_ok_and(|id| id == attachment.object_id));
        let matter = row.and_then(|row| self.matter(&text(row, "CivilWarrant"))).map(|matter| matter.id);
        let sha256 = document.current().and_then(|version| version.sha256.as_deref());
        if sha256 != Some(attachment.sha256.as_str()) {
            return Some(format!("the document of {name} has other bytes: {:?}", document.versions));
        }
        (document.matter != matter || document.name != *name)
            .then(|| format!("the document of {name} is {} on {:?}", document.name, document.matter))
    }
}

/// The court date of a row.
pub fn court_date(row: &GisFeature) -> Option<DateTime<Utc>> {
    let millis = row.attributes.get("NextCourtDate")?.as_i64()?;
    DateTime::from_timestamp_millis(millis)
}

//! A town in whose Clio is what the scripts that came before left there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use databridge::follow::Story;
use databridge::plan::Plan;
use databridge_model::{Mode, SyncRequest};
use sandbox::GisOptions;
use sandbox::client::GisFeature;
use sandbox::clio::hand::Upload;

use crate::legacy::{self, Axes};
use crate::town::{Town, TownOptions, text, whole_config};

/// A town of 20 litigations, and what is in its Clio.
pub struct Adopted {
    /// The town.
    pub town: Town,
    /// The rows of its layer.
    pub rows: Vec<GisFeature>,
    /// The matters by warrant. Rows 9 and 19 have none.
    pub matters: BTreeMap<String, i64>,
    /// Warrants whose matters have east and north exchanged.
    pub exchanged: BTreeSet<String>,
    /// Warrants whose matters have metres for degrees, exchanged too.
    pub in_metres: BTreeSet<String>,
    /// Warrants whose matters lack the status.
    pub without_status: BTreeSet<String>,
    /// Attachments whose documents have a form around their bytes.
    pub corrupt: BTreeSet<String>,
    /// Attachments whose documents were begun and not finished.
    pub unfinished: BTreeSet<String>,
    /// Attachments without a document.
    pub without_document: BTreeSet<String>,
}

/// A row's civil warrant.
pub fn warrant(row: &GisFeature) -> String {
    text(row, "CivilWarrant")
}

impl Adopted {
    /// Sets it up. No service has seen any of it.
    pub async fn new() -> anyhow::Result<Self> {
        let options =
            TownOptions { gis: GisOptions::city(20, 7), config: whole_config(), ..TownOptions::default() };
        let town = Box::pin(Town::with(options)).await?;
        let rows = town.rows().await?;
        let mut it = Self {
            town,
            rows,
            matters: BTreeMap::new(),
            exchanged: BTreeSet::new(),
            in_metres: BTreeSet::new(),
            without_status: BTreeSet::new(),
            corrupt: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            without_document: BTreeSet::new(),
        };
        it.leave_matters().await?;
        it.leave_documents().await?;
        it.town.admin.reset_calls().await?;
        Ok(it)
    }

    async fn leave_matters(&mut self) -> anyhow::Result<()> {
        let admin = &self.town.admin;
        for (index, row) in self.rows.iter().enumerate().filter(|(index, _)| index % 10 != 9) {
            let axes = if index % 4 == 3 { Axes::Metres } else { Axes::Degrees };
            let mut matter = legacy::matter_of(row, axes);
            if row.lon.is_some() {
                let kind = if axes == Axes::Metres { &mut self.in_metres } else { &mut self.exchanged };
                kind.insert(warrant(row));
            }
            if index % 3 == 0 {
                matter.custom_fields.remove("Court Status");
                self.without_status.insert(warrant(row));
            }
            let id = admin.add_matter(&matter).await?.id;
            self.matters.insert(warrant(row), id);
            if let Some(note) = legacy::note_of(row, id) {
                admin.add_note(&note).await?;
            }
            if let Some(entry) = legacy::entry_of(row, id) {
                admin.add_calendar_entry(&entry).await?;
            }
        }
        Ok(())
    }

    async fn leave_documents(&mut self) -> anyhow::Result<()> {
        let (admin, layer) = (&self.town.admin, self.town.layer());
        let rows = legacy::by_object_id(&self.rows)?;
        for (index, it) in admin.gis_attachments(layer).await?.iter().enumerate() {
            let matter = rows.get(&it.object_id).and_then(|row| self.matters.get(&warrant(row)));
            let bytes = admin.gis_attachment_bytes(layer, (it.object_id, it.id)).await?;
            let (upload, kind) = match (index % 5, matter) {
                (4, _) | (_, None) => {
                    self.without_document.insert(it.id.to_string());
                    continue;
                }
                (0, _) => (Upload::of(&bytes), None),
                (1, _) => (Upload::form(&it.name, &it.content_type, &bytes), Some(&mut self.corrupt)),
                (2, _) => (Upload::None, Some(&mut self.unfinished)),
                (_, _) => (Upload::unmarked(&bytes), Some(&mut self.unfinished)),
            };
            if let Some(kind) = kind {
                kind.insert(it.id.to_string());
            }
            let matter = matter.copied().unwrap_or_default();
            admin.add_document(&legacy::document_of(it, matter, upload)).await?;
        }
        Ok(())
    }

    /// The plan of the migrate; nothing may be written for it.
    pub async fn plan(&self) -> anyhow::Result<(Plan, Story)> {
        let request = SyncRequest { mode: Mode::Migrate, dry_run: true, ..SyncRequest::default() };
        let before = self.town.writes().await?;
        let story = self.town.request("gis", request).await?;
        ensure!(self.town.writes().await? == before, "a plan wrote");
        Ok((Plan::of("migrate gis", &story, &self.town.office.config), story))
    }

    /// A migrate in which nothing may fail.
    pub async fn migrate(&self) -> anyhow::Result<Story> {
        let story = self.town.migrate().await?;
        ensure!(story.summary.failed == 0 && story.summary.errors.is_empty(), "{story:?}");
        Ok(story)
    }

    /// How many notes, entries, documents and rows of history there are.
    pub async fn counts(&self) -> anyhow::Result<[usize; 4]> {
        let admin = &self.town.admin;
        Ok([
            admin.notes().await?.len(),
            admin.calendar_entries().await?.len(),
            admin.documents().await?.len(),
            admin.features(6).await?.len(),
        ])
    }
}

//! The same with the whole config: notes, court dates, documents and history beside the matters.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use databridge::follow;
use databridge_broker::Envelope;
use databridge_model::{CollectionName, Mode, RunId, SyncRequest, SystemName, subject};
use indicatif::ProgressBar;
use sandbox::GisOptions;
use sandbox::city::City;
use sandbox::client::{GisEdit, GisFeature};
use sandbox::clio::hand::{EntryEdit, MatterEdit, NewNote};

use super::{Bound, FEW, Meter, Step, cycle};
use crate::town::{object_id, text, whole_config};
use crate::{Town, TownOptions};

/// How much a town has.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Litigations, each of which has notes.
    pub litigations: usize,
    /// How many of them have a coming court date.
    pub court_dates: usize,
    /// Attachments of all litigations together.
    pub attachments: usize,
}

impl Sizes {
    /// So many litigations with notes, half as many court dates, and as many attachments.
    pub fn of(litigations: usize) -> Self {
        Self { litigations, court_dates: litigations / 2, attachments: litigations }
    }

    /// The city. Nothing is in its history: what that says of dismissals would come to the matters.
    fn city(self) -> City {
        City {
            attachments: self.attachments,
            notes_percent: 100,
            coming_court_dates: Some(self.court_dates),
            history: false,
            ..City::new(self.litigations, 7)
        }
    }

    /// The calls that a migrate writes to Clio with: a matter, a note and an entry each, two a document.
    fn writes_to_clio(self) -> u64 {
        (2 * self.litigations + self.court_dates + 2 * self.attachments) as u64
    }

    /// The most calls of a migrate. For a thousand of each they are 4,510 to Clio and 6,540 in all.
    pub fn bound_of_a_migrate(self) -> Bound {
        let thousands = self.litigations.max(self.attachments).div_ceil(1000) as u64;
        let clio = self.writes_to_clio() + 10 * thousands;
        // Beside Clio an upload and a download for each attachment.
        Bound::OfClioAndInAll(clio, clio + 2 * self.attachments as u64 + 30 * thousands)
    }
}

/// The most calls of a cycle with nothing changed since one overlap before the last one.
pub const CALLS_AT_REST: u64 = 6;

/// The most calls of a listing of all attachments, that of the rows beside.
pub fn calls_of_a_sweep(litigations: usize, attachments: usize, record_limit: usize) -> u64 {
    2 * litigations.div_ceil(1000).max(attachments.div_ceil(record_limit)) as u64
}

/// All collections, each of which can be listed whole by itself.
pub const COLLECTIONS: [(&str, &str); 7] = [
    ("gis", "active_litigations"),
    ("gis", "attachments"),
    ("gis", "litigation_history"),
    ("clio", "matters"),
    ("clio", "notes"),
    ("clio", "calendar_entries"),
    ("clio", "documents"),
];

/// A town of the whole config, of the shipped overlap.
pub async fn town_of(sizes: Sizes) -> anyhow::Result<Town> {
    Town::with(TownOptions {
        gis: GisOptions::of_city(sizes.city()),
        config: whole_config(),
        overlap_seconds: 120,
        patience: Duration::from_secs(3600),
        ..TownOptions::default()
    })
    .await
}

/// A day: migrate, a cycle at rest, few edits each way, a sweep, and a full listing of each collection.
pub async fn day(sizes: Sizes, mut tell: impl FnMut(&Step)) -> anyhow::Result<Vec<Step>> {
    let town = Box::pin(town_of(sizes)).await?;
    let mut steps = Vec::new();
    let mut add = |step: Step| {
        tell(&step);
        steps.push(step);
    };

    let meter = Meter::start(&town).await?;
    town.migrate().await?;
    add(meter.stop("migrate", sizes.bound_of_a_migrate()).await?);
    add(cycle(&town, "the cycle after it", Bound::Told).await?);
    at_rest(&town, &mut add).await?;

    let after = "the cycle after it";
    let bound = bound_of_edits(edit_rows(&town, 0).await?);
    add(cycle(&town, &format!("{FEW} edits on the map, cycle"), bound).await?);
    add(cycle(&town, after, Bound::Told).await?);
    at_rest(&town, &mut add).await?;

    let bound = bound_of_edits(edit_in_clio(&town, 1).await?);
    add(cycle(&town, &format!("{FEW} edits in Clio, cycle"), bound).await?);
    add(cycle(&town, after, Bound::Told).await?);
    at_rest(&town, &mut add).await?;

    let (on_the_map, in_clio) = (edit_rows(&town, 2).await?, edit_in_clio(&town, 3).await?);
    let bound = bound_of_edits(on_the_map.and(in_clio));
    add(cycle(&town, &format!("{FEW} edits each way, cycle"), bound).await?);
    add(cycle(&town, after, Bound::Told).await?);
    at_rest(&town, &mut add).await?;

    for (system, collection) in COLLECTIONS {
        let bound = match collection {
            "attachments" => {
                Bound::Calls(calls_of_a_sweep(sizes.litigations, sizes.attachments, record_limit()))
            }
            _ => Bound::Told,
        };
        let meter = Meter::start(&town).await?;
        list_whole(&town, system, Some(collection)).await?;
        add(meter.stop(format!("all of {system}.{collection}"), bound).await?);
    }
    for system in ["gis", "clio"] {
        let meter = Meter::start(&town).await?;
        list_whole(&town, system, None).await?;
        add(meter.stop(format!("all of {system}"), Bound::Told).await?);
    }
    Ok(steps)
}

/// Lets the overlap pass; the cycle after the next one costs next to nothing.
async fn at_rest(town: &Town, add: &mut impl FnMut(Step)) -> anyhow::Result<()> {
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    add(cycle(town, "a cycle with nothing changed", Bound::Calls(CALLS_AT_REST)).await?);
    Ok(())
}

/// A listing of everything: of a collection, or of all collections of a system.
pub async fn list_whole(town: &Town, system: &str, collection: Option<&str>) -> anyhow::Result<()> {
    let system: SystemName = system.parse()?;
    let collection: Option<CollectionName> = collection.map(str::parse).transpose()?;
    let request = SyncRequest { mode: Mode::Full, ..SyncRequest::default() };
    let subject = subject::sync_request(&system, collection.as_ref());
    let run = RunId(town.broker.publish(subject, &request, &Envelope::default()).await?);
    follow::follow(&town.broker, run, &ProgressBar::hidden()).await?;
    Ok(())
}

fn record_limit() -> usize {
    GisOptions::default().max_record_count
}

/// Edits that people made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits {
    /// On the map.
    pub on_the_map: u64,
    /// Court dates among all of them, on either side.
    pub court_dates: u64,
}

impl Edits {
    fn and(self, other: Self) -> Self {
        Self {
            on_the_map: self.on_the_map + other.on_the_map,
            court_dates: self.court_dates + other.court_dates,
        }
    }
}

/// Each edit on the map is a write to Clio, and each court date one more; what goes to the map goes in two batches.
pub fn bound_of_edits(edits: Edits) -> Bound {
    Bound::ClioMapAndReads(edits.on_the_map + edits.court_dates, 2, 10)
}

/// Of so many edits one is of a court date.
const KINDS: usize = 4;

/// The litigations that a round of edits is about: those without a court date, and those with one.
struct Edited {
    undated: std::vec::IntoIter<GisFeature>,
    dated: std::vec::IntoIter<GisFeature>,
}

impl Edited {
    /// Each round has its own.
    async fn in_round(town: &Town, round: usize) -> anyhow::Result<Self> {
        let (dated, undated): (Vec<_>, Vec<_>) =
            town.rows().await?.into_iter().partition(|row| date_of(row).is_some());
        let of_round = |rows: Vec<GisFeature>, of_each: usize| {
            let these = rows.into_iter().skip(round * of_each).take(of_each);
            these.collect::<Vec<_>>().into_iter()
        };
        let of_dated = FEW / KINDS;
        Ok(Self { undated: of_round(undated, FEW - of_dated), dated: of_round(dated, of_dated) })
    }

    fn next(&mut self, dated: bool) -> anyhow::Result<GisFeature> {
        let from = if dated { &mut self.dated } else { &mut self.undated };
        from.next().context("the town has too few litigations for so many edits")
    }
}

/// People edit twenty rows: owners, notes, places and court dates.
pub async fn edit_rows(town: &Town, round: usize) -> anyhow::Result<Edits> {
    let mut edited = Edited::in_round(town, round).await?;
    let mut edits = Edits::default();
    for number in 0..FEW {
        let is_dated = number % KINDS == 3;
        let row = edited.next(is_dated)?;
        let edit = match number % KINDS {
            0 => GisEdit::field("Court_Property_Owner", format!("Owner {round}-{number}")),
            1 => GisEdit::field("BoardUp_Notes", format!("Boarded up, {round}-{number}")),
            2 => GisEdit::field("ADDRESS1", format!("{round}{number} Beale St")),
            _ => {
                let later = date_of(&row).map(|date| (date + TimeDelta::days(7)).timestamp_millis());
                GisEdit::field("NextCourtDate", later)
            }
        };
        town.admin.edit_feature(town.layer(), object_id(&row)?, &edit).await?;
        edits.on_the_map += 1;
        edits.court_dates += u64::from(is_dated);
    }
    Ok(edits)
}

/// People edit twenty things in Clio: matters, notes of them, and entries of the calendar.
pub async fn edit_in_clio(town: &Town, round: usize) -> anyhow::Result<Edits> {
    let mut edited = Edited::in_round(town, round).await?;
    let entries = town.admin.calendar_entries().await?;
    let mut edits = Edits::default();
    for number in 0..FEW {
        let is_dated = number % KINDS == 3;
        let row = edited.next(is_dated)?;
        let matter = town.matter(&text(&row, "CivilWarrant")).await?.id;
        match number % KINDS {
            0 => {
                let edit = MatterEdit::field("Defendent", Some(&format!("Defendant {round}-{number}")));
                town.admin.edit_matter(matter, &edit).await?;
            }
            1 => {
                let detail = format!("Heard in court, {round}-{number}");
                let date = (town.admin.now().await? + TimeDelta::days(1)).date_naive();
                let note = NewNote { matter, detail, date: Some(date), ..NewNote::default() };
                town.admin.add_note(&note).await?;
            }
            2 => {
                let edit = MatterEdit::field("Location", Some(&format!("{round}{number} Union Ave")));
                town.admin.edit_matter(matter, &edit).await?;
            }
            _ => {
                let entry = entries.iter().find(|entry| entry.matter == Some(matter));
                let entry = entry.context("a matter without its entry")?;
                let edit = EntryEdit {
                    start_at: Some(entry.start_at + TimeDelta::days(7)),
                    end_at: Some(entry.end_at + TimeDelta::days(7)),
                    ..EntryEdit::default()
                };
                town.admin.edit_calendar_entry(entry.id, &edit).await?;
            }
        }
        edits.court_dates += u64::from(is_dated);
    }
    Ok(edits)
}

fn date_of(row: &GisFeature) -> Option<DateTime<Utc>> {
    let millis = row.attributes.get("NextCourtDate")?.as_i64()?;
    DateTime::from_timestamp_millis(millis)
}

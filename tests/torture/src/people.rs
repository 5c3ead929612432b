//! What people do on both sides.

use std::collections::BTreeSet;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use it::Town;
use it::picture::Picture;
use it::town::{object_id, text};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use sandbox::client::{GisEdit, GisFeature, GisFile};
use sandbox::clio::hand::{EntryEdit, EntryPage, MatterPage, NewEntry, NewNote};
use serde_json::json;

use crate::ledger::{FIELDS, Ledger, Place};

/// The calendar of the court dates.
const CALENDAR: &str = "NP Clinic Calendar";

/// People at work, who write down what they do.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) ledger: Ledger,
    /// How often they have done something, which no two things that they type have in common.
    done: u64,
    diary: String,
    /// Litigations whose next court date was changed since all was compared last.
    dated: BTreeSet<String>,
}

/// A litigation, with its matter where it has one.
struct Case<'a> {
    warrant: String,
    row: &'a GisFeature,
    id: i64,
    matter: Option<&'a MatterPage>,
}

impl People {
    /// How often they have done something.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// All was compared: what was under way has come to its end.
    pub(crate) fn were_compared(&mut self) {
        self.dated.clear();
    }

    /// Whether a court date may be set: a new setting of a dismissed litigation would have a row of history that looks as
    /// that of its dismissal does.
    fn may_be_set(&mut self, case: &Case<'_>) -> bool {
        let may = !self.ledger.is_dismissed(&case.warrant) && text(case.row, "Court_Status") != "Dismissed";
        if may {
            self.dated.insert(case.warrant.clone());
        }
        may
    }

    /// What they did, and when.
    pub(crate) fn diary(&self) -> &str {
        &self.diary
    }

    /// Something else happened.
    pub(crate) fn witness(&mut self, at: DateTime<Utc>, what: &str) {
        self.diary.extend([format!("{at} {what}\n")]);
    }

    fn note_down(&mut self, picture: &Picture, warrant: &str, what: &str) {
        let (now, done) = (picture.now, self.done);
        self.diary.extend([format!("{now} {done}: {warrant}: {what}\n")]);
    }

    /// Somebody does something.
    pub(crate) async fn act(&mut self, town: &Town, random: &mut StdRng) -> anyhow::Result<()> {
        self.done += 1;
        let picture = Picture::of(town).await?;
        let row = picture.rows.choose(random).context("the map is empty")?;
        let warrant = text(row, "CivilWarrant");
        let case = Case { id: object_id(row)?, matter: picture.matter(&warrant), warrant, row };
        let what = random.random_range(0..100);
        self.note_down(&picture, &case.warrant, &format!("act {what}"));
        match what {
            0..22 => self.edit_row(town, random, &case).await,
            22..44 => self.edit_matter(town, random, &case).await,
            44..52 => self.note_on_the_map(town, &case).await,
            52..60 => self.note_in_clio(town, &case).await,
            60..66 => self.date_on_the_map(town, &case, &picture).await,
            66..72 => self.date_in_clio(town, random, &case, &picture).await,
            72..76 => self.delete_entry(town, &case, &picture).await,
            76..84 => self.attach(town, random, &case).await,
            84..88 => self.replace_file(town, random, &picture).await,
            88..90 => remove_file(town, random, &picture).await,
            90..94 => self.dismiss(town, &case, &picture).await,
            94..99 => self.new_litigation(town).await,
            _ => self.remove_litigation(town, &case, &picture).await,
        }
    }

    async fn edit_row(&mut self, town: &Town, random: &mut StdRng, case: &Case<'_>) -> anyhow::Result<()> {
        let field = random.random_range(0..FIELDS.len());
        let (name, _) = FIELDS.get(field).copied().unwrap_or_default();
        let value = format!("map {}", self.done);
        town.edit_row(case.row, name, &value).await?;
        self.ledger.typed(&case.warrant, field, Place::Map, &value);
        Ok(())
    }

    async fn edit_matter(&mut self, town: &Town, random: &mut StdRng, case: &Case<'_>) -> anyhow::Result<()> {
        let field = random.random_range(0..FIELDS.len());
        let Some(matter) = case.matter else { return Ok(()) };
        let (_, name) = FIELDS.get(field).copied().unwrap_or_default();
        let value = format!("clio {}", self.done);
        town.edit_matter(matter, name, &value).await?;
        self.ledger.typed(&case.warrant, field, Place::Clio, &value);
        Ok(())
    }

    async fn note_on_the_map(&mut self, town: &Town, case: &Case<'_>) -> anyhow::Result<()> {
        let note = format!("Seen from the street, {}", self.done);
        town.edit_row(case.row, "BoardUp_Notes", &note).await?;
        self.ledger.noted(&case.warrant, Place::Map, &note);
        Ok(())
    }

    async fn note_in_clio(&mut self, town: &Town, case: &Case<'_>) -> anyhow::Result<()> {
        let Some(matter) = case.matter else { return Ok(()) };
        let detail = format!("Heard in court, {}", self.done);
        let note = NewNote {
            matter: matter.id,
            subject: "Note".to_owned(),
            detail: detail.clone(),
            ..NewNote::default()
        };
        town.admin.add_note(&note).await?;
        self.ledger.noted(&case.warrant, Place::Clio, &detail);
        Ok(())
    }

    async fn date_on_the_map(
        &mut self,
        town: &Town,
        case: &Case<'_>,
        picture: &Picture,
    ) -> anyhow::Result<()> {
        if !self.may_be_set(case) {
            return Ok(());
        }
        let edit = GisEdit::field("NextCourtDate", self.new_date(picture).timestamp_millis());
        Ok(town.admin.edit_feature(town.layer(), case.id, &edit).await?)
    }

    /// Moves the next entry of a matter, or makes one.
    async fn date_in_clio(
        &mut self,
        town: &Town,
        random: &mut StdRng,
        case: &Case<'_>,
        picture: &Picture,
    ) -> anyhow::Result<()> {
        let Some(matter) = case.matter.filter(|_| self.may_be_set(case)) else { return Ok(()) };
        let at = self.new_date(picture);
        let end_at = at + TimeDelta::minutes(30);
        let of_it = picture.entries.iter().filter(|entry| entry.matter == Some(matter.id));
        let next = of_it.filter(|entry| entry.start_at > picture.now).min_by_key(|entry| entry.start_at);
        match next.filter(|_| random.random_bool(0.5)) {
            Some(entry) => {
                let edit = EntryEdit { start_at: Some(at), end_at: Some(end_at), ..EntryEdit::default() };
                town.admin.edit_calendar_entry(entry.id, &edit).await?;
            }
            None => {
                let entry = NewEntry::new(CALENDAR, "Hearing", at, end_at).on(matter.id);
                town.admin.add_calendar_entry(&entry).await?;
            }
        }
        Ok(())
    }

    async fn delete_entry(&mut self, town: &Town, case: &Case<'_>, picture: &Picture) -> anyhow::Result<()> {
        let Some(matter) = case.matter.filter(|_| self.may_be_set(case)) else { return Ok(()) };
        let is_of_it = |entry: &&EntryPage| entry.matter == Some(matter.id) && entry.start_at > picture.now;
        match picture.entries.iter().find(is_of_it) {
            Some(entry) => Ok(town.admin.delete_calendar_entry(entry.id).await?),
            None => Ok(()),
        }
    }

    async fn attach(&mut self, town: &Town, random: &mut StdRng, case: &Case<'_>) -> anyhow::Result<()> {
        let file = self.file(&format!("photo {}.jpg", self.done), random);
        town.admin.add_gis_attachment(town.layer(), case.id, &file).await?;
        Ok(())
    }

    async fn replace_file(
        &mut self,
        town: &Town,
        random: &mut StdRng,
        picture: &Picture,
    ) -> anyhow::Result<()> {
        let Some(old) = picture.attachments.choose(random) else { return Ok(()) };
        let file = self.file(&old.name, random);
        Ok(town.admin.replace_gis_attachment(town.layer(), (old.object_id, old.id), &file).await?)
    }

    /// Each litigation is dismissed once: of a matter that was opened again meanwhile nobody could say how often.
    async fn dismiss(&mut self, town: &Town, case: &Case<'_>, picture: &Picture) -> anyhow::Result<()> {
        let (Some(matter), false) = (case.matter, text(case.row, "Court_Status") == "Dismissed") else {
            return Ok(());
        };
        if picture.history_of(&case.warrant, "Dismissed") > 0 || self.dated.contains(&case.warrant) {
            return Ok(());
        }
        town.edit_matter(matter, "Court Status", "Dismissed").await?;
        self.ledger.dismissed(&case.warrant, 1);
        Ok(())
    }

    async fn new_litigation(&mut self, town: &Town) -> anyhow::Result<()> {
        let (warrant, address) = (format!("T-{}", self.done), format!("{} Beale St", self.done));
        let row = GisFeature {
            attributes: [("CivilWarrant", &*warrant), ("ADDRESS1", &*address), ("Court_Status", "Hearing")]
                .into_iter()
                .map(|(field, value)| (field.to_owned(), json!(value)))
                .collect(),
            lon: Some(-90.05),
            lat: Some(35.15),
        };
        town.admin.add_features(town.layer(), &[row]).await?;
        self.ledger.typed(&warrant, 0, Place::Map, &address);
        Ok(())
    }

    async fn remove_litigation(
        &mut self,
        town: &Town,
        case: &Case<'_>,
        picture: &Picture,
    ) -> anyhow::Result<()> {
        if picture.rows.len() < 10 {
            return Ok(());
        }
        town.admin.delete_feature(town.layer(), case.id).await?;
        self.ledger.forget(&case.warrant);
        Ok(())
    }

    /// Another moment each time, at a full hour to come.
    fn new_date(&self, picture: &Picture) -> DateTime<Utc> {
        let hour = picture.now.with_minute(0).and_then(|it| it.with_second(0)?.with_nanosecond(0));
        let hours = 24 * 30 + i64::try_from(self.done).unwrap_or_default();
        hour.unwrap_or(picture.now) + TimeDelta::hours(hours)
    }

    fn file(&self, name: &str, random: &mut StdRng) -> GisFile {
        let bytes = [1, 900, 131_072, 300_000].choose(random).copied().unwrap_or(1) + self.done;
        GisFile::generated(name, "image/jpeg", self.done, bytes)
    }
}

async fn remove_file(town: &Town, random: &mut StdRng, picture: &Picture) -> anyhow::Result<()> {
    match picture.attachments.choose(random) {
        Some(file) => Ok(town.admin.delete_gis_attachment(town.layer(), (file.object_id, file.id)).await?),
        None => Ok(()),
    }
}

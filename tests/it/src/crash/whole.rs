//! Notes, court dates, documents and history on their way when the crash comes.

use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use databridge_model::{Mode, RunId, SyncRequest};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sandbox::GisOptions;
use sandbox::city::{City, LITIGATION_HISTORY};
use sandbox::client::{GisEdit, GisFeature, GisFile};
use sandbox::clio::hand::{MatterEdit, NewEntry};
use serde_json::json;

use super::aftermath::{ask, cycle, has_ended, must_be_tidy, must_end_well};
use super::trap::{Trap, Victim, restart};
use crate::picture::{Counts, Picture, court_date};
use crate::town::{Town, TownOptions, object_id, text, whole_config};

/// The calendar of the court dates.
const CALENDAR: &str = "NP Clinic Calendar";

/// Bytes of a file that goes over in several chunks.
const LARGE: u64 = 300_000;

/// How many crashes a town goes through, one after another: the steps of a push and of its effect.
const POINTS_A_TOWN: usize = 7;

/// Enough for what all rounds of a town do.
const LITIGATIONS: usize = 8 + 2 * POINTS_A_TOWN;

/// What a person does, which is then carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Writes other notes on the map: a new note.
    Note,
    /// Gives a litigation its first court date on the map: a new entry.
    NewDate,
    /// Puts a court date off on the map: its entry is moved.
    OtherDate,
    /// Enters a court date in Clio's calendar: it comes to the map.
    DateInClio,
    /// Attaches a file: a new document.
    File,
    /// Replaces an attached file: a new version of its document.
    OtherFile,
    /// Dismisses a matter: a row of history.
    Dismissal,
}

impl Act {
    /// Everything at once.
    pub const ALL: [Self; 7] = [
        Self::Note,
        Self::NewDate,
        Self::OtherDate,
        Self::DateInClio,
        Self::File,
        Self::OtherFile,
        Self::Dismissal,
    ];

    /// The system in which it is done.
    fn system(self) -> &'static str {
        match self {
            Self::DateInClio | Self::Dismissal => "clio",
            _ => "gis",
        }
    }

    /// What there is more of, once it is carried over: each thing once. A new court date has its row of history.
    fn adds(self) -> Counts {
        let none = Counts::default();
        match self {
            Self::Note => Counts { notes: 1, ..none },
            Self::NewDate | Self::DateInClio => Counts { entries: 1, history: 1, ..none },
            Self::OtherDate | Self::Dismissal => Counts { history: 1, ..none },
            Self::File => Counts { documents: 1, versions: 1, ..none },
            Self::OtherFile => Counts { versions: 1, ..none },
        }
    }
}

/// What was done, and so must show on both sides.
#[derive(Clone, Debug)]
enum Done {
    Note { warrant: String, notes: String },
    CourtDate { warrant: String, at: DateTime<Utc> },
    File { attachment: i64, bytes: u64 },
    Dismissal { warrant: String, rows: usize },
}

impl Done {
    fn shows_in(&self, picture: &Picture) -> bool {
        match self {
            Self::Note { warrant, notes } => {
                let matter = picture.matter(warrant).map(|matter| matter.id);
                let has_it = |detail: &Option<String>| detail.as_deref() == Some(notes.as_str());
                picture.notes.iter().any(|note| note.matter == matter && has_it(&note.detail))
            }
            Self::CourtDate { warrant, at } => {
                let matter = picture.matter(warrant).map(|matter| matter.id);
                let mut entries = picture.entries.iter().filter(|entry| entry.matter == matter);
                let row = picture.row(warrant);
                entries.any(|entry| entry.start_at == *at) && row.and_then(court_date) == Some(*at)
            }
            Self::File { attachment, bytes } => picture
                .document(*attachment)
                .and_then(|document| document.current())
                .is_some_and(|version| version.size == Some(*bytes)),
            Self::Dismissal { warrant, rows } => picture.history_of(warrant, "Dismissed") == *rows,
        }
    }
}

/// A town of every kind of record, where one act after another is broken off.
pub struct Crashes {
    town: Town,
    acts: &'static [Act],
    rounds: usize,
}

impl Crashes {
    /// A town in which both sides agree already.
    async fn during(acts: &'static [Act]) -> anyhow::Result<Self> {
        let town = town_of(LITIGATIONS).await?;
        town.migrate().await?;
        // What the history says of dismissals comes to new matters once they have been read.
        town.cycle().await?;
        Ok(Self { town, acts, rounds: 0 })
    }

    /// Breaks these acts off once at each fail point by a SIGKILL of the service, starts it again, and sees that all is
    /// as it would have been without.
    pub async fn of_a_service(
        acts: &'static [Act],
        service: &'static str,
        points: &[&str],
    ) -> anyhow::Result<()> {
        Self::at_each(acts, service, points, Victim::Service, true).await
    }

    /// The same with a layer of history that lets nobody choose a row's GlobalID: a row is known again by its values.
    pub async fn of_rows_without_ids_of_ours(
        acts: &'static [Act],
        service: &'static str,
        points: &[&str],
    ) -> anyhow::Result<()> {
        Self::at_each(acts, service, points, Victim::Service, false).await
    }

    /// The same, with a SIGKILL of the broker while the service is at the fail point.
    pub async fn of_the_broker(
        acts: &'static [Act],
        service: &'static str,
        points: &[&str],
    ) -> anyhow::Result<()> {
        Self::at_each(acts, service, points, Victim::Broker, true).await
    }

    async fn at_each(
        acts: &'static [Act],
        service: &'static str,
        points: &[&str],
        victim: Victim,
        takes_ids_of_ours: bool,
    ) -> anyhow::Result<()> {
        let towns = points.chunks(POINTS_A_TOWN).map(async |points| {
            let mut crashes = Self::during(acts).await?;
            let settings = json!({ "client_global_ids": takes_ids_of_ours });
            crashes.town.admin.layer_settings(LITIGATION_HISTORY, settings).await?;
            for point in points {
                let round = crashes.round(victim, service, point).await;
                round.with_context(|| format!("{acts:?}: {victim:?} killed, {service} at {point}"))?;
            }
            Ok(())
        });
        futures::future::try_join_all(towns).await.map(drop)
    }

    async fn round(&mut self, victim: Victim, service: &'static str, point: &str) -> anyhow::Result<()> {
        self.rounds += 1;
        let before = Picture::of(&self.town).await?;
        let trap = Trap::set(&mut self.town, victim, service, point).await?;
        let mut done = Vec::new();
        for act in self.acts {
            done.push(self.act(*act, &before).await?);
        }
        let runs = self.ask_for_syncs().await?;
        trap.sprung(&mut self.town).await?;
        for run in runs {
            must_end_well(&self.town, run).await?;
        }
        let more = self.acts.iter().fold(Counts::default(), |all, act| all + act.adds());
        self.must_be_whole(&done, before.counts() + more).await
    }

    async fn ask_for_syncs(&self) -> anyhow::Result<Vec<RunId>> {
        let mut runs = Vec::new();
        for system in ["gis", "clio"] {
            if self.acts.iter().any(|act| act.system() == system) {
                runs.push(ask(&self.town, system, SyncRequest::default()).await?);
            }
        }
        Ok(runs)
    }

    /// What was done shows on both sides, each thing is there once and right, nothing is left over, and another cycle
    /// finds nothing to write.
    async fn must_be_whole(&self, done: &[Done], counts: Counts) -> anyhow::Result<()> {
        let town = &self.town;
        let picture = Picture::of(town).await?;
        for done in done {
            ensure!(done.shows_in(&picture), "{done:?} does not show; there are {:?}", picture.counts());
        }
        // A row of history for a new court date is made when the matter is read with it.
        cycle(town).await?;
        must_agree(town, counts).await?;
        must_be_tidy(town).await?;
        town.next_cycle_writes_nothing().await?;
        must_agree(town, counts).await?;
        must_be_tidy(town).await
    }

    /// A person does something. Different acts of a round are about different litigations.
    async fn act(&self, act: Act, picture: &Picture) -> anyhow::Result<Done> {
        let (town, round) = (&self.town, self.rounds);
        let is_open = |row: &&GisFeature| text(row, "Court_Status") != "Dismissed";
        let is_free = |row: &&GisFeature| is_open(row) && court_date(row).is_none();
        let few = "the town is too small";
        match act {
            Act::Note => {
                let row = picture.rows.first().context(few)?;
                let notes = format!("Boarded up for the time {round}");
                town.edit_row(row, "BoardUp_Notes", &notes).await?;
                Ok(Done::Note { warrant: text(row, "CivilWarrant"), notes })
            }
            Act::NewDate => self.set_date(picture.rows.iter().find(is_free).context(few)?, picture).await,
            Act::OtherDate => {
                let dated = |row: &&GisFeature| court_date(row).is_some_and(|at| at > picture.now);
                self.set_date(picture.rows.iter().find(dated).context(few)?, picture).await
            }
            Act::DateInClio => {
                let row = picture.rows.iter().rfind(is_free).context(few)?;
                let (warrant, at) = (text(row, "CivilWarrant"), self.new_date(picture));
                let matter = picture.matter(&warrant).context("no matter")?.id;
                let entry = NewEntry::new(CALENDAR, "Hearing", at, at + TimeDelta::minutes(30)).on(matter);
                town.admin.add_calendar_entry(&entry).await?;
                Ok(Done::CourtDate { warrant, at })
            }
            Act::File => {
                let row = object_id(picture.rows.get(1).context(few)?)?;
                let file = self.file();
                let attachment = town.admin.add_gis_attachment(town.layer(), row, &file).await?;
                Ok(Done::File { attachment, bytes: self.bytes() })
            }
            Act::OtherFile => {
                let old = picture.attachments.first().context(few)?;
                let file = GisFile { name: old.name.clone(), ..self.file() };
                town.admin.replace_gis_attachment(town.layer(), (old.object_id, old.id), &file).await?;
                Ok(Done::File { attachment: old.id, bytes: self.bytes() })
            }
            Act::Dismissal => {
                let open = picture.rows.iter().filter(is_open);
                let row = open.max_by_key(|row| court_date(row).is_some()).context(few)?;
                let warrant = text(row, "CivilWarrant");
                let matter = picture.matter(&warrant).context("no matter")?;
                let edit = MatterEdit::field("Court Status", Some("Dismissed"));
                town.admin.edit_matter(matter.id, &edit).await?;
                let rows = picture.history_of(&warrant, "Dismissed") + 1;
                Ok(Done::Dismissal { warrant, rows })
            }
        }
    }

    async fn set_date(&self, row: &GisFeature, picture: &Picture) -> anyhow::Result<Done> {
        let (warrant, at) = (text(row, "CivilWarrant"), self.new_date(picture));
        let edit = GisEdit::field("NextCourtDate", at.timestamp_millis());
        self.town.admin.edit_feature(self.town.layer(), object_id(row)?, &edit).await?;
        Ok(Done::CourtDate { warrant, at })
    }

    /// Another moment in each round.
    fn new_date(&self, picture: &Picture) -> DateTime<Utc> {
        let hour = picture.now.with_minute(0).and_then(|it| it.with_second(0)?.with_nanosecond(0));
        let days = 300 + i64::try_from(self.rounds).unwrap_or_default();
        hour.unwrap_or(picture.now) + TimeDelta::days(days)
    }

    fn bytes(&self) -> u64 {
        LARGE + self.rounds as u64
    }

    fn file(&self) -> GisFile {
        let round = self.rounds;
        GisFile::generated(&format!("round {round}.pdf"), "application/pdf", round as u64, self.bytes())
    }
}

/// A point to which a service may come in a migrate, and how many times at most in one of so small a town.
pub type Point = (&'static str, &'static str, u32);

/// How often a migrate is broken off.
const CRASHES: usize = 6;

/// How long a migrate may go on without coming to a point or to its end.
const MIGRATING: Duration = Duration::from_secs(120);

/// A migrate of everything, broken off again and again by SIGKILLs of whoever comes to points drawn by chance, the broker
/// among them. Other seeds draw others.
pub async fn migrate_broken_off(points: &[Point], seed: u64) -> anyhow::Result<()> {
    let mut town = town_of(LITIGATIONS).await?;
    let random = &mut StdRng::seed_from_u64(seed);
    let migrate = SyncRequest { mode: Mode::Migrate, ..SyncRequest::default() };
    let run = ask(&town, "gis", migrate).await?;
    let mut sprung = Vec::new();
    for _ in 0..CRASHES {
        let (service, point, most) = *points.choose(random).context("no points")?;
        let nth = random.random_range(1..=most);
        let victim = if random.random_bool(0.25) { Victim::Broker } else { Victim::Service };
        let at = match victim {
            Victim::Service => format!("{point}:{nth}"),
            Victim::Broker => point.to_owned(),
        };
        let trap = Trap::set(&mut town, victim, service, &at).await?;
        let reached = async {
            loop {
                if trap.is_reached(&mut town)? {
                    return anyhow::Ok(true);
                }
                if has_ended(&town, run).await? {
                    return Ok(false);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = tokio::time::timeout(MIGRATING, reached).await;
        if !reached.with_context(|| format!("neither {service} at {point} nor the end of the migrate"))?? {
            // It would die at another time.
            restart(&mut town, service, None).await?;
            break;
        }
        trap.sprung(&mut town).await?;
        sprung.push(format!("{victim:?} {service} {at}"));
    }
    let whole = async {
        must_end_well(&town, run).await?;
        let picture = Picture::of(&town).await?;
        let row_has = |field: &str| picture.rows.iter().filter(|row| !text(row, field).is_empty()).count();
        let attachments = picture.attachments.len();
        let counts = Counts {
            notes: row_has("BoardUp_Notes"),
            entries: row_has("NextCourtDate"),
            documents: attachments,
            versions: attachments,
            history: picture.history.len(),
        };
        must_be_as_many(&picture, counts)?;
        // What the history says of dismissals comes to new matters once they have been read.
        cycle(&town).await?;
        must_agree(&town, counts).await?;
        must_be_tidy(&town).await?;
        town.next_cycle_writes_nothing().await?;
        must_agree(&town, counts).await?;
        must_be_tidy(&town).await
    };
    whole.await.with_context(|| format!("a migrate broken off by {sprung:?}"))
}

/// A town of processes with some of everything. Most litigations have no court date yet.
async fn town_of(litigations: usize) -> anyhow::Result<Town> {
    let city = City { attachments: 4, coming_court_dates: Some(4), ..City::new(litigations, 7) };
    Town::with(TownOptions {
        gis: GisOptions::of_city(city),
        config: whole_config(),
        processes: true,
        ack_wait_seconds: 2,
        ..TownOptions::default()
    })
    .await
}

/// Both systems agree, and there is as much of each kind as there must be.
async fn must_agree(town: &Town, counts: Counts) -> anyhow::Result<()> {
    let picture = Picture::of(town).await?;
    must_be_as_many(&picture, counts)?;
    let wrong = picture.disagreements();
    ensure!(wrong.is_empty(), "both sides disagree:\n{}", wrong.join("\n"));
    town.assert_same().await
}

fn must_be_as_many(picture: &Picture, counts: Counts) -> anyhow::Result<()> {
    let there = picture.counts();
    ensure!(there == counts, "there are {there:?}, and must be {counts:?}");
    Ok(())
}

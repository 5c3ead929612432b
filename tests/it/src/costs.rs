//! What each step of a town's day costs in calls, beside what it may cost.

pub mod whole;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context;
use sandbox::calls::Calls;
use sandbox::client::GisEdit;
use sandbox::clio::hand::MatterEdit;
use sandbox::{Admin, GisOptions};

use crate::town::{object_id, text};
use crate::{Town, TownOptions};

/// The most that a step may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// So many writes, and so many reads.
    WritesAndReads(u64, u64),
    /// So many calls, of whatever kind.
    Calls(u64),
    /// So many calls to Clio, and so many in all, those to its storage too.
    OfClioAndInAll(u64, u64),
    /// So many writes to Clio, so many to the map, and so many reads of both.
    ClioMapAndReads(u64, u64, u64),
    /// It is told and not bound.
    Told,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritesAndReads(writes, reads) => write!(f, "{writes} w, {reads} r"),
            Self::Calls(calls) => write!(f, "{calls} calls"),
            Self::OfClioAndInAll(clio, all) => write!(f, "clio {clio}, all {all}"),
            Self::ClioMapAndReads(clio, map, reads) => write!(f, "{clio} + {map} w, {reads} r"),
            Self::Told => f.write_str("-"),
        }
    }
}

/// A step and what it cost.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// The calls to both systems.
    pub calls: Calls,
    /// What it may cost.
    pub bound: Bound,
    /// How long it took.
    pub took: Duration,
}

impl Step {
    /// Reads of both systems.
    pub fn reads(&self) -> u64 {
        self.calls.gis.reads + self.calls.clio.reads
    }

    /// Writes to both systems.
    pub fn writes(&self) -> u64 {
        self.calls.gis.writes + self.calls.clio.writes
    }

    /// Uploads to Clio's storage, and downloads from it.
    pub fn storage(&self) -> u64 {
        self.calls.clio.storage.reads + self.calls.clio.storage.writes
    }

    /// All calls, those to Clio's storage too.
    pub fn all(&self) -> u64 {
        self.reads() + self.writes() + self.storage()
    }

    /// What it cost in each of the terms of its bound, beside the most in that term.
    pub fn costs(&self) -> Vec<(u64, u64)> {
        let (clio, gis) = (&self.calls.clio, &self.calls.gis);
        match self.bound {
            Bound::WritesAndReads(writes, reads) => vec![(self.writes(), writes), (self.reads(), reads)],
            Bound::Calls(calls) => vec![(self.all(), calls)],
            Bound::OfClioAndInAll(of_clio, all) => {
                vec![(clio.reads + clio.writes, of_clio), (self.all(), all)]
            }
            Bound::ClioMapAndReads(to_clio, to_map, reads) => {
                vec![(clio.writes, to_clio), (gis.writes, to_map), (self.reads(), reads)]
            }
            Bound::Told => Vec::new(),
        }
    }

    /// Whether it cost no more than it may.
    pub fn holds(&self) -> bool {
        self.costs().iter().all(|(cost, most)| cost <= most)
    }
}

/// The most reads of a migrate: ten for 1,000 litigations, and one more for each further page of the layer.
pub fn reads_of_a_migrate(litigations: u64) -> u64 {
    8 + litigations.div_ceil(999)
}

/// The most calls of a cycle after a bulk edit of `edited` records, until the overlap has passed.
pub fn calls_after_a_bulk_edit(edited: u64) -> u64 {
    3 + edited.div_ceil(200) + edited.div_ceil(999)
}

/// The most calls of a cycle with nothing changed since one overlap before the last one.
pub const CALLS_AT_REST: u64 = 3;

/// The edits that people make on a side in the steps of few edits.
pub const FEW: usize = 20;

/// A day of a town: migrate, cycles at rest, few edits and a bulk edit on either side, a new option.
pub async fn day(litigations: usize, mut tell: impl FnMut(&Step)) -> anyhow::Result<Vec<Step>> {
    // The overlap is the shipped one: a step is then within it, or after it by the systems' own clocks.
    let options = TownOptions {
        gis: GisOptions::city(litigations, 7),
        overlap_seconds: 120,
        patience: Duration::from_secs(3600),
        ..TownOptions::default()
    };
    let town = Town::with(options).await?;
    let mut steps = Vec::new();
    let mut add = |step: Step| {
        tell(&step);
        steps.push(step);
    };
    let (all, few) = (litigations as u64, FEW.min(litigations) as u64);

    let meter = Meter::start(&town).await?;
    town.migrate().await?;
    add(meter.stop("migrate", Bound::WritesAndReads(all, reads_of_a_migrate(all))).await?);
    add(cycle(&town, "the cycle after it", Bound::Calls(calls_after_a_bulk_edit(all))).await?);
    at_rest(&town, &mut add).await?;

    edit_rows(&town, FEW, "Seen on site").await?;
    let bound = Bound::WritesAndReads(few, 4);
    add(cycle(&town, &format!("{few} edits on the map, cycle"), bound).await?);
    town.assert_same().await?;
    at_rest(&town, &mut add).await?;

    edit_matters(&town, FEW, "Heard in court").await?;
    let meter = Meter::start(&town).await?;
    town.sync("clio").await?;
    town.cycle().await?;
    let bound = Bound::WritesAndReads(2, 6);
    add(meter.stop(format!("{few} edits in Clio, sync clio and cycle"), bound).await?);
    town.assert_same().await?;
    at_rest(&town, &mut add).await?;

    edit_rows(&town, litigations, "Bulk edit").await?;
    let bound = Bound::WritesAndReads(all, calls_after_a_bulk_edit(all));
    add(cycle(&town, &format!("{all} edits on the map, cycle"), bound).await?);
    let name = "a cycle within the overlap";
    add(cycle(&town, name, Bound::Calls(calls_after_a_bulk_edit(all))).await?);
    at_rest(&town, &mut add).await?;

    edit_matters(&town, litigations, "Bulk edit in Clio").await?;
    // A batch of edits is 250 at most; each is read once before it is written.
    let batches = all.div_ceil(250) + 1;
    let bound = Bound::WritesAndReads(batches, calls_after_a_bulk_edit(all) + batches);
    add(cycle(&town, &format!("{all} edits in Clio, cycle"), bound).await?);
    add(cycle(&town, name, Bound::Calls(calls_after_a_bulk_edit(all))).await?);
    at_rest(&town, &mut add).await?;

    town.assert_same().await?;
    Ok(steps)
}

/// Lets the overlap pass; the cycle after the next one costs next to nothing.
async fn at_rest(town: &Town, add: &mut impl FnMut(Step)) -> anyhow::Result<()> {
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    add(cycle(town, "a cycle with nothing changed", Bound::Calls(CALLS_AT_REST)).await?);
    Ok(())
}

async fn cycle(town: &Town, name: &str, bound: Bound) -> anyhow::Result<Step> {
    let meter = Meter::start(town).await?;
    town.cycle().await?;
    meter.stop(name, bound).await
}

/// A person edits the owner in the first rows of the layer.
pub async fn edit_rows(town: &Town, count: usize, owner: &str) -> anyhow::Result<()> {
    for row in town.rows().await?.iter().take(count) {
        let owner = format!("{owner} {}", text(row, "CivilWarrant"));
        let edit = GisEdit::field("Court_Property_Owner", owner);
        town.admin.edit_feature(town.layer(), object_id(row)?, &edit).await?;
    }
    Ok(())
}

/// A person edits the defendant in the first matters.
pub async fn edit_matters(town: &Town, count: usize, defendant: &str) -> anyhow::Result<()> {
    for matter in town.matters().await?.iter().take(count) {
        let edit = MatterEdit::field("Defendent", Some(&format!("{defendant} {}", matter.id)));
        town.admin.edit_matter(matter.id, &edit).await?;
    }
    Ok(())
}

/// Counts the calls of a step.
#[derive(Debug)]
pub struct Meter {
    admin: Admin,
    began: Instant,
}

impl Meter {
    /// Sets the sandbox's counts to zero.
    pub async fn start(town: &Town) -> anyhow::Result<Self> {
        town.admin.reset_calls().await.context("the sandbox's counts cannot be reset")?;
        Ok(Self { admin: town.admin.clone(), began: Instant::now() })
    }

    /// What the step cost.
    pub async fn stop(self, name: impl Into<String>, bound: Bound) -> anyhow::Result<Step> {
        let took = self.began.elapsed();
        Ok(Step { name: name.into(), calls: self.admin.calls().await?, bound, took })
    }
}

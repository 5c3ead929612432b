//! The table at the end.

use std::time::{Duration, Instant};

use sandbox::Admin;
use sandbox::calls::{Calls, Counts};
use serde_json::json;

use super::compare::Comparison;
use super::seconds;

/// Calls a minute that Clio allows at peak (clio.md, section 3).
const CLIO_LIMIT: u64 = 50;

/// One line of the table.
pub(crate) struct Line {
    name: String,
    records: u64,
    calls: Calls,
    seconds: f64,
}

/// What is being measured.
pub(crate) struct Phase {
    name: String,
    before: Calls,
    began: Instant,
}

impl Phase {
    pub(crate) async fn begin(name: &str, admin: &Admin) -> anyhow::Result<Self> {
        Ok(Self { name: name.to_owned(), before: admin.calls().await?, began: Instant::now() })
    }

    pub(crate) async fn end(self, admin: &Admin, records: u64) -> anyhow::Result<Line> {
        let now = admin.calls().await?;
        let calls = Calls { clio: less(&now.clio, &self.before.clio), gis: less(&now.gis, &self.before.gis) };
        Ok(Line { name: self.name, records, calls, seconds: seconds(self.began) })
    }
}

fn less(now: &Counts, before: &Counts) -> Counts {
    Counts {
        reads: now.reads - before.reads,
        writes: now.writes - before.writes,
        other: now.other - before.other,
        limited: now.limited - before.limited,
        ..Counts::default()
    }
}

/// The table.
pub(crate) struct Table {
    lines: Vec<Line>,
    pub(crate) went_well: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self { lines: Vec::new(), went_well: true }
    }
}

impl Table {
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub(crate) fn print(&self, comparison: &Comparison, whole: Duration) {
        println!();
        println!(
            "{:28} {:>8} {:>20} {:>20} {:>8} {:>16}",
            "", "records", "calls to gis", "calls to clio", "seconds", "at 50 a minute"
        );
        println!("{:28} {:>8} {:>20} {:>20}", "", "", "read write other", "read write other");
        for line in &self.lines {
            let counts = |c: &Counts| format!("{} {:>5} {:>5}", c.reads, c.writes, c.other);
            println!(
                "{:28} {:>8} {:>20} {:>20} {:>8.1} {:>16}",
                line.name,
                line.records,
                counts(&line.calls.gis),
                counts(&line.calls.clio),
                line.seconds,
                at_the_limit(&line.calls.clio)
            );
        }
        println!();
        println!(
            "{} records on the map, {} matters; {} values compared, {} differ. {:.0} seconds in all.",
            comparison.records,
            comparison.matters,
            comparison.compared,
            comparison.differences.len(),
            whole.as_secs_f64()
        );
    }

    pub(crate) fn json(&self, comparison: &Comparison, calls: &Calls) -> String {
        let counts = |c: &Counts| json!({"reads": c.reads, "writes": c.writes, "other": c.other, "limited": c.limited});
        let phases: Vec<_> = self
            .lines
            .iter()
            .map(|line| {
                json!({
                    "name": line.name,
                    "records": line.records,
                    "seconds": line.seconds,
                    "calls": {"gis": counts(&line.calls.gis), "clio": counts(&line.calls.clio)},
                })
            })
            .collect();
        let table = json!({
            "records": comparison.records,
            "matters": comparison.matters,
            "compared": comparison.compared,
            "differences": comparison.differences.len(),
            "calls": {"gis": counts(&calls.gis), "clio": counts(&calls.clio)},
            "phases": phases,
        });
        format!("{table:#}\n")
    }
}

/// How long so many calls take at Clio's own limit.
fn at_the_limit(counts: &Counts) -> String {
    let calls = counts.reads + counts.writes;
    let minutes = calls.div_ceil(CLIO_LIMIT);
    match (calls, minutes) {
        (0, _) => "-".to_owned(),
        (_, 1) => "1 minute".to_owned(),
        (_, minutes) if minutes < 60 => format!("{minutes} minutes"),
        (_, minutes) => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

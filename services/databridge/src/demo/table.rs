//! The table at the end.

use std::time::Instant;

use indicatif::HumanCount;
use sandbox::Admin;
use sandbox::calls::{Calls, Counts};
use serde::Serialize;
use serde_json::json;

use crate::say::say;

/// Calls a minute that Clio allows at peak (clio.md, section 3).
const CLIO_LIMIT: u64 = 50;

/// How much of what people did was seen on the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Arrived {
    pub(crate) arrived: usize,
    pub(crate) expected: usize,
}

impl Arrived {
    /// Whether it was all.
    pub(crate) fn is_all(self) -> bool {
        self.arrived == self.expected
    }
}

/// One line of the table.
pub(crate) struct Line {
    name: String,
    records: u64,
    written: u64,
    arrived: Option<Arrived>,
    calls: Calls,
    seconds: f64,
}

impl Line {
    /// How long it took.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Columns of a terminal of 80.
    fn text(&self) -> String {
        let counts = |c: &Counts| format!("{:>6}{:>6}{:>6}", c.reads, c.writes, c.other);
        format!(
            "{:19}{:>7}{:>18}{:>18}{:>8.1}{:>10}",
            self.name,
            HumanCount(self.records).to_string(),
            counts(&self.calls.gis),
            counts(&self.calls.clio),
            self.seconds,
            at_the_limit(&self.calls.clio)
        )
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "records": self.records,
            "written": self.written,
            "arrivals": self.arrived,
            "seconds": self.seconds,
            "calls": calls_json(&self.calls),
        })
    }
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

    /// So many records were read and written.
    pub(crate) async fn end(self, admin: &Admin, (records, written): (u64, u64)) -> anyhow::Result<Line> {
        let seconds = (self.began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let now = admin.calls().await?;
        let calls = Calls { clio: less(&now.clio, &self.before.clio), gis: less(&now.gis, &self.before.gis) };
        Ok(Line { name: self.name, records, written, arrived: None, calls, seconds })
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

fn sum(lines: &[Line], of: fn(&Calls) -> &Counts) -> Counts {
    let total = |count: fn(&Counts) -> u64| lines.iter().map(|line| count(of(&line.calls))).sum();
    Counts {
        reads: total(|c| c.reads),
        writes: total(|c| c.writes),
        other: total(|c| c.other),
        limited: total(|c| c.limited),
        ..Counts::default()
    }
}

/// The table.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Table {
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// What was seen to arrive of what the last line carried over.
    pub(crate) fn note_arrivals(&mut self, arrived: Arrived) {
        if let Some(line) = self.lines.last_mut() {
            line.arrived = Some(arrived);
        }
    }

    pub(crate) fn print(&self) {
        say!("{:19}{:>7}{:>18}{:>18}{:>8}{:>10}", "", "", "calls to ArcGIS", "calls to Clio", "", "at 50 a");
        say!(
            "{:19}{:>7}{:>6}{:>6}{:>6}{:>6}{:>6}{:>6}{:>8}{:>10}",
            "",
            "records",
            "read",
            "write",
            "other",
            "read",
            "write",
            "other",
            "seconds",
            "minute"
        );
        for line in &self.lines {
            say!("{}", line.text());
        }
        let all = Line {
            name: "in all".to_owned(),
            records: self.lines.iter().map(|line| line.records).sum(),
            written: self.lines.iter().map(|line| line.written).sum(),
            arrived: None,
            calls: Calls { gis: sum(&self.lines, |c| &c.gis), clio: sum(&self.lines, |c| &c.clio) },
            seconds: self.lines.iter().map(Line::seconds).sum(),
        };
        say!("{}", all.text());
    }

    /// The lines for programs.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.lines.iter().map(Line::json).collect()
    }
}

pub(crate) fn calls_json(calls: &Calls) -> serde_json::Value {
    let counts =
        |c: &Counts| json!({"reads": c.reads, "writes": c.writes, "other": c.other, "limited": c.limited});
    json!({"gis": counts(&calls.gis), "clio": counts(&calls.clio)})
}

/// How long so many calls take at Clio's own limit. The first minute's worth goes out at once.
fn at_the_limit(counts: &Counts) -> String {
    let minutes = (counts.reads + counts.writes).saturating_sub(1) / CLIO_LIMIT;
    match minutes {
        0 => "at once".to_owned(),
        minutes if minutes < 60 => format!("{minutes} min"),
        minutes => format!("{} h {:02}", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_at_the_limit_counts_full_windows() {
        let at = |writes| at_the_limit(&Counts { writes, ..Counts::default() });
        assert_eq!(
            [at(0), at(50), at(51), at(1001), at(10_000)],
            ["at once", "at once", "1 min", "20 min", "3 h 19"]
        );
    }

    #[test]
    fn a_line_fits_a_terminal_of_80_columns() {
        let counts = Counts { reads: 99_999, writes: 99_999, other: 99_999, ..Counts::default() };
        let calls = Calls { gis: counts.clone(), clio: counts };
        let name = "20 edits on the map".to_owned();
        let line = Line { name, records: 99_999, written: 0, arrived: None, calls, seconds: 9_999.9 };
        assert_eq!(line.text().len(), 80);
    }
}

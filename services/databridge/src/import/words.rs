//! What a data folder holds, in words.

use chrono::{DateTime, SecondsFormat, Utc};
use indicatif::HumanCount;

use super::{DataFolder, Stranger, Unrecorded};
use crate::report::{self, LISTED};

impl DataFolder {
    /// What is in it, line by line.
    pub fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (system, at) in &self.last_pulls {
            lines.push(format!("the scripts last looked at {system} on {}", moment(*at)));
        }
        let to_clio =
            counted([(self.litigations.len(), "litigation"), (self.attachments.len(), "attachment")]);
        let to_map = counted([(self.matters.len(), "matter"), (self.notes.len(), "note")]);
        lines.push(format!("waiting to go to Clio: {to_clio}"));
        lines.push(format!("waiting to go to the map: {to_map}"));
        lines.extend(self.unread.iter().map(|line| format!("  cannot be read: {line}")));
        for path in &self.emptied {
            lines.push(format!(
                "  holds nothing: {}: the scripts emptied a file when some of its rows failed, so rows may be lost",
                path.display()
            ));
        }
        if !self.unrecorded.is_empty() {
            lines.push(format!(
                "{} of the history had not been written. A migrate makes none for what happened before it; where one is \
                 missing on the map, add it there, or set `first_seen = true` in the route's `when` before the first migrate:",
                report::counted(self.unrecorded.len() as u64, "row")
            ));
            lines.extend(self.unrecorded.iter().take(LISTED).map(|row| format!("  {}", row.words())));
            if let Some(more) = self.unrecorded.len().checked_sub(LISTED).filter(|more| *more > 0) {
                lines.push(format!("  and {} more", HumanCount(more as u64)));
            }
        }
        for path in &self.tokens {
            lines.push(format!(
                "  a token to Clio in plain text: {}: delete it once Data Bridge has taken over",
                path.display()
            ));
        }
        lines
    }

    /// What is left to be done for all that the scripts passed over.
    pub fn advice(&self) -> Vec<String> {
        let mut lines = vec![
            "What the scripts lost or passed over is in no file. If you have not since they were stopped, look at \
             `databridge plan` and run `databridge migrate`: it compares everything on both sides, what waited here \
             included."
                .to_owned(),
        ];
        let since = self.last_pulls.iter().map(|(system, at)| {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("`databridge sync {system} --since {at}`")
        });
        let since: Vec<_> = since.collect();
        if !since.is_empty() {
            lines.push(format!(
                "If it has been run already, what changed since the scripts' last look has come with it; it can be read \
                 once more by {}.",
                since.join(" and ")
            ));
        }
        lines
    }
}

impl Unrecorded {
    fn words(&self) -> String {
        let who = match &self.warrant {
            Some(warrant) => format!("{warrant} (matter {})", self.matter),
            None => format!("matter {}", self.matter),
        };
        match &self.setting {
            Some(setting) => format!("{who}: a new setting, {setting}"),
            None => format!("{who}: a dismissal"),
        }
    }
}

impl Stranger {
    /// What it means, and what to do.
    pub fn words(&self) -> String {
        let (kind, id) = (self.asset.kind.words(), &self.asset.id);
        let theirs = match &self.asset.name {
            Some(name) => format!("\"{name}\" ({id})"),
            None => id.clone(),
        };
        let means = if self.hides_matters() {
            "its matters are not seen, and each would be made anew. Put the scripts' name into config/systems/clio.toml \
             and run `databridge bootstrap`, or move the matters in Clio"
        } else if self.asset.kind == super::Kind::CustomField {
            "what the scripts wrote stands in another field. Look at it in Clio, and rename the field there that is the \
             right one"
        } else if self.asset.kind == super::Kind::Calendar {
            "its court dates are not seen. Put the scripts' name into config/systems/clio.toml and run `databridge \
             bootstrap`, or move the entries in Clio"
        } else {
            "new matters get another client than those that are there. Put the scripts' name into \
             config/systems/clio.toml if they should not"
        };
        format!("the scripts' {kind} {theirs} is not ours, {}: {means}", self.ours)
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn counted<const N: usize>(counts: [(usize, &str); N]) -> String {
    let some = counts.into_iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = some.map(|(count, what)| report::counted(count as u64, what)).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
}

//! Comparing both systems, over the sandbox's own account of them. It shares no code with the converters.

pub(crate) mod court_dates;
mod documents;
mod fields;
mod history;
pub(crate) mod notes;
mod routes;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use databridge_model::Parked;
use sandbox::Admin;
use sandbox::client::GisFeature;
use sandbox::clio::hand::MatterPage;
use serde::Serialize;
use serde_json::Value;

pub use self::court_dates::CourtDates;
pub use self::documents::Documents;
pub use self::fields::{Kind, Pair};
pub use self::history::History;
pub use self::notes::Notes;
use self::waiting::Waiting;
use super::picture::Picture;

/// What belongs together, and is to be the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparer {
    /// The collections of the rows and of the matters, as `gis.active_litigations`.
    pub collections: [String; 2],
    /// The layer's field that holds its object ids.
    pub object_id: String,
    /// The layer's key field.
    pub gis_key: String,
    /// The custom field that holds the key.
    pub clio_key: String,
    /// The custom field that tells of a row that is gone; without one, a matter without a row is a difference.
    pub mark: Option<String>,
    /// The office's clock.
    pub zone: Tz,
    /// The fields that must be the same.
    pub pairs: Vec<Pair>,
    /// The newest note and a field of the row.
    pub notes: Option<Notes>,
    /// The next entry of the calendar and a field of the row.
    pub court_dates: Option<CourtDates>,
    /// Attachments and documents.
    pub documents: Option<Documents>,
    /// History and the rows of history that tell of them.
    pub history: Option<History>,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Rows of the layer.
    pub records: usize,
    /// Matters with a key.
    pub matters: usize,
    /// What was compared.
    pub compared: Compared,
    /// What differs, in words.
    pub differences: Vec<String>,
}

/// How many things of each kind were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Values of fields.
    pub values: usize,
    /// Newest notes.
    pub notes: usize,
    /// Court dates to come.
    pub court_dates: usize,
    /// Files, by their names and the sha256 of their bytes.
    pub documents: usize,
    /// Dismissed matters, with what their history says.
    pub dismissals: usize,
    /// Matters whose rows are gone.
    pub marks: usize,
}

/// A row and the one matter of its key.
#[derive(Clone, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) key: String,
    /// The row's object id.
    pub(crate) id: i64,
    pub(crate) row: &'a GisFeature,
    pub(crate) matter: &'a MatterPage,
}

impl Comparer {
    /// Compares every row of the layer with its matter, and what belongs to them. What the services parked is not a
    /// difference: it waits for a person, and is told apart.
    pub async fn compare(&self, admin: &Admin, layer: u32, waiting: &[Parked]) -> anyhow::Result<Comparison> {
        let picture = Picture::take(admin, self, layer).await?;
        Ok(self.compared(&picture, waiting))
    }

    pub(crate) fn compared(&self, picture: &Picture, waiting: &[Parked]) -> Comparison {
        let waiting = Waiting::of(waiting, self);
        let matters = self.matters_by_key(picture);
        let mut found = Comparison {
            records: picture.rows.len(),
            matters: matters.values().map(Vec::len).sum(),
            ..Comparison::default()
        };
        let mut keys = BTreeSet::new();
        let mut cases = Vec::new();
        for row in &picture.rows {
            let (key, id) = (self.key_of(row), self.id_of(row));
            if !waiting.has_record(&key, id) {
                match matters.get(&key).map(Vec::as_slice) {
                    None | Some([]) => found.differences.push(format!("{key} (row {id}) has no matter")),
                    Some([matter]) => cases.push(Case { key: key.clone(), id, row, matter }),
                    Some(several) => found.differences.push(format!("{key} has {} matters", several.len())),
                }
            }
            keys.insert(key);
        }
        for (key, without_row) in matters.iter().filter(|(key, _)| !keys.contains(*key)) {
            self.compare_mark(key, without_row, &mut found);
        }
        for case in &cases {
            self.compare_fields(case, &waiting, &mut found);
        }
        if let Some(notes) = &self.notes {
            notes.compare(picture, &cases, &waiting, &mut found);
        }
        if let Some(dates) = &self.court_dates {
            dates.compare(picture, self.zone, &cases, &waiting, &mut found);
        }
        if let Some(documents) = &self.documents {
            documents.compare(picture, &cases, &waiting, &mut found);
        }
        if let Some(history) = &self.history {
            history.compare(picture, &cases, &waiting, &mut found);
        }
        found
    }

    /// A matter without a row must say so.
    fn compare_mark(&self, key: &str, matters: &[&MatterPage], found: &mut Comparison) {
        let is_marked = |matter: &&MatterPage| {
            self.mark.as_ref().is_some_and(|mark| !custom_field(matter, mark).is_empty())
        };
        if matters.iter().all(is_marked) {
            found.compared.marks += 1;
        } else {
            found.differences.push(format!("the matter of {key} has no row"));
        }
    }

    /// The key of a row, empty where it has none.
    pub(crate) fn key_of(&self, row: &GisFeature) -> String {
        plain(row.attributes.get(&self.gis_key)).trim().to_owned()
    }

    /// The object id of a row.
    pub(crate) fn id_of(&self, row: &GisFeature) -> i64 {
        row.attributes.get(&self.object_id).and_then(Value::as_i64).unwrap_or_default()
    }

    /// Every matter that has a key, by key.
    pub(crate) fn matters_by_key<'a>(&self, picture: &'a Picture) -> BTreeMap<String, Vec<&'a MatterPage>> {
        let mut matters: BTreeMap<String, Vec<&MatterPage>> = BTreeMap::new();
        for matter in &picture.matters {
            if let Some(Some(key)) = matter.custom_fields.get(&self.clio_key) {
                matters.entry(key.trim().to_owned()).or_default().push(matter);
            }
        }
        matters
    }

    /// The rows whose keys are their own, and have one matter each.
    pub(crate) fn cases<'a>(&self, picture: &'a Picture) -> Vec<Case<'a>> {
        let matters = self.matters_by_key(picture);
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        for row in &picture.rows {
            *rows.entry(self.key_of(row)).or_default() += 1;
        }
        let case = |row: &'a GisFeature| {
            let key = self.key_of(row);
            let (Some([matter]), Some(1)) = (matters.get(&key).map(Vec::as_slice), rows.get(&key)) else {
                return None;
            };
            Some(Case { id: self.id_of(row), key, row, matter })
        };
        picture.rows.iter().filter_map(case).collect()
    }
}

impl Comparison {
    /// What was compared, in words.
    pub(crate) fn told(&self) -> String {
        let of = &self.compared;
        let kinds = [
            (of.values, "value", "values"),
            (of.notes, "newest note", "newest notes"),
            (of.court_dates, "court date", "court dates"),
            (of.documents, "document", "documents"),
            (of.dismissals, "dismissal", "dismissals"),
            (of.marks, "matter without a row", "matters without a row"),
        ];
        let kinds = kinds.into_iter().filter(|(count, ..)| *count > 0);
        let told = kinds.map(|(count, one, several)| {
            format!("{} {}", indicatif::HumanCount(count as u64), if count == 1 { one } else { several })
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// A custom field of a matter, empty where it is not set.
pub(crate) fn custom_field(matter: &MatterPage, name: &str) -> String {
    matter.custom_fields.get(name).cloned().flatten().unwrap_or_default()
}

/// A value of a row as text, empty where there is none.
pub(crate) fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

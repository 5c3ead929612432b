//! What should be seen on the other side, and whether it is.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use chrono::{DateTime, Utc};
use sandbox::client::GisFeature;
use sandbox::clio::hand::MatterPage;
use serde_json::Value;

use super::super::compare::court_dates::{begins, told};
use super::super::compare::{Comparer, custom_field, notes, plain};
use super::super::lines::Side;
use super::super::picture::Picture;

/// Something that was done on one side and should be seen on the other.
pub(crate) struct Arrival {
    /// The key of the litigation.
    pub(crate) key: String,
    /// Where it should be seen, in words.
    pub(crate) place: String,
    /// What should be seen.
    pub(crate) wanted: Wanted,
    /// When it was done.
    pub(crate) made: Instant,
    /// Which part of a long value is shown.
    pub(super) side: Side,
}

/// What should be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A custom field of the matter has this value.
    InMatter(String, String),
    /// A field of the row has this value.
    InRow(String, String),
    /// The newest note of the matter says this.
    Note(String),
    /// The calendar has an entry for the matter that begins then.
    Entry(DateTime<Utc>),
    /// The map has this court date.
    OnMap(DateTime<Utc>),
    /// The document of this attachment has these bytes, by their sha256, as its version of this number.
    Document { attachment: i64, sha256: String, version: usize },
    /// The history has so many dismissals of the litigation.
    Dismissals(usize),
    /// The history has one row of this setting.
    Setting(DateTime<Utc>),
    /// The matter says that its row is gone.
    Mark,
}

impl Arrival {
    pub(crate) fn new(key: &str, place: &str, wanted: Wanted) -> Self {
        Self {
            key: key.to_owned(),
            place: place.to_owned(),
            wanted,
            made: Instant::now(),
            side: Side::Beginning,
        }
    }

    /// The same, of which the end is what matters.
    pub(super) fn shown_by_its_end(self) -> Self {
        Self { side: Side::End, ..self }
    }

    /// What is seen, as it is shown to a person; nothing until all of it is there.
    pub(super) fn seen(
        &self,
        comparer: &Comparer,
        picture: &Picture,
        matters: &BTreeMap<String, Vec<&MatterPage>>,
    ) -> Option<String> {
        let row = picture.rows.iter().find(|row| comparer.key_of(row) == self.key);
        let Some([matter]) = matters.get(&self.key).map(Vec::as_slice) else { return None };
        match &self.wanted {
            Wanted::InMatter(field, value) => {
                Some(value.clone()).filter(|value| custom_field(matter, field) == *value)
            }
            Wanted::InRow(field, value) => {
                let shown = plain(row?.attributes.get(field));
                Some(shown).filter(|shown| shown == value)
            }
            Wanted::Note(wanted) => {
                let by_matter = notes::by_matter(picture);
                let newest = by_matter.get(&matter.id).and_then(|notes| notes.last());
                newest.map(|note| notes::text(note)).filter(|text| text == wanted)
            }
            Wanted::Entry(at) => {
                let dates = comparer.court_dates.as_ref()?;
                let mut entries = dates.entries(picture);
                let is_it = |entry| begins(entry, comparer.zone) == *at && entry.matter == Some(matter.id);
                entries.any(is_it).then(|| told(*at, comparer.zone))
            }
            Wanted::OnMap(at) => {
                let on_map = comparer.court_dates.as_ref()?.on_map(row?);
                (on_map == Some(*at)).then(|| told(*at, comparer.zone))
            }
            Wanted::Document { attachment, sha256, version } => {
                let documents = comparer.documents.as_ref()?.by_attachment(picture);
                let [document] = documents.get(&(matter.id, attachment.to_string()))?.as_slice() else {
                    return None;
                };
                let has_it = document.versions.len() == *version
                    && document.current()?.sha256.as_deref() == Some(sha256.as_str());
                has_it.then(|| format!("{}, version {version}", document.name))
            }
            Wanted::Dismissals(count) => {
                let history = comparer.history.as_ref()?;
                let by_key = history.by_key(picture);
                let rows: Vec<_> =
                    by_key.get(&self.key)?.iter().filter(|it| history.is_dismissal(it)).collect();
                let last = rows.last().filter(|_| rows.len() == *count)?;
                let says = [history.status.as_str()]
                    .into_iter()
                    .chain(history.told.iter().map(|(it, _)| it.as_str()));
                let says = says.map(|field| plain(last.attributes.get(field))).filter(|it| !it.is_empty());
                Some(says.collect::<Vec<_>>().join(", "))
            }
            Wanted::Setting(at) => {
                let history = comparer.history.as_ref()?;
                let setting = history.setting.as_ref()?;
                let by_key = history.by_key(picture);
                let tells = |row: &&&GisFeature| {
                    row.attributes.get(setting).and_then(Value::as_i64) == Some(at.timestamp_millis())
                };
                let rows = by_key.get(&self.key)?.iter().filter(tells).count();
                (rows == 1).then(|| told(*at, comparer.zone))
            }
            Wanted::Mark => {
                let mark = custom_field(matter, comparer.mark.as_ref()?);
                Some(mark).filter(|mark| row.is_none() && !mark.is_empty())
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InMatter(_, value) | Self::InRow(_, value) | Self::Note(value) => {
                write!(f, "`{}`", value.chars().take(40).collect::<String>())
            }
            Self::Entry(at) | Self::OnMap(at) | Self::Setting(at) => {
                write!(f, "{}", at.format("%Y-%m-%d %H:%M UTC"))
            }
            Self::Document { version, .. } => write!(f, "version {version} of the file"),
            Self::Dismissals(count) => write!(f, "dismissal {count}"),
            Self::Mark => f.write_str("that it is not on the map any more"),
        }
    }
}

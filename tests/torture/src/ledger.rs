//! What people did, and whether it is still to be seen.

use std::collections::{BTreeMap, BTreeSet};

use databridge_broker::{Bucket, names};
use databridge_model::{Conflict, ConflictRecord, Value};
use it::Town;
use it::picture::Picture;
use it::town::{text, value};

/// The map or Clio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Map,
    Clio,
}

/// Fields that go both ways and take any text, as the map and Clio name them.
pub(crate) const FIELDS: [(&str, &str); 5] = [
    ("ADDRESS1", "Location"),
    ("Court_Property_Owner", "Property Owner"),
    ("NPA_Inspect_Summary", "NPA Inspection Summary"),
    ("AntiNeglect_Plans_App_By", "Defendent"),
    ("PARCEL_ID", "Parcel ID"),
];

/// A value that a person typed. Each is typed once.
#[derive(Clone, Debug)]
struct Typed {
    place: Place,
    value: String,
}

/// All that people did.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By litigation and number of the field, in the order in which they were typed.
    fields: BTreeMap<(String, usize), Vec<Typed>>,
    notes: BTreeMap<String, Vec<Typed>>,
    /// How many rows of history tell of a dismissal of a litigation.
    dismissals: BTreeMap<String, usize>,
    /// What the services said.
    said: Said,
}

/// What the services said so far.
#[derive(Debug, Default)]
struct Said {
    /// Up to which message of each stream it is read.
    read: BTreeMap<&'static str, u64>,
    /// Values that lost a conflict of which there is a record.
    losers: BTreeSet<String>,
    /// Texts that a push has shown on the other side.
    carried_over: BTreeSet<String>,
    conflicts: usize,
    /// Conflicts that runs told of, by link, field and loser.
    told: BTreeSet<(String, String, String)>,
    /// The same as the records have them.
    recorded: BTreeSet<(String, String, String)>,
}

impl Ledger {
    pub(crate) fn typed(&mut self, warrant: &str, field: usize, place: Place, value: &str) {
        let of_it = self.fields.entry((warrant.to_owned(), field)).or_default();
        of_it.push(Typed { place, value: value.to_owned() });
    }

    pub(crate) fn noted(&mut self, warrant: &str, place: Place, text: &str) {
        self.notes.entry(warrant.to_owned()).or_default().push(Typed { place, value: text.to_owned() });
    }

    pub(crate) fn dismissed(&mut self, warrant: &str, rows: usize) {
        self.dismissals.insert(warrant.to_owned(), rows);
    }

    pub(crate) fn is_dismissed(&self, warrant: &str) -> bool {
        self.dismissals.contains_key(warrant)
    }

    /// A litigation left the map: nothing of it goes over any more.
    pub(crate) fn forget(&mut self, warrant: &str) {
        self.fields.retain(|(of, _), _| of != warrant);
        self.notes.remove(warrant);
        self.dismissals.remove(warrant);
    }

    /// How much people typed, and how many conflicts were recorded.
    pub(crate) fn told(&self) -> String {
        let typed: usize = self.fields.values().map(Vec::len).sum();
        let notes: usize = self.notes.values().map(Vec::len).sum();
        format!("{typed} values and {notes} notes typed, {} conflicts recorded", self.said.conflicts)
    }

    /// What is lost, doubled or overwritten, in words.
    pub(crate) async fn look(&mut self, town: &Town) -> anyhow::Result<Vec<String>> {
        self.said.listen(town).await?;
        let picture = Picture::of(town).await?;
        let mut wrong = Vec::new();
        for ((warrant, field), typed) in &self.fields {
            let (on_the_map, in_clio) = FIELDS.get(*field).copied().unwrap_or_default();
            let Some(shown) = picture.row(warrant).map(|row| text(row, on_the_map)) else {
                wrong.push(format!("{warrant} is not on the map"));
                continue;
            };
            for (number, edit) in typed.iter().enumerate() {
                let later = typed.get(number + 1..).unwrap_or_default();
                let is_accounted_for = edit.value == shown
                    || later.iter().any(|it| it.place == edit.place)
                    || (!later.is_empty() && self.said.carried_over.contains(&edit.value))
                    || self.said.losers.contains(&edit.value);
                if !is_accounted_for {
                    wrong.push(format!(
                        "{warrant}: `{}`, typed into {on_the_map}/{in_clio} ({:?}), is lost: `{shown}` stands there; \
                         typed were {typed:?}",
                        edit.value, edit.place
                    ));
                }
            }
        }
        self.look_at_notes(&picture, &mut wrong);
        self.look_for_doubles(&picture, &mut wrong);
        let unrecorded = self.said.told.difference(&self.said.recorded);
        wrong.extend(
            unrecorded
                .map(|(link, field, loser)| format!("{link} {field}: that `{loser}` lost has no record")),
        );
        Ok(wrong)
    }

    fn look_at_notes(&self, picture: &Picture, wrong: &mut Vec<String>) {
        for (warrant, typed) in &self.notes {
            let matter = picture.matter(warrant).map(|matter| matter.id);
            for (number, note) in typed.iter().enumerate() {
                let is_it = |detail: &Option<String>| detail.as_deref() == Some(note.value.as_str());
                let copies =
                    picture.notes.iter().filter(|it| it.matter == matter && is_it(&it.detail)).count();
                let mut later = typed.iter().skip(number + 1);
                let may_be_missing = note.place == Place::Map
                    && (later.any(|it| it.place == Place::Map) || self.said.losers.contains(&note.value));
                if copies > 1 || (copies == 0 && !may_be_missing) {
                    wrong.push(format!("{warrant}: {copies} notes say `{}` ({:?})", note.value, note.place));
                }
            }
        }
    }

    fn look_for_doubles(&self, picture: &Picture, wrong: &mut Vec<String>) {
        let mut entries = BTreeMap::<_, usize>::new();
        for entry in &picture.entries {
            *entries.entry((entry.matter, entry.start_at)).or_default() += 1;
        }
        let doubled = entries.iter().filter(|(_, count)| **count > 1);
        wrong.extend(doubled.map(|((matter, at), count)| {
            let of = picture.matters.iter().find(|it| Some(it.id) == *matter);
            let warrant = of.map(|matter| value(matter, "Civil Warrant")).unwrap_or_default();
            format!("{warrant}: {count} entries at {at}")
        }));
        let mut documents = BTreeMap::<_, usize>::new();
        for document in &picture.documents {
            if let Some(attachment) = document.property("GIS_ID") {
                *documents.entry(attachment.to_owned()).or_default() += 1;
            }
        }
        let doubled = documents.iter().filter(|(_, count)| **count > 1);
        wrong.extend(
            doubled.map(|(attachment, count)| format!("{count} documents of attachment {attachment}")),
        );
        for (warrant, rows) in &self.dismissals {
            let there = picture.history_of(warrant, "Dismissed");
            if there != *rows {
                wrong.push(format!("{warrant}: {there} rows of history tell of its dismissals, not {rows}"));
            }
        }
    }
}

/// By what a conflict is known again.
fn named(conflict: &Conflict) -> (String, String, String) {
    (conflict.link.clone(), conflict.field.clone(), conflict.loser.to_plain())
}

impl Said {
    async fn listen(&mut self, town: &Town) -> anyhow::Result<()> {
        let records: Bucket<ConflictRecord> = town.broker.bucket(names::CONFLICTS).await?;
        let records = records.all().await?;
        self.conflicts = records.len();
        for (_, kept) in records {
            self.losers.insert(kept.value.conflict.loser.to_plain());
            self.recorded.insert(named(&kept.value.conflict));
        }
        for stream in [names::RUN, names::OUTCOME] {
            let from = self.read.get(stream).map_or(1, |last| last + 1);
            for message in town.messages_from(stream, from).await? {
                self.read.insert(stream, message.sequence);
                if message.subject.ends_with(".conflict") {
                    self.told.insert(named(&serde_json::from_slice(&message.body)?));
                } else if stream == names::OUTCOME {
                    let outcome: databridge_model::Outcome = serde_json::from_slice(&message.body)?;
                    self.carried_over.extend(outcome.shown.values().map(Value::to_plain));
                }
            }
        }
        Ok(())
    }
}

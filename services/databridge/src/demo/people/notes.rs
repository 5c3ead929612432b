//! Notes, on either side.

use sandbox::client::GisEdit;
use sandbox::clio::hand::NewNote;

use super::super::compare::plain;
use super::{Act, Arrival, People, Place, Wanted, another};

/// What people see on site.
const ON_SITE: [&str; 5] = [
    "Boarded again today; rear door replaced.",
    "Open to entry at the rear, board-up ordered.",
    "Contractor found the porch unsafe, came back with props.",
    "Grass cut and debris removed, front still boarded.",
    "Neighbor reports lights at night; locks changed.",
];

/// What people hear in the office.
const IN_OFFICE: [&str; 5] = [
    "Owner's counsel asks for 30 days to sell.",
    "Receiver filed a plan; inspector to look at it before the next setting.",
    "Lien holder called and wants to be heard.",
    "Clerk confirms service on the heirs.",
    "Owner sent photos of the new roof.",
];

impl People<'_> {
    /// Edits the notes of rows.
    pub(crate) async fn write_notes_on_the_map(&self) -> anyhow::Result<Option<Act>> {
        let Some(notes) = &self.comparer.notes else { return Ok(None) };
        let mut arrivals = Vec::new();
        for (case, text) in self.cases(40, ON_SITE.len(), |_| true).iter().zip(ON_SITE) {
            let text = another(text, &plain(case.row.attributes.get(&notes.field)));
            let edit = GisEdit::field(&notes.field, text.clone());
            self.admin.edit_feature(self.layer, case.id, &edit).await?;
            arrivals.push(Arrival::new(&case.key, "new note", Wanted::Note(text)));
        }
        Ok(Some(Act {
            name: format!("{} notes on the map", arrivals.len()),
            headline: format!("People edit {} of {} litigations on the map", notes.field, arrivals.len()),
            place: Place::Map,
            needs_full: false,
            things: "notes",
            arrivals,
            follows: Vec::new(),
        }))
    }

    /// Writes notes on matters.
    pub(crate) async fn write_notes_in_clio(&self) -> anyhow::Result<Option<Act>> {
        let Some(notes) = &self.comparer.notes else { return Ok(None) };
        let mut arrivals = Vec::new();
        for (case, text) in self.cases(45, IN_OFFICE.len(), |_| true).iter().zip(IN_OFFICE) {
            let text = another(text, &plain(case.row.attributes.get(&notes.field)));
            let note = NewNote {
                matter: case.matter.id,
                subject: "Call".to_owned(),
                detail: text.clone(),
                ..NewNote::default()
            };
            self.admin.add_note(&note).await?;
            arrivals.push(Arrival::new(&case.key, &notes.field, Wanted::InRow(notes.field.clone(), text)));
        }
        Ok(Some(Act {
            name: format!("{} notes in Clio", arrivals.len()),
            headline: format!("People write {} notes in Clio", arrivals.len()),
            place: Place::Clio,
            needs_full: false,
            things: "notes",
            arrivals,
            follows: Vec::new(),
        }))
    }
}

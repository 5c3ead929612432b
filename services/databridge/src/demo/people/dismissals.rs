//! The end of litigations: matters that are dismissed, and rows that leave the map.

use sandbox::clio::hand::MatterEdit;

use super::super::compare::{Case, custom_field};
use super::{Act, Arrival, People, Place, Wanted};

/// How many matters are dismissed.
const DISMISSED: usize = 3;
/// What people write of a dismissal.
const HOW: &str = "Dismissed with costs";

impl People<'_> {
    /// Dismisses matters.
    pub(crate) async fn dismiss(&self) -> anyhow::Result<Option<Act>> {
        let Some(history) = &self.comparer.history else { return Ok(None) };
        let by_key = history.by_key(&self.picture);
        let is_open = |case: &Case<'_>| custom_field(case.matter, &history.clio_status) != history.dismissed;
        let mut arrivals = Vec::new();
        for case in self.cases(100, DISMISSED, is_open) {
            let mut edit = MatterEdit::field(&history.clio_status, Some(&history.dismissed));
            if let Some((_, custom)) = history.told.first() {
                edit = edit.and_field(custom, Some(HOW));
            }
            self.admin.edit_matter(case.matter.id, &edit).await?;
            let rows = by_key.get(&case.key).map_or(&[][..], Vec::as_slice);
            let before = rows.iter().filter(|row| history.is_dismissal(row)).count();
            arrivals.push(Arrival::new(&case.key, "row of history", Wanted::Dismissals(before + 1)));
        }
        Ok(Some(Act {
            name: format!("{} dismissals", arrivals.len()),
            headline: format!("The court dismisses {} litigations, as people note in Clio", arrivals.len()),
            place: Place::Clio,
            needs_full: false,
            things: "rows",
            arrivals,
            follows: Vec::new(),
        }))
    }

    /// Deletes a row that has no file: what hung on one would be told, too.
    pub(crate) async fn take_off_the_map(&self) -> anyhow::Result<Option<Act>> {
        if self.comparer.mark.is_none() {
            return Ok(None);
        }
        let is_bare = |case: &Case<'_>| self.picture.files.iter().all(|file| file.object_id != case.id);
        let mut arrivals = Vec::new();
        for case in self.cases(110, 1, is_bare) {
            self.admin.delete_feature(self.layer, case.id).await?;
            arrivals.push(Arrival::new(&case.key, "mark in its matter", Wanted::Mark));
        }
        Ok(Some(Act {
            name: format!("{} off the map", arrivals.len()),
            headline: "A litigation is deleted from the map; a listing of everything shows it".to_owned(),
            place: Place::Map,
            needs_full: true,
            things: "marks",
            arrivals,
            follows: Vec::new(),
        }))
    }
}

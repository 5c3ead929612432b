//! Files that people hang on rows.

use sandbox::client::GisFile;

use super::super::compare::Case;
use super::{Act, Arrival, People, Place, Wanted};

/// So many are replaced, and so many added.
const EACH: usize = 3;
/// What the bytes of people's files are made from: other numbers than those of the sample city.
const SEED: u64 = 0xF11E;

impl People<'_> {
    /// Puts other files in the place of some, and adds some.
    pub(crate) async fn hang_files(&self) -> anyhow::Result<Option<Act>> {
        let Some(documents) = &self.comparer.documents else { return Ok(None) };
        let by_attachment = documents.by_attachment(&self.picture);
        let file_of = |case: &Case<'_>| self.picture.files.iter().find(|file| file.object_id == case.id);
        let mut changed = Vec::new();
        for case in self.cases(80, EACH, |case| file_of(case).is_some()) {
            let Some(old) = file_of(&case) else { continue };
            // A layer tells two contents apart by their sizes only.
            let file = GisFile::generated(&old.name, &old.content_type, SEED, old.size + 101);
            self.admin.replace_gis_attachment(self.layer, (case.id, old.id), &file).await?;
            let document = by_attachment.get(&(case.matter.id, old.id.to_string()));
            let versions = document.and_then(|all| all.first()).map_or(0, |it| it.versions.len());
            changed.push((case.key, old.id, versions + 1));
        }
        for (turn, case) in self.cases(90, EACH, |_| true).into_iter().enumerate() {
            let name = format!("IMG_{}.jpg", 9001 + turn);
            let file = GisFile::generated(&name, "image/jpeg", SEED + 1, 4_000 + turn as u64);
            let id = self.admin.add_gis_attachment(self.layer, case.id, &file).await?;
            changed.push((case.key, id, 1));
        }
        let files = self.admin.gis_attachments(self.layer).await?;
        let arrival = |(key, attachment, version): (String, i64, usize)| {
            let sha256 = files.iter().find(|file| file.id == attachment)?.sha256.clone();
            let place = if version == 1 { "new document" } else { "new version" };
            Some(Arrival::new(&key, place, Wanted::Document { attachment, sha256, version }))
        };
        let arrivals: Vec<_> = changed.into_iter().filter_map(arrival).collect();
        Ok(Some(Act {
            name: format!("{} files on the map", arrivals.len()),
            headline: format!("People replace and add {} attachments on the map", arrivals.len()),
            place: Place::Map,
            needs_full: false,
            things: "files",
            arrivals,
            follows: Vec::new(),
        }))
    }
}

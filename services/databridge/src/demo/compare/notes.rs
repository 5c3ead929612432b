//! The newest note of a matter, and what stands on the map.

use std::collections::BTreeMap;

use sandbox::clio::hand::NotePage;

use super::super::picture::Picture;
use super::waiting::Waiting;
use super::{Case, Comparison, plain, shortened};

/// Where the newest note stands on the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes {
    /// The layer's field.
    pub field: String,
    /// How many characters go there: of a longer note, the beginning does.
    pub longest: usize,
}

impl Notes {
    pub(super) fn compare(
        &self,
        picture: &Picture,
        cases: &[Case<'_>],
        waiting: &Waiting<'_>,
        found: &mut Comparison,
    ) {
        let by_matter = by_matter(picture);
        let waits = |key: &str| waiting.has_field(key, &self.field) || waiting.has_below("clio.notes", key);
        for case in cases.iter().filter(|case| !waits(&case.key)) {
            let (key, field) = (&case.key, &self.field);
            let on_map = plain(case.row.attributes.get(field));
            let notes = by_matter.get(&case.matter.id).map_or(&[][..], Vec::as_slice);
            let newest = notes.last().map(|note| text(note));
            found.compared.notes += usize::from(newest.is_some() || !on_map.is_empty());
            match newest {
                None if on_map.is_empty() => {}
                None => found
                    .differences
                    .push(format!("{key}: {field} is `{}` and its matter has no note", shortened(&on_map))),
                Some(newest) if self.same(&on_map, &newest) => {}
                Some(newest) => found.differences.push(format!(
                    "{key}: {field} is `{}` and the newest note is `{}`",
                    shortened(&on_map),
                    shortened(&newest)
                )),
            }
            if let [.., before, last] = notes
                && (text(before), &before.date) == (text(last), &last.date)
            {
                found
                    .differences
                    .push(format!("{key}: the newest note stands twice, `{}`", shortened(&text(last))));
            }
        }
    }

    fn same(&self, on_map: &str, note: &str) -> bool {
        let (on_map, note) = (on_map.trim(), note.trim());
        on_map == note || (on_map.chars().count() == self.longest && note.starts_with(on_map))
    }
}

/// The notes that say something, by their matters, the newest last.
pub(crate) fn by_matter(picture: &Picture) -> BTreeMap<i64, Vec<&NotePage>> {
    let mut by_matter: BTreeMap<i64, Vec<&NotePage>> = BTreeMap::new();
    for note in picture.notes.iter().filter(|note| !text(note).trim().is_empty()) {
        if let Some(matter) = note.matter {
            by_matter.entry(matter).or_default().push(note);
        }
    }
    for notes in by_matter.values_mut() {
        notes.sort_by_key(|note| (note.date, note.created_at, note.id));
    }
    by_matter
}

/// The text of a note, that of a rich one without its tags.
pub(crate) fn text(note: &NotePage) -> String {
    let detail = note.detail.clone().unwrap_or_default();
    if !note.is_rich {
        return detail;
    }
    let mut text = String::new();
    let mut is_in_tag = false;
    for letter in detail.chars() {
        match letter {
            '<' => is_in_tag = true,
            '>' if is_in_tag => is_in_tag = false,
            _ if is_in_tag => {}
            _ => text.push(letter),
        }
    }
    text
}

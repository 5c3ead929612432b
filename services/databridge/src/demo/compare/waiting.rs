//! What the services parked: it waits for a person, and is no difference.

use std::collections::BTreeSet;

use databridge_model::Parked;

use super::Comparer;

/// What is parked, sorted by what is known of it.
pub(super) struct Waiting<'a> {
    /// Fields of rows and matters and of what stands below them, by the key of the record.
    fields: BTreeSet<(&'a str, &'a str)>,
    /// Rows and matters, by their keys.
    keys: BTreeSet<&'a str>,
    /// Rows without a key that can be read, by their object ids.
    ids: BTreeSet<&'a str>,
    /// What stands below them, by its collection and the key that it is told with: its own, or its parent's.
    below: BTreeSet<(String, &'a str)>,
}

impl<'a> Waiting<'a> {
    pub(super) fn of(parked: &'a [Parked], comparer: &Comparer) -> Self {
        let (mut fields, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let (mut ids, mut below) = (BTreeSet::new(), BTreeSet::new());
        for parked in parked {
            let collection = format!("{}.{}", parked.system, parked.collection);
            let is_one_of_them = comparer.collections.contains(&collection);
            let is_row = comparer.collections.first() == Some(&collection);
            match (&parked.key, &parked.field, &parked.id) {
                (Some(key), Some(field), _) => {
                    fields.insert((key.as_str(), field.as_str()));
                    below.insert((collection, key.as_str()));
                }
                (Some(key), None, _) if is_one_of_them => drop(keys.insert(key.as_str())),
                (Some(key), None, _) => drop(below.insert((collection, key.as_str()))),
                // A row's id has its GlobalID after its object id.
                (None, _, Some(id)) if is_row => ids.extend(id.split('@').next()),
                (None, ..) => {}
            }
        }
        Self { fields, keys, ids, below }
    }

    pub(super) fn has_record(&self, key: &str, id: i64) -> bool {
        self.keys.contains(key) || self.ids.contains(id.to_string().as_str())
    }

    /// A field of a row, of its matter, or of what stands below them.
    pub(super) fn has_field(&self, key: &str, field: &str) -> bool {
        self.fields.contains(&(key, field))
    }

    /// Something that stands below a row or matter, in a collection such as `clio.notes`.
    pub(super) fn has_below(&self, collection: &str, key: &str) -> bool {
        self.below.iter().any(|(other, known)| other == collection && *known == key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::comparer;
    use super::*;

    fn parked(place: (&str, &str), id: Option<&str>, key: Option<&str>, field: Option<&str>) -> Parked {
        Parked {
            system: place.0.parse().unwrap(),
            collection: place.1.parse().unwrap(),
            id: id.map(str::to_owned),
            key: key.and_then(databridge_model::Key::parse),
            field: field.map(str::to_owned),
            reason: "why".to_owned(),
        }
    }

    #[test]
    fn a_row_whose_key_cannot_be_read_waits_and_a_matter_of_its_number_does_not_matter() {
        let row = parked(("gis", "active_litigations"), Some("4"), None, Some("CivilWarrant"));
        let parked = [row, parked(("clio", "matters"), Some("5"), None, None)];
        let comparer = comparer();
        let waiting = Waiting::of(&parked, &comparer);
        assert!(waiting.has_record("ABC-1", 4) && waiting.has_record("", 4));
        assert!(!waiting.has_record("ABC-1", 5));
    }

    #[test]
    fn a_note_that_waits_does_not_make_its_litigation_wait() {
        let parked = [parked(("clio", "notes"), None, Some("E-1"), None)];
        let comparer = comparer();
        let waiting = Waiting::of(&parked, &comparer);
        assert!(waiting.has_below("clio.notes", "E-1") && !waiting.has_record("E-1", 1));
        assert!(!waiting.has_below("clio.documents", "E-1"));
    }
}

//! What the rows of history tell of dismissed matters.

use std::collections::BTreeMap;

use sandbox::client::GisFeature;

use super::super::picture::Picture;
use super::waiting::Waiting;
use super::{Case, Comparison, custom_field, plain, shortened};

/// How the history tells of dismissals and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The number of its layer.
    pub layer: u32,
    /// Its field that holds the key of the litigation.
    pub key: String,
    /// Its field that holds the status.
    pub status: String,
    /// Its field that holds a setting, where each new one has a row.
    pub setting: Option<String>,
    /// The custom field that holds the status of a matter.
    pub clio_status: String,
    /// The status of what is dismissed.
    pub dismissed: String,
    /// What the newest row that says anything tells the matter: its field, and the custom field.
    pub told: Vec<(String, String)>,
}

impl History {
    pub(super) fn compare(
        &self,
        picture: &Picture,
        cases: &[Case<'_>],
        waiting: &Waiting<'_>,
        found: &mut Comparison,
    ) {
        let by_key = self.by_key(picture);
        for case in cases {
            let key = &case.key;
            let rows = by_key.get(key).map_or(&[][..], Vec::as_slice);
            let is_dismissed = custom_field(case.matter, &self.clio_status) == self.dismissed;
            let waits = waiting.has_field(key, &self.status);
            if is_dismissed && !waits {
                found.compared.dismissals += 1;
                if !rows.iter().any(|row| self.is_dismissal(row)) {
                    found.differences.push(format!(
                        "{key}: its matter is {}, and the history has no row of it",
                        self.dismissed
                    ));
                }
            }
            let says = |row: &&&GisFeature| self.told.iter().any(|(field, _)| !text(row, field).is_empty());
            let Some(newest) = rows.iter().rfind(says) else { continue };
            for (field, custom) in self.told.iter().filter(|(_, custom)| !waiting.has_field(key, custom)) {
                let (says, shows) = (text(newest, field), custom_field(case.matter, custom));
                // What the history does not say, the matter may.
                if !says.is_empty() && says != shows {
                    found.differences.push(format!(
                        "{key}: {field} of the history is `{}` and {custom} is `{}`",
                        shortened(&says),
                        shortened(&shows)
                    ));
                }
            }
        }
    }

    /// The rows of each litigation, in the order in which they were added.
    pub(crate) fn by_key<'a>(&self, picture: &'a Picture) -> BTreeMap<String, Vec<&'a GisFeature>> {
        let mut by_key: BTreeMap<String, Vec<&GisFeature>> = BTreeMap::new();
        for row in &picture.history {
            by_key.entry(text(row, &self.key).trim().to_owned()).or_default().push(row);
        }
        by_key
    }

    /// Whether a row tells of a dismissal.
    pub(crate) fn is_dismissal(&self, row: &GisFeature) -> bool {
        text(row, &self.status) == self.dismissed
    }
}

fn text(row: &GisFeature, field: &str) -> String {
    plain(row.attributes.get(field))
}

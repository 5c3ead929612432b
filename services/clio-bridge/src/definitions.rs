//! Clio's custom fields, and which of them are ours.

use std::collections::BTreeMap;

use databridge_http::CallError;
use serde::Deserialize;

use crate::api;
use crate::client::ClioClient;
use crate::errand::Errand;
use crate::found::FoundField;
use crate::settings::CustomFieldSettings;

/// A custom field as Clio defines it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Definition {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) parent_type: String,
    pub(crate) field_type: String,
    #[serde(default)]
    pub(crate) deleted: Option<bool>,
    #[serde(default)]
    pub(crate) picklist_options: Option<Vec<DefinedOption>>,
}

/// An option of a picklist.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DefinedOption {
    pub(crate) id: u64,
    pub(crate) option: String,
    #[serde(default)]
    pub(crate) deleted_at: Option<String>,
}

impl Definition {
    fn is_live(&self) -> bool {
        self.deleted != Some(true) && self.parent_type == api::PARENT_TYPE_SHOWN
    }

    /// The ids of its options by label.
    pub(crate) fn options(&self) -> BTreeMap<String, u64> {
        let options = self.picklist_options.iter().flatten();
        options
            .filter(|option| option.deleted_at.is_none())
            .map(|option| (option.option.clone(), option.id))
            .collect()
    }

    pub(crate) fn found(&self, settings: &CustomFieldSettings) -> FoundField {
        FoundField { id: self.id, kind: settings.kind, options: self.options() }
    }
}

/// All custom fields of matters. A definition that cannot be read is left out: it is none of ours.
pub(crate) async fn read(client: &ClioClient, errand: &Errand) -> Result<Vec<Definition>, CallError> {
    let all = client.all(errand, &api::CUSTOM_FIELDS, &[]).await?;
    let readable = all.into_iter().filter_map(|json| serde_json::from_value::<Definition>(json).ok());
    Ok(readable.filter(Definition::is_live).collect())
}

/// Our custom fields among all, by exact name and type. Of two with one name it is the one that was ours before.
pub(crate) fn ours(
    all: &[Definition],
    wanted: &BTreeMap<String, CustomFieldSettings>,
    before: &BTreeMap<String, FoundField>,
) -> BTreeMap<String, FoundField> {
    let mut found = BTreeMap::new();
    for (name, settings) in wanted {
        let named: Vec<_> = all
            .iter()
            .filter(|field| field.name == *name && field.field_type == settings.kind.as_str())
            .collect();
        let known = before.get(name).and_then(|before| named.iter().find(|field| field.id == before.id));
        let chosen = match (known, named.as_slice()) {
            (Some(known), _) => Some(*known),
            (None, [only]) => Some(*only),
            (None, _) => None,
        };
        if let Some(field) = chosen {
            found.insert(name.clone(), field.found(settings));
        }
    }
    found
}

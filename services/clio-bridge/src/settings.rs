//! What `config/systems/clio.toml` says for this bridge.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use databridge_config::env::{self, ClioEnv, EnvError, KeyEnv};
use databridge_config::{Collection, ConfigError, ConfigFolder};
use databridge_model::{CollectionName, FieldType, NameError, Parked, SystemName};
use databridge_seal::{ExposeSecret, KeyError, MasterKey};
use serde::{Deserialize, Serialize};
use url::Url;

/// The name of the one field of a matter that is no custom field.
pub(crate) const DESCRIPTION: &str = "description";

/// The settings do not make a bridge.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable is missing or cannot be read.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// `DATABRIDGE_KEY` is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The config folder cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A name of this bridge's own is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// What the service is told.
#[derive(Debug)]
pub struct Settings {
    /// Where Clio is (`CLIO_URL`).
    pub clio_url: Url,
    /// The key under which tokens come (`DATABRIDGE_KEY`).
    pub key: MasterKey,
    /// The config folder (`DATABRIDGE_CONFIG`).
    pub config: ConfigFolder,
}

impl Settings {
    /// Reads the environment and the config folder that it names, and checks both.
    pub fn from_environment() -> Result<Self, SettingsError> {
        let (clio, key): (ClioEnv, KeyEnv) = (env::read()?, env::read()?);
        let key = MasterKey::parse(key.databridge_key.expose_secret())?;
        let config = ConfigFolder::from_environment()?;
        Self::check_file(&config)?;
        Ok(Self { clio_url: clio.clio_url, key, config })
    }

    /// Checks what the system file says, without the environment.
    pub fn check_file(config: &ConfigFolder) -> Result<(), SettingsError> {
        Matters::read(config).map(drop)
    }
}

/// The table `[bridge]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeSettings {
    /// Matters edited this long before the last look are read again, in seconds.
    pub overlap_seconds: u32,
    /// Custom fields are read again this often, in minutes.
    pub custom_fields_minutes: u32,
    /// Where our matters belong.
    pub matters: MatterSettings,
    /// Our custom fields by name.
    pub custom_fields: BTreeMap<String, CustomFieldSettings>,
}

/// Where our matters belong in Clio, by exact names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatterSettings {
    /// The group; matters of others are none of our business.
    pub group: String,
    /// The practice area; matters of others are none of our business.
    pub practice_area: String,
    /// The client of a new matter.
    pub client: ClientSettings,
}

/// A contact.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ContactType,
}

/// The kinds of contacts (`Contact.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ContactType {
    /// A firm or an office.
    Company,
    /// A person.
    Person,
}

impl ContactType {
    /// Clio's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Company => "Company",
            Self::Person => "Person",
        }
    }
}

/// A custom field of matters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomFieldSettings {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: CustomFieldType,
    /// The labels of its options, for a picklist. Clio may have more.
    #[serde(default)]
    pub options: Vec<String>,
}

/// The types of custom fields (`CustomField.field_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "Clio's own words, which say it")]
pub enum CustomFieldType {
    Checkbox,
    Contact,
    Currency,
    Date,
    Time,
    Email,
    Matter,
    Numeric,
    Picklist,
    TextArea,
    TextLine,
    Url,
}

impl CustomFieldType {
    /// Clio's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Checkbox => "checkbox",
            Self::Contact => "contact",
            Self::Currency => "currency",
            Self::Date => "date",
            Self::Time => "time",
            Self::Email => "email",
            Self::Matter => "matter",
            Self::Numeric => "numeric",
            Self::Picklist => "picklist",
            Self::TextArea => "text_area",
            Self::TextLine => "text_line",
            Self::Url => "url",
        }
    }

    fn holds(self, kind: &FieldType) -> bool {
        match self {
            Self::Checkbox => *kind == FieldType::Bool,
            Self::Date => *kind == FieldType::Date,
            Self::Currency | Self::Numeric => matches!(kind, FieldType::Decimal | FieldType::Int),
            Self::Contact | Self::Matter => matches!(kind, FieldType::Ref | FieldType::Text),
            Self::TextArea | Self::TextLine => !matches!(kind, FieldType::Bool | FieldType::Point),
            Self::Time | Self::Email | Self::Picklist | Self::Url => *kind == FieldType::Text,
        }
    }
}

impl fmt::Display for CustomFieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that the system file says of matters.
#[derive(Clone, Debug)]
pub struct Matters {
    /// `clio`.
    pub system: SystemName,
    /// `matters`.
    pub collection_name: CollectionName,
    /// The key field and the types.
    pub collection: Collection,
    /// The bridge's own part.
    pub settings: BridgeSettings,
}

impl Matters {
    /// Reads and checks the system file.
    pub fn read(config: &ConfigFolder) -> Result<Self, SettingsError> {
        let system = SystemName::parse("clio")?;
        let name = CollectionName::parse("matters")?;
        let settings: BridgeSettings = config.bridge_part(&system)?;
        let collections = &config.system(&system)?.collections;
        let mut wrong: Vec<String> = collections
            .keys()
            .filter(|other| **other != name)
            .map(|other| format!("[collections.{other}]: this bridge knows `matters` only; remove the table"))
            .collect();
        let Some(collection) = collections.get(&name).cloned() else {
            wrong.push("[collections.matters] is missing".to_owned());
            return Err(wrong_in_file(config, &system, wrong));
        };
        wrong.extend(problems(&collection, &settings));
        if wrong.is_empty() {
            Ok(Self { system, collection_name: name, collection, settings })
        } else {
            Err(wrong_in_file(config, &system, wrong))
        }
    }

    /// The type of one of our custom fields.
    pub fn custom_field_type(&self, name: &str) -> Option<CustomFieldType> {
        self.settings.custom_fields.get(name).map(|field| field.kind)
    }

    /// What a person should know of one of our fields: on all matters, unless the caller adds the id and key of one.
    pub(crate) fn notice(&self, field: &str, reason: String) -> Parked {
        Parked {
            system: self.system.clone(),
            collection: self.collection_name.clone(),
            id: None,
            key: None,
            field: Some(field.to_owned()),
            reason,
        }
    }

    /// The names of the fields that are custom fields.
    pub fn custom_fields(&self) -> impl Iterator<Item = &str> {
        self.collection.fields.keys().map(String::as_str).filter(|name| *name != DESCRIPTION)
    }
}

/// Problems, told with the file in which they are.
fn wrong_in_file(config: &ConfigFolder, system: &SystemName, problems: Vec<String>) -> SettingsError {
    // The first name in quotes leads to the line.
    let finding = |problem: String| {
        let named = problem.split('"').nth(1).map(|name| format!("\"{name}\""));
        let anchor = named.unwrap_or_else(|| "[bridge]".to_owned());
        config.finding(system, &anchor, problem, String::new())
    };
    ConfigError::Wrong(problems.into_iter().map(finding).collect()).into()
}

fn problems(collection: &Collection, settings: &BridgeSettings) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, decl) in &collection.fields {
        match settings.custom_fields.get(name) {
            _ if name == DESCRIPTION => {
                if decl.kind != FieldType::Text {
                    wrong.push("`description` is text".to_owned());
                }
            }
            None => wrong.push(format!(
                "field \"{name}\" is neither `description` nor a custom field; add [bridge.custom_fields.\"{name}\"]"
            )),
            Some(field) if !field.kind.holds(&decl.kind) => wrong.push(format!(
                "field \"{name}\" is declared {}, which a custom field of type {} does not hold",
                decl.kind, field.kind
            )),
            Some(_) => {}
        }
    }
    if collection.key == DESCRIPTION || collection.field(&collection.key).is_none() {
        wrong.push(format!(
            "the key \"{}\" must be a custom field that is declared in `fields`",
            collection.key
        ));
    }
    for (name, field) in &settings.custom_fields {
        let different: BTreeSet<_> = field.options.iter().collect();
        if different.len() != field.options.len() {
            wrong.push(format!("custom field \"{name}\" names an option twice"));
        }
        if field.kind != CustomFieldType::Picklist && !field.options.is_empty() {
            wrong.push(format!("custom field \"{name}\" has options and is no picklist"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(system: &str) -> Result<Matters, SettingsError> {
        let folder = tempfile::Builder::new().prefix("offices-own-").tempdir().unwrap();
        for name in ["systems", "routes"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("systems/clio.toml"), system).unwrap();
        Matters::read(&ConfigFolder::read(folder.path()).unwrap())
    }

    fn shipped() -> String {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/systems/clio.toml");
        std::fs::read_to_string(file).unwrap()
    }

    #[test]
    fn the_shipped_file_is_taken() {
        let matters = read(&shipped()).unwrap();
        assert_eq!(matters.collection.key, "Civil Warrant");
        assert_eq!(matters.custom_field_type("Court Status"), Some(CustomFieldType::Picklist));
        assert!(matters.custom_fields().all(|name| name != DESCRIPTION));
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        let error = read(&shipped().replace("overlap_seconds", "overlap_secs")).unwrap_err();
        assert!(error.to_string().contains("overlap_secs"), "{error}");
    }

    #[test]
    fn a_field_without_custom_field_and_one_of_another_type_are_named() {
        let text = shipped().replace("\"Location\" = { type = \"text_line\" }", "").replace(
            "\"GIS Object ID\" = { type = \"numeric\" }",
            "\"GIS Object ID\" = { type = \"checkbox\" }",
        );
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("field \"Location\" is neither"), "{error}");
        assert!(error.contains("\"GIS Object ID\" is declared decimal"), "{error}");
        for line in error.lines() {
            assert!(
                line.contains("/offices-own-") && line.contains("/systems/clio.toml:"),
                "the real path: {line}"
            );
        }
    }
}

//! What the service is told, and the table `[bridge]` of `config/systems/clio.toml`.

use std::collections::BTreeMap;
use std::fmt;

use databridge_config::env::{self, ClioEnv, EnvError, KeyEnv};
use databridge_config::{ConfigError, ConfigFolder};
use databridge_model::{FieldType, NameError};
use databridge_seal::{ExposeSecret, KeyError, MasterKey};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::file::ClioFile;

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
    /// How many calls it may cost a day, where that is bounded (`CLIO_CALLS_PER_DAY`).
    pub calls_per_day: Option<u32>,
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
        let ClioEnv { clio_url, clio_calls_per_day: calls_per_day } = clio;
        Ok(Self { clio_url, calls_per_day, key, config })
    }

    /// Checks what the system file says, without the environment.
    pub fn check_file(config: &ConfigFolder) -> Result<(), SettingsError> {
        ClioFile::read(config).map(drop)
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
    /// Our calendar, where calendar entries are declared.
    #[serde(default)]
    pub calendar: Option<CalendarSettings>,
    /// How documents are listed.
    #[serde(default)]
    pub documents: DocumentSettings,
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

/// Our calendar.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSettings {
    /// Its exact name.
    pub name: String,
    /// How long a new entry is, in minutes.
    #[serde(default = "half_an_hour")]
    pub minutes: u32,
}

fn half_an_hour() -> u32 {
    30
}

/// How documents are listed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentSettings {
    /// Whether an incremental sync looks for documents that changed in Clio. Nobody edits there what came from
    /// elsewhere, so it looks for none unless told to.
    pub incremental: bool,
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

    pub(crate) fn holds(self, kind: &FieldType) -> bool {
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

//! System files.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use databridge_model::{CollectionName, FieldType, SystemName};
use serde::Deserialize;

/// `config/systems/<system>.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemFile {
    /// The system's name; the file is named after it.
    pub system: SystemName,
    /// Its collections: all that others than the bridge may read of the file.
    pub collections: BTreeMap<CollectionName, Collection>,
    /// Where the system speaks of local days and hours: an IANA name, `America/Chicago`.
    #[serde(default)]
    pub time_zone: Option<Tz>,
    /// The bridge's own part.
    #[serde(default = "empty_table")]
    pub bridge: toml::Value,
}

fn empty_table() -> toml::Value {
    toml::Value::Table(toml::Table::new())
}

/// One kind of record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// The field whose value is the record's key.
    pub key: String,
    /// The collection of the same system that holds the parents of these records. It is listed first.
    #[serde(default)]
    pub parent: Option<CollectionName>,
    /// The fields by the system's own names.
    pub fields: BTreeMap<String, FieldDecl>,
}

impl Collection {
    /// The declaration of a field.
    pub fn field(&self, name: &str) -> Option<&FieldDecl> {
        self.fields.get(name)
    }

    /// The declared type of a field; text where it is not declared.
    pub fn field_type(&self, name: &str) -> FieldType {
        self.field(name).map_or(FieldType::Text, |decl| decl.kind.clone())
    }
}

/// A field's type, `"text"` or `{ type = "text", max_length = 255 }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "FieldDeclForm")]
pub struct FieldDecl {
    /// The type.
    pub kind: FieldType,
    /// The most characters that the system takes, where there is such a limit.
    pub max_length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a type (bool, int, decimal, text, date, instant, point, ref) or { type, max_length }"
)]
enum FieldDeclForm {
    Short(FieldType),
    Long(LongForm),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongForm {
    #[serde(rename = "type")]
    kind: FieldType,
    max_length: Option<usize>,
}

impl From<FieldDeclForm> for FieldDecl {
    fn from(form: FieldDeclForm) -> Self {
        match form {
            FieldDeclForm::Short(kind) => Self { kind, max_length: None },
            FieldDeclForm::Long(LongForm { kind, max_length }) => Self { kind, max_length },
        }
    }
}

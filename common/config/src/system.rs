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
    /// How many calls a minute it takes, for a plan; the bridge goes by what the system says.
    #[serde(default)]
    pub calls_per_minute: Option<u32>,
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
    /// What pushes to it cost, for a plan.
    #[serde(default)]
    pub cost: Cost,
    /// The fields by the system's own names.
    pub fields: BTreeMap<String, FieldDecl>,
}

/// What pushes to a collection cost, in calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cost {
    /// A create.
    pub create: u64,
    /// An update.
    pub update: u64,
    /// A delete.
    pub delete: u64,
    /// How many pushes go into one call.
    pub batch: u64,
}

impl Default for Cost {
    fn default() -> Self {
        Self { create: 1, update: 1, delete: 1, batch: 1 }
    }
}

impl Cost {
    /// The calls of so many creates, updates and deletes.
    pub fn of(self, creates: u64, updates: u64, deletes: u64) -> u64 {
        let each = [(creates, self.create), (updates, self.update), (deletes, self.delete)];
        let calls =
            each.iter().fold(0_u64, |sum, (count, cost)| sum.saturating_add(count.saturating_mul(*cost)));
        calls.div_ceil(self.batch.max(1))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_that_cost_more_calls_than_can_be_counted_cost_as_many_as_can() {
        let dear = Cost { create: u64::MAX / 2, ..Cost::default() };
        assert_eq!(dear.of(3, 1, 0), u64::MAX);
        assert_eq!(Cost { batch: 200, ..Cost::default() }.of(150, 50, 1), 2);
    }
}

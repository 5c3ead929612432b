//! A collection as the system file declares it.

use databridge_bridge::Shown;
use databridge_config::Collection;
use databridge_model::{CollectionName, FieldType, Fields, Parked, SystemName, Value};

use crate::matters::Matters;

/// A collection with its name.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// `clio`.
    pub(crate) system: SystemName,
    /// `matters`, `notes`, ...
    pub(crate) name: CollectionName,
    /// The key field and the types.
    pub(crate) collection: Collection,
}

impl Declared {
    /// The declared type of a field.
    pub(crate) fn field_type(&self, name: &str) -> FieldType {
        self.collection.field_type(name)
    }

    /// Whether the field is declared.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.collection.field(name).is_some()
    }

    /// What a person should know of the collection, or of one of its fields: on all records, unless the caller adds the
    /// id and key of one.
    pub(crate) fn notice(&self, field: Option<&str>, reason: String) -> Parked {
        Parked {
            system: self.system.clone(),
            collection: self.name.clone(),
            id: None,
            key: None,
            field: field.map(str::to_owned),
            reason,
        }
    }

    /// What is wrong with the declaration of a collection below matters whose key and fields are these, each with the types
    /// that it may be declared with.
    pub(crate) fn problems(&self, key: &str, known: &[(&str, &[FieldType])]) -> Vec<String> {
        let name = &self.name;
        let mut wrong = Vec::new();
        for (field, decl) in &self.collection.fields {
            match known.iter().find(|(known, _)| known == field) {
                Some((_, kinds)) if kinds.contains(&decl.kind) => {}
                Some((_, kinds)) => {
                    let kinds: Vec<_> = kinds.iter().map(ToString::to_string).collect();
                    wrong.push(format!(
                        "field \"{field}\" of {name} is declared {}; declare it {}",
                        decl.kind,
                        kinds.join(" or ")
                    ));
                }
                None => {
                    let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                    wrong.push(format!("{name} have no field \"{field}\"; they have: {}", known.join(", ")));
                }
            }
        }
        if self.collection.key != key || !self.has(key) {
            wrong.push(format!("[collections.{name}]: the key must be \"{key}\", and declared in `fields`"));
        }
        if self.collection.parent.as_ref().is_none_or(|parent| parent.as_str() != Matters::NAME) {
            wrong.push(format!("[collections.{name}]: add parent = \"{}\"", Matters::NAME));
        }
        wrong
    }

    /// A value of a push in canonical form, if the field can take it.
    pub(crate) fn taken(&self, name: &str, value: &Value) -> Result<Value, String> {
        let decl = self.collection.field(name).ok_or_else(|| {
            format!(
                "{} have no field \"{name}\" in config/systems/clio.toml; correct the name or declare it",
                self.name
            )
        })?;
        let value = decl
            .kind
            .canonical(value.clone())
            .map_err(|error| format!("{error}, as \"{name}\" should be"))?;
        if let (Some(most), Value::Text(text)) = (decl.max_length, &value) {
            let length = text.chars().count();
            if length > most {
                return Err(format!(
                    "the text has {length} characters and \"{name}\" takes {most}; shorten it"
                ));
            }
        }
        Ok(value)
    }

    /// Whether a field shows neither what is expected nor what is to be set.
    pub(crate) fn differs(&self, shown: &Shown, set: &Fields, expect: &Fields) -> bool {
        expect.iter().any(|(name, expected)| {
            let kind = self.field_type(name);
            let is_expected = match (shown.fields.get(name), kind.canonical(expected.clone())) {
                (Some(now), Ok(expected)) => *now == expected,
                // What cannot be read or compared is no sign of an edit.
                _ => true,
            };
            !is_expected && !set.get(name).is_some_and(|value| self.shows(shown, name, value, Some(expected)))
        })
    }

    /// Whether a field shows this value, as it is or as Clio makes it by itself. What shows the old value still was not
    /// written, however alike the two are.
    pub(crate) fn shows(&self, shown: &Shown, name: &str, value: &Value, before: Option<&Value>) -> bool {
        let kind = self.field_type(name);
        let (Some(now), Ok(value)) = (shown.fields.get(name), kind.canonical(value.clone())) else {
            return false;
        };
        let before = before.and_then(|before| kind.canonical(before.clone()).ok());
        *now == value || before.is_some_and(|before| *now != before && kind.may_normalise(&value, now))
    }
}

//! Names of systems, collections and routes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name of the project's own making: lower-case letters, digits and `_`, starting with a letter.
///
/// It is safe as a NATS subject token and as a part of a KV key as it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Name(String);

/// The name of an outside system: `gis`, `clio`.
pub type SystemName = Name;
/// The name of one kind of record in a system: `active_litigations`, `matters`.
pub type CollectionName = Name;

/// A text is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0:.100}` is no name: use lower-case letters, digits and `_`, starting with a letter, at most 60")]
pub struct NameError(String);

impl Name {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let starts_well = text.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let consists_well = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if starts_well && consists_well && text.len() <= 60 {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_break_a_subject_is_refused() {
        for bad in ["", "Clio", "a.b", "a b", "1a", ">", "*", "ä"] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Name::parse("active_litigations").unwrap().as_str(), "active_litigations");
    }
}

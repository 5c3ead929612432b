//! The identity of a push request.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Identifies one push: the link it belongs to and the link's counter, as `<link>#<counter>`.
///
/// The counter only grows, so a bridge can tell a late copy of an older push from a new one. A person's push has
/// none of its own; it goes by the sequence that its message got in the stream, as `person#<sequence>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct PushId {
    /// The name of the link, or `person`.
    pub link: String,
    /// Grows by one with each push of the link.
    pub counter: u64,
}

/// What stands in the place of the link for a person's push.
const PERSON: &str = "person";

impl PushId {
    /// The id of a push that a person published at this sequence.
    pub fn of_person(sequence: u64) -> Self {
        Self { link: PERSON.to_owned(), counter: sequence }
    }

    /// Whether a person published it.
    pub fn is_of_person(&self) -> bool {
        self.link == PERSON
    }
}

impl fmt::Display for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.link, self.counter)
    }
}

impl TryFrom<String> for PushId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mend = || format!("`{text}` is no push id: expected <link>#<number>");
        let (link, counter) = text.rsplit_once('#').ok_or_else(mend)?;
        let counter = counter.parse().map_err(|_| mend())?;
        Ok(Self { link: link.to_owned(), counter })
    }
}

impl From<PushId> for String {
    fn from(id: PushId) -> Self {
        id.to_string()
    }
}

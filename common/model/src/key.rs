//! The match key of a record, and how it stands in subjects and KV keys.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest encoded key that stands in a subject as it is, in bytes. A longer one is hashed.
const LONGEST_TOKEN: usize = 120;

/// The value of a collection's key field: trimmed, case kept, never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Key(String);

impl Key {
    /// Trims the text; `None` if nothing is left.
    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| Self(trimmed.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as one subject token.
    pub fn token(&self) -> KeyToken {
        let encoded = encode(&self.0);
        if encoded.len() > LONGEST_TOKEN {
            KeyToken(format!("=h{}", hex::encode(Sha256::digest(self.0.as_bytes()))))
        } else {
            KeyToken(encoded)
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a key cannot be empty")
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// A key in a form that is one NATS subject token and a legal part of a KV key.
///
/// Bytes outside `[A-Za-z0-9_-]` are `=HH`; a key longer than 120 bytes so encoded is `=h` and its sha256; a
/// record without a key is `=i` and its encoded id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyToken(String);

impl KeyToken {
    /// The token of a record: of its key, or, where it has none, of its id.
    pub fn of(key: Option<&Key>, id: &str) -> Self {
        key.map_or_else(|| Self::of_id(id), Key::token)
    }

    /// The token of a record that has no key.
    fn of_id(id: &str) -> Self {
        let encoded = encode(id);
        if encoded.len() + 2 > LONGEST_TOKEN {
            Self(format!("=ih{}", hex::encode(Sha256::digest(id.as_bytes()))))
        } else if is_hash(&encoded) {
            // It would be taken for that of a long id.
            Self(format!("=i{}", encoded.replacen('h', "=68", 1)))
        } else {
            Self(format!("=i{encoded}"))
        }
    }

    /// Takes a token as it was found in a subject.
    pub fn from_subject(token: &str) -> Self {
        Self(token.to_owned())
    }

    /// The id of a record without a key; `None` for a key's token, and where a long id is hashed.
    pub fn id(&self) -> Option<String> {
        let encoded = self.0.strip_prefix("=i")?;
        if is_hash(encoded) { None } else { decode(encoded) }
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether it is `h` and a sha256, as it stands for what is too long.
fn is_hash(encoded: &str) -> bool {
    encoded.strip_prefix('h').is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            out.push(char::from(byte));
        } else {
            out.push('=');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

/// The text that [`encode`] made this of.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    let mut parts = encoded.split('=');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.extend(hex::decode(digits).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_blanks_and_slashes_is_one_token() {
        assert_eq!(Key::parse(" E 12/3 ").unwrap().token().as_str(), "E=2012=2F3");
    }

    #[test]
    fn a_key_of_blanks_is_no_key() {
        assert_eq!(Key::parse(" \t "), None);
    }

    #[test]
    fn a_long_key_is_hashed_over_its_raw_bytes() {
        let token = Key::parse(&"ß".repeat(200)).unwrap().token();
        assert_eq!(token.as_str().len(), 66);
        assert!(token.as_str().starts_with("=h"));
    }

    #[test]
    fn a_record_without_key_goes_by_its_id() {
        assert_eq!(KeyToken::of(None, "17").as_str(), "=i17");
    }

    #[test]
    fn the_id_of_a_record_without_key_can_be_read_back() {
        for id in ["17/3", "a=b", "", "ß x"] {
            assert_eq!(KeyToken::of(None, id).id().as_deref(), Some(id));
        }
        assert_eq!(KeyToken::of(None, &"9".repeat(200)).id(), None, "a hash tells no id");
        assert_eq!(Key::parse("E-1").unwrap().token().id(), None, "a key is no id");
        assert_eq!(KeyToken::from_subject("=i1=2").id(), None);
    }

    #[test]
    fn an_id_that_looks_like_the_hash_of_a_long_one_is_another() {
        let long = "9".repeat(200);
        let alike = format!("h{}", hex::encode(Sha256::digest(&long)));
        assert_ne!(KeyToken::of(None, &long), KeyToken::of(None, &alike));
        assert_eq!(KeyToken::of(None, &alike).id(), Some(alike));
    }

    #[test]
    fn different_keys_have_different_tokens() {
        let tokens: Vec<_> =
            ["=h", "=i1", "a=b", "a b", "A", "a"].iter().map(|k| Key::parse(k).unwrap().token()).collect();
        let mut unique = tokens.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), tokens.len());
        assert_ne!(Key::parse("=i1").unwrap().token(), KeyToken::of_id("1"));
    }
}

//! The text form of something sealed: `v1.<key id>.<base64url of nonce and ciphertext>`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize};

const VERSION: &str = "v1";
const KEY_ID_DIGITS: usize = 8;
/// Length of an XChaCha20-Poly1305 nonce, in bytes.
pub(crate) const NONCE_BYTES: usize = 24;
/// Length of the Poly1305 tag, in bytes.
const TAG_BYTES: usize = 16;

/// Which key a text was sealed with: 8 lower-case hexadecimal digits that tell nothing about the key itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    pub(crate) fn from_digest(digest: &[u8]) -> Self {
        Self(hex::encode(digest).chars().take(KEY_ID_DIGITS).collect())
    }

    /// The id's digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let valid =
            text.len() == KEY_ID_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A text that was never made by [`crate::SealingKey::seal`], or was cut on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedFormatError {
    /// The text does not begin with `v1.`: it is no sealed text, or a later form of it.
    #[error("not a sealed text of version v1")]
    Version,
    /// The key id is not 8 hexadecimal digits.
    #[error("a sealed text without a readable key id")]
    KeyId,
    /// The rest is not base64url, or is too short to hold a nonce and a tag.
    #[error("a sealed text whose body is cut or is not base64url")]
    Body,
}

/// An encrypted and authenticated text, fit for JSON, KV values, cookies and URLs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed {
    key_id: KeyId,
    /// The nonce, then the ciphertext with its tag at the end; never shorter than a nonce and a tag.
    body: Vec<u8>,
}

impl Sealed {
    pub(crate) fn new(key_id: KeyId, nonce: [u8; NONCE_BYTES], ciphertext: &[u8]) -> Self {
        Self { key_id, body: [nonce.as_slice(), ciphertext].concat() }
    }

    /// The key that opens this text.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    pub(crate) fn nonce_and_ciphertext(&self) -> Option<(&[u8; NONCE_BYTES], &[u8])> {
        self.body.split_first_chunk()
    }

    /// What is authenticated in every sealed text beside the caller's own data: its version and key id. Of fixed
    /// length, so that nothing can move between it and what the caller adds.
    pub(crate) fn header(key_id: &KeyId) -> String {
        format!("{VERSION}.{key_id}.")
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::header(&self.key_id))?;
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.body))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(under {}, {} bytes)", self.key_id, self.body.len())
    }
}

impl FromStr for Sealed {
    type Err = SealedFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.'));
        let (key_id, body) =
            rest.ok_or(SealedFormatError::Version)?.split_once('.').ok_or(SealedFormatError::KeyId)?;
        let key_id = KeyId::parse(key_id).ok_or(SealedFormatError::KeyId)?;
        match URL_SAFE_NO_PAD.decode(body) {
            Ok(body) if body.len() >= NONCE_BYTES + TAG_BYTES => Ok(Self { key_id, body }),
            _ => Err(SealedFormatError::Body),
        }
    }
}

impl Serialize for Sealed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

//! A purpose's current key together with the keys that it had before.

use secrecy::{SecretSlice, SecretString};

use crate::master_key::MasterKey;
use crate::sealed::{KeyId, Sealed};
use crate::sealing_key::{OpenError, SealError, SealingKey};

/// Seals with the current key and opens with any that it holds, so that a master key can be replaced while texts
/// sealed under the old one are still about.
#[derive(Debug)]
pub struct KeyRing {
    current: SealingKey,
    previous: Vec<SealingKey>,
}

impl KeyRing {
    /// The ring of one purpose, from the master key in use and those in use before it.
    pub fn derive<'a>(
        current: &MasterKey,
        previous: impl IntoIterator<Item = &'a MasterKey>,
        purpose: &str,
    ) -> Self {
        let previous = previous.into_iter().map(|master| master.derive(purpose)).collect();
        Self { current: current.derive(purpose), previous }
    }

    /// Encrypts with the current key; see [`SealingKey::seal`].
    pub fn seal(&self, plaintext: &[u8], associated: &[u8]) -> Result<Sealed, SealError> {
        self.current.seal(plaintext, associated)
    }

    /// Decrypts with the key that the text names; see [`SealingKey::open`].
    pub fn open(&self, sealed: &Sealed, associated: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        self.key_of(sealed)?.open(sealed, associated)
    }

    /// Like [`KeyRing::open`], for a content that is text.
    pub fn open_text(&self, sealed: &Sealed, associated: &[u8]) -> Result<SecretString, OpenError> {
        self.key_of(sealed)?.open_text(sealed, associated)
    }

    /// Whether the text is under another key than the current one and should be sealed anew.
    pub fn is_outdated(&self, sealed: &Sealed) -> bool {
        sealed.key_id() != self.current.id()
    }

    fn key_of(&self, sealed: &Sealed) -> Result<&SealingKey, OpenError> {
        self.keys().find(|key| key.id() == sealed.key_id()).ok_or_else(|| OpenError::UnknownKey {
            wanted: sealed.key_id().clone(),
            held: self.keys().map(|key| key.id().clone()).collect::<Vec<KeyId>>(),
        })
    }

    fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

//! Encryption and decryption under the key of one purpose.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::TryRngCore as _;
use rand::rand_core::OsError;
use rand::rngs::OsRng;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretBox, SecretSlice, SecretString};

use crate::master_key::KEY_BYTES;
use crate::sealed::{KeyId, NONCE_BYTES, Sealed};

/// Why nothing could be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The operating system gave no random bytes for the nonce.
    #[error("the operating system gave no random bytes")]
    NoRandomness(#[source] OsError),
    /// The plaintext is longer than the cipher's limit of some 256 GB.
    #[error("too long to be sealed")]
    TooLong,
}

/// Why a sealed text could not be opened. Trying again never helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The text names a key that is not here.
    #[error(
        "sealed under key {wanted}, but the key here is {}; DATABRIDGE_KEY has changed since, or the text was made for \
         another purpose",
        list(.held)
    )]
    UnknownKey {
        /// The key that the text needs.
        wanted: KeyId,
        /// The keys that were tried, the current one first.
        held: Vec<KeyId>,
    },
    /// The text or the associated data is not what was sealed.
    #[error("sealed under key {key_id}, but changed since, or moved from where it belongs")]
    Altered {
        /// The key that the text names.
        key_id: KeyId,
    },
    /// The content is authentic but is no UTF-8 text.
    #[error("what was sealed under key {key_id} is not a text")]
    NotText {
        /// The key that the text names.
        key_id: KeyId,
    },
}

fn list(ids: &[KeyId]) -> String {
    ids.iter().map(KeyId::as_str).collect::<Vec<_>>().join(" or ")
}

/// The key of one purpose, made by [`crate::MasterKey::derive`]; wiped from memory when dropped.
pub struct SealingKey {
    id: KeyId,
    secret: SecretBox<[u8; KEY_BYTES]>,
}

impl SealingKey {
    pub(crate) fn new(id: KeyId, secret: SecretBox<[u8; KEY_BYTES]>) -> Self {
        Self { id, secret }
    }

    /// The id that texts sealed with this key carry.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Encrypts `plaintext`. `associated` is not part of the result but must be the same when it is opened: give it
    /// what says where the text belongs (a KV key, a system's name), so that it cannot be moved elsewhere.
    pub fn seal(&self, plaintext: &[u8], associated: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        OsRng.try_fill_bytes(&mut nonce).map_err(SealError::NoRandomness)?;
        let mut buffer = plaintext.to_vec();
        self.cipher()
            .encrypt_in_place(&XNonce::from(nonce), &self.authenticated(associated), &mut buffer)
            .map_err(|_| SealError::TooLong)?;
        Ok(Sealed::new(self.id.clone(), nonce, &buffer))
    }

    /// Decrypts what [`SealingKey::seal`] made with this key and the same `associated`.
    pub fn open(&self, sealed: &Sealed, associated: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        self.open_bytes(sealed, associated)
            .map(|plain| SecretSlice::from(Box::<[u8]>::from(plain.as_slice())))
    }

    /// Like [`SealingKey::open`], for a content that is text.
    pub fn open_text(&self, sealed: &Sealed, associated: &[u8]) -> Result<SecretString, OpenError> {
        let plain = self.open_bytes(sealed, associated)?;
        std::str::from_utf8(&plain)
            .map(SecretString::from)
            .map_err(|_| OpenError::NotText { key_id: sealed.key_id().clone() })
    }

    fn open_bytes(&self, sealed: &Sealed, associated: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if sealed.key_id() != &self.id {
            return Err(OpenError::UnknownKey {
                wanted: sealed.key_id().clone(),
                held: vec![self.id.clone()],
            });
        }
        let altered = || OpenError::Altered { key_id: self.id.clone() };
        let (nonce, ciphertext) = sealed.nonce_and_ciphertext().ok_or_else(altered)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        self.cipher()
            .decrypt_in_place(&XNonce::from(*nonce), &self.authenticated(associated), &mut *buffer)
            .map_err(|_| altered())?;
        Ok(buffer)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.secret.expose_secret()))
    }

    fn authenticated(&self, associated: &[u8]) -> Vec<u8> {
        [Sealed::header(&self.id).as_bytes(), associated].concat()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

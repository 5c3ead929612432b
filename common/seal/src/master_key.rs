//! The operator's key and how purposes get their own keys from it.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hkdf::Hkdf;
use rand::TryCryptoRng;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox, SecretString};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use crate::sealed::KeyId;
use crate::sealing_key::SealingKey;

/// Length of the master key and of every derived key, in bytes.
pub(crate) const KEY_BYTES: usize = 32;

const SALT: &[u8] = b"databridge-seal v1";

/// Why a text is no master key. No variant holds any part of that text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is empty or only white space.
    #[error("DATABRIDGE_KEY is empty; make a key with `databridge key --new` and keep it somewhere safe")]
    Empty,
    /// The text is neither 64 hexadecimal digits nor base64 of 32 bytes.
    #[error(
        "DATABRIDGE_KEY is not a key: it must be 64 hexadecimal digits or 32 bytes in base64, and it has {characters} \
         characters of another form; make a key with `databridge key --new`"
    )]
    Form {
        /// Length of the refused text, in characters.
        characters: usize,
    },
}

/// The 32-byte key from which the key of each purpose is derived; wiped from memory when dropped.
pub struct MasterKey(SecretBox<[u8; KEY_BYTES]>);

impl MasterKey {
    /// Reads a key as an operator writes it: 64 hexadecimal digits, or 32 bytes in base64 (either alphabet, with or
    /// without padding). White space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let mut key = SecretBox::new(Box::new([0_u8; KEY_BYTES]));
        if hex::decode_to_slice(text, key.expose_secret_mut()).is_ok() || decode_base64(text, &mut key) {
            Ok(Self(key))
        } else {
            Err(KeyError::Form { characters: text.chars().count() })
        }
    }

    /// Makes a new key and gives it in the form that [`MasterKey::parse`] reads (64 hexadecimal digits).
    ///
    /// Fails only when `rng` does; with the operating system's generator that means there is no randomness to be had.
    pub fn generate<R: TryCryptoRng>(rng: &mut R) -> Result<SecretString, R::Error> {
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        rng.try_fill_bytes(key.as_mut_slice())?;
        Ok(SecretString::from(hex::encode(key.as_slice())))
    }

    /// The key for one purpose, such as `vault`, `cookie` or `token:clio`. The same master key and purpose always give
    /// the same key; keys of different purposes tell nothing about each other.
    pub fn derive(&self, purpose: &str) -> SealingKey {
        let mut secret = SecretBox::new(Box::new([0_u8; KEY_BYTES]));
        self.expand("seal:", purpose, secret.expose_secret_mut());

        // The id comes from a derivation of its own and is hashed and cut besides: it tells keys apart, no more.
        let mut label = Zeroizing::new([0_u8; KEY_BYTES]);
        self.expand("key id:", purpose, &mut label);
        let id = KeyId::from_digest(&Sha256::digest(label.as_slice()));
        SealingKey::new(id, secret)
    }

    #[expect(clippy::expect_used, reason = "HKDF-SHA256 refuses only outputs of more than 8,160 bytes")]
    fn expand(&self, kind: &str, purpose: &str, output: &mut [u8; KEY_BYTES]) {
        Hkdf::<Sha256>::new(Some(SALT), self.0.expose_secret())
            .expand_multi_info(&[kind.as_bytes(), purpose.as_bytes()], output)
            .expect("32 bytes are within the limit of HKDF-SHA256");
    }
}

fn decode_base64(text: &str, key: &mut SecretBox<[u8; KEY_BYTES]>) -> bool {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE].iter().any(|alphabet| {
        let decoded = GeneralPurpose::new(alphabet, config).decode(text).map(Zeroizing::new);
        match decoded {
            Ok(bytes) if bytes.len() == KEY_BYTES => {
                key.expose_secret_mut().copy_from_slice(&bytes);
                true
            }
            _ => false,
        }
    })
}

impl Clone for MasterKey {
    fn clone(&self) -> Self {
        Self(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| {
            key.copy_from_slice(self.0.expose_secret());
        }))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(secret)")
    }
}

impl<'de> Deserialize<'de> for MasterKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SecretString::deserialize(deserializer)?;
        Self::parse(text.expose_secret()).map_err(serde::de::Error::custom)
    }
}

//! Sealing of secrets (OAuth tokens, cookies) under the one key that an operator keeps: `DATABRIDGE_KEY`.
//!
//! A [`MasterKey`] never encrypts anything itself. It derives one [`SealingKey`] for each purpose with HKDF-SHA256
//! (RFC 5869), so that a text sealed for one purpose cannot be opened for another. A sealing key encrypts with
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under a fresh random nonce and yields a [`Sealed`] text that names
//! the key it needs. A [`KeyRing`] holds the current key and the previous ones while a change of key is under way.
//!
//! ```
//! use databridge_seal::{ExposeSecret, MasterKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let master = MasterKey::parse("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")?;
//! let vault = master.derive("vault");
//! let sealed = vault.seal(b"a refresh token", b"clio")?;
//! assert_eq!(vault.open_text(&sealed, b"clio")?.expose_secret(), "a refresh token");
//! assert!(vault.open(&sealed, b"gis").is_err());
//! # Ok(())
//! # }
//! ```

mod key_ring;
mod master_key;
mod sealed;
mod sealing_key;

pub use key_ring::KeyRing;
pub use master_key::{KeyError, MasterKey};
pub use sealed::{KeyId, Sealed, SealedFormatError};
pub use sealing_key::{OpenError, SealError, SealingKey};
pub use secrecy::{ExposeSecret, SecretSlice, SecretString};

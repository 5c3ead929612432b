//! Codes that cannot be guessed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub(crate) struct NoRandomness;

/// A new code of 32 random bytes, fit for a URL.
pub(crate) fn new() -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a code: its SHA-256, in lower-case hexadecimal digits.
pub(crate) fn digest(code: &str) -> String {
    hex::encode(Sha256::digest(code))
}

/// Whether two codes are the same, in a time that tells nothing about where they differ: their digests are compared,
/// and nobody can choose how far two of those agree.
pub(crate) fn are_same(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_do_not_repeat_and_need_no_encoding_in_a_url() {
        let (one, other) = (new().unwrap(), new().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{one}");
    }

    #[test]
    fn only_equal_codes_are_the_same() {
        assert!(are_same("a code", "a code"));
        assert!(!are_same("a code", "a cod"));
        assert!(!are_same("a code", "A code"));
        assert!(!are_same("", "a code"));
    }
}

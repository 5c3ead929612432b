//! Asking the auth-service for a token. Nothing of it is stored by a stream.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The answer to a request on `auth.token.<system>`. Never stored by a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenReply {
    /// A token.
    Token {
        /// The access token, sealed under the key derived from `DATABRIDGE_KEY` for the purpose `token:<system>`,
        /// with the subject of the request as associated data.
        sealed: String,
        /// When it ends.
        expires_at: DateTime<Utc>,
    },
    /// There is none to give.
    None {
        /// Why, and what a person should do.
        reason: String,
    },
}

/// The body of a request on `auth.token.<system>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenRequest {
    /// The system refused a token that should be valid still; its [`token_fingerprint`], so that a token got
    /// meanwhile is not refreshed once more.
    pub refused: Option<String>,
}

/// Names a token without telling it: the first 8 hex digits of its sha256.
pub fn token_fingerprint(token: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(token));
    digits.truncate(8);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_sha256() {
        assert_eq!(token_fingerprint("abc"), "ba7816bf");
    }
}

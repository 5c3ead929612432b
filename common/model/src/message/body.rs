//! Reading a message's body.

use serde::de::DeserializeOwned;

/// A message's body is not what its subject promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be read: {why}")]
pub struct BodyError {
    /// What was expected, `a sync request`.
    pub what: &'static str,
    /// Where and why it fails; names the key.
    pub why: String,
}

/// Reads a body; an error names the offending key. Bytes that are blank are read as `{}`.
pub fn decode<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, BodyError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}".as_slice() } else { body };
    serde_json::from_slice(body).map_err(|error| BodyError { what, why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fields;

    #[test]
    fn a_value_that_is_no_field_value_says_what_would_be() {
        let error = decode::<Fields>("fields", br#"{"a":1.5}"#).unwrap_err();
        assert!(error.to_string().contains("decimals are text"), "{error}");
    }
}

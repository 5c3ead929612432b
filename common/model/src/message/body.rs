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

/// The most characters of an error that are told of its beginning, and of its end, which says where it is. It may quote
/// all of a body, and must fit into a dead letter beside what came of each attempt.
const TOLD: (usize, usize) = (500, 60);

/// Reads a body; an error names the offending key. Bytes that are blank are read as `{}`; a list is refused.
pub fn decode<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, BodyError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}".as_slice() } else { body };
    if body.trim_ascii_start().starts_with(b"[") {
        // serde would read it as an object's values in their order, and an empty one as an object of defaults.
        return Err(BodyError { what, why: "it is a list, and no message is one".to_owned() });
    }
    serde_json::from_slice(body).map_err(|error| BodyError { what, why: shortened(&error.to_string()) })
}

fn shortened(error: &str) -> String {
    let left_out = error.chars().count().saturating_sub(TOLD.0 + TOLD.1);
    if left_out == 0 {
        return error.to_owned();
    }
    let (begin, end) = (error.chars().take(TOLD.0), error.chars().skip(TOLD.0 + left_out));
    begin.chain(" … ".chars()).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fields, SyncRequest};

    #[test]
    fn an_error_is_short_however_much_of_the_body_it_quotes_and_says_where_it_is() {
        let body = format!(r#"{{"{}":"full"}}"#, "mode".repeat(100_000));
        let error = decode::<SyncRequest>("a sync request", body.as_bytes()).unwrap_err().to_string();
        assert!(error.chars().count() < 700, "{} characters", error.chars().count());
        assert!(
            error.contains("unknown field `modemode") && error.ends_with("at line 1 column 400003"),
            "{error}"
        );
    }

    #[test]
    fn a_list_is_not_read_as_an_object_of_defaults() {
        for list in ["[]", " [\"full\"]"] {
            let error = decode::<SyncRequest>("a sync request", list.as_bytes()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a sync request cannot be read: it is a list, and no message is one"
            );
        }
    }

    #[test]
    fn a_value_that_is_no_field_value_says_what_would_be() {
        let error = decode::<Fields>("fields", br#"{"a":1.5}"#).unwrap_err();
        assert!(error.to_string().contains("decimals are text"), "{error}");
    }
}

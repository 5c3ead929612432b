//! Helpers for the filters of lists.

use super::refusal::Refusal;

/// Whether a text contains another, without regard to case: Clio's "wildcard search".
pub(crate) fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Whether two names are the same without regard to case, so that a name filter may find several.
pub(crate) fn same_name(name: &str, asked: Option<&str>) -> bool {
    asked.is_none_or(|asked| name.to_lowercase() == asked.to_lowercase())
}

/// A word that must be one of a few.
pub(crate) fn one_of<'a>(
    name: &str,
    value: Option<&'a str>,
    allowed: &[&str],
) -> Result<Option<&'a str>, Refusal> {
    match value {
        Some(value) if !allowed.contains(&value) => {
            Err(Refusal::bad_request(format!("{value} is not a valid {name}")))
        }
        value => Ok(value),
    }
}

//! The part of SQL-92 that a server with `useStandardizedQueries` takes in `where`.
//!
//! Fields are resolved and types are checked while parsing, so that a condition which has been parsed can only be
//! true, false or unknown for a row.

mod condition;
mod lexer;
mod literal;
mod parser;
#[cfg(test)]
mod tests;

pub(super) use condition::Condition;
pub(super) use parser::{Schema, parse};

/// Why a `where` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SqlError {
    /// It names a field that the layer does not have.
    #[error("Invalid field: {0}")]
    UnknownField(String),
    /// It is no SQL-92, or compares what cannot be compared.
    #[error("{0}")]
    Invalid(String),
}

impl SqlError {
    fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }
}

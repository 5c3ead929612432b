//! How Clio says no.

use serde_json::{Value, json};

/// An error answer: a status and the body `{"error": {"type", "message"}}`.
///
/// Clients are told to switch on the status: most of the type words are in no source, and those here are the
/// sandbox's own unless their constructor says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    /// The word in `error.type`.
    pub(super) kind: &'static str,
    /// The text in `error.message`.
    pub(super) message: String,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    /// 400 for a field that does not exist or braces too deep (documented word).
    pub(super) fn fields(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidFields", message)
    }

    /// 400 for a query or body that cannot be read.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 403 for what this user may not do (documented words).
    pub(super) fn forbidden() -> Self {
        Self::new(403, "ForbiddenError", "User is forbidden from taking that action")
    }

    /// 404 for a record or path that is not there.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, "RecordNotFound", format!("{what} was not found"))
    }

    /// 409 for a document that cannot be put in the trash now.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "Conflict", message)
    }

    /// 422 for an upload that is not there to be marked as done (documented word; the status is in no source).
    pub(super) fn upload_not_found() -> Self {
        let message = "The file is not uploaded, or is marked as fully uploaded already";
        Self::new(422, "UploadNotFoundError", message)
    }

    /// 410 for a version that is not served.
    pub(super) fn version() -> Self {
        Self::new(410, "Gone", "The requested API version is invalid or no longer supported")
    }

    /// 412 for an etag that is no longer the record's.
    pub(super) fn stale() -> Self {
        Self::new(412, "PreconditionFailed", "The record was changed since the given etag")
    }

    /// 422 for paging out of range (documented word).
    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::new(422, "ArgumentError", message)
    }

    /// 422 for a record that Clio cannot take.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(422, "RecordInvalid", message)
    }

    /// 429 (the word is reported from the field).
    pub(super) fn limited(retry_after: i64) -> Self {
        Self::new(429, "RateLimited", format!("Too many requests. Retry in {retry_after} seconds."))
    }

    /// The body.
    pub(super) fn body(&self) -> Value {
        json!({"error": {"type": self.kind, "message": self.message}})
    }
}

//! How the storage says no: in S3's XML.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};

/// An error answer of S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageRefusal {
    status: u16,
    code: &'static str,
    message: String,
    details: String,
}

impl StorageRefusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: String::new() }
    }

    /// For an address that has ended.
    pub(super) fn ended(ended: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let details = format!("<Expires>{}</Expires><ServerTime>{}</ServerTime>", text(ended), text(now));
        Self { details, ..Self::new(403, "AccessDenied", "Request has expired") }
    }

    /// For a request without a signature.
    pub(super) fn denied() -> Self {
        Self::new(403, "AccessDenied", "Access Denied")
    }

    /// For a signature that is not of this verb, address and headers.
    pub(super) fn signature() -> Self {
        let message = "The request signature we calculated does not match the signature you provided. \
            Check your key and signing method.";
        Self::new(403, "SignatureDoesNotMatch", message)
    }

    /// For a request that brings a token as well.
    pub(super) fn two_authorizations() -> Self {
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query \
            string parameter or the Authorization header should be specified";
        Self::new(400, "InvalidArgument", message)
    }

    /// For an upload that does not tell its length.
    pub(super) fn no_length() -> Self {
        Self::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    }

    /// For an upload sent in chunks.
    pub(super) fn chunked() -> Self {
        let message =
            "A header you provided implies functionality that is not implemented: Transfer-Encoding";
        Self::new(501, "NotImplemented", message)
    }

    /// For an upload that broke off.
    pub(super) fn incomplete() -> Self {
        let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
        Self::new(400, "IncompleteBody", message)
    }

    /// For an upload beyond the limit.
    pub(super) fn too_large() -> Self {
        let message = "Your proposed upload exceeds the maximum allowed object size.";
        Self::new(400, "EntityTooLarge", message)
    }

    /// For bytes that are not there.
    pub(super) fn no_such_key() -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.")
    }

    /// For a verb that is not served.
    pub(super) fn method() -> Self {
        Self::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    }

    /// For a trouble of the sandbox's own.
    pub(super) fn internal(error: &std::io::Error) -> Self {
        Self::new(500, "InternalError", format!("We encountered an internal error: {error}"))
    }
}

impl IntoResponse for StorageRefusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{}</Error>",
            self.code, self.message, self.details
        );
        (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
    }
}

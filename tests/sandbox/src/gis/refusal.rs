//! The two ways in which an ArcGIS server says no: a whole request, and one item of an edit.

use serde_json::{Value, json};

/// A request that the server refuses as a whole. It is answered with HTTP 200 and an `error` object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    message: String,
    message_code: Option<&'static str>,
    details: Vec<String>,
}

impl Refusal {
    fn new(code: u16, message: &str, details: Vec<String>) -> Self {
        Self { code, message: message.to_owned(), message_code: None, details }
    }

    /// A query that cannot be understood.
    pub(super) fn query(detail: impl Into<String>) -> Self {
        Self::new(400, "Cannot perform query. Invalid query parameters.", vec![detail.into()])
    }

    /// A field name that the layer does not have, in any part of a query.
    pub(super) fn unknown_field(name: &str) -> Self {
        Self::query(format!("'Invalid field: {name}' parameter is invalid"))
    }

    /// An edit or another operation whose parameters cannot be read.
    pub(super) fn input(detail: impl Into<String>) -> Self {
        Self::new(400, "Invalid or missing input parameters.", vec![detail.into()])
    }

    /// Edits taken back because one of them failed: one line for each feature sent, none of which says why.
    pub(super) fn rolled_back(features: usize) -> Self {
        let details = std::iter::repeat_n("Operation rolled back.".to_owned(), features).collect();
        Self::new(400, "Unable to complete operation.", details)
    }

    /// Something that failed without a reason told, such as a row or an attachment that is not there.
    pub(super) fn not_completed() -> Self {
        Self::new(400, "Unable to complete operation.", Vec::new())
    }

    /// A layer, table or operation that the service does not have.
    pub(super) fn invalid_url() -> Self {
        Self::new(400, "Invalid URL", vec!["Invalid URL".to_owned()])
    }

    /// A service that the server does not have.
    pub(super) fn service_not_found(service: &str) -> Self {
        Self::new(404, &format!("Service {service} not found"), Vec::new())
    }

    /// No token where one is needed.
    pub(super) fn token_required() -> Self {
        let message_code = Some("GWM_0003");
        Self { message_code, ..Self::new(499, "Token Required", vec!["Token Required".to_owned()]) }
    }

    /// A token that is unknown, ended, or bound to another referer.
    pub(super) fn invalid_token() -> Self {
        Self::new(498, "Invalid token.", Vec::new())
    }

    /// A request for a token that is not granted.
    pub(super) fn no_token(detail: &str) -> Self {
        Self::new(400, "Unable to generate token.", vec![detail.to_owned()])
    }

    /// An output format outside `supportedQueryFormats`.
    pub(super) fn format(name: &str) -> Self {
        Self::new(400, "Output format not supported.", vec![format!("'{name}' is not a supported format")])
    }

    /// The body that tells it.
    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message, "details": self.details });
        if let (Some(code), Some(error)) = (self.message_code, error.as_object_mut()) {
            error.insert("messageCode".to_owned(), json!(code));
        }
        json!({ "error": error })
    }
}

/// Why one item of an edit failed (Esri: "Edit error codes").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ItemError {
    pub(super) code: u16,
    pub(super) description: String,
}

impl ItemError {
    fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }

    /// 1001: null in a field that must have a value.
    pub(super) fn not_nullable(field: &str) -> Self {
        Self::new(1001, format!("Field {field} is not nullable."))
    }

    /// 1006: text that looks like HTML.
    pub(super) fn untrusted_html(field: &str) -> Self {
        Self::new(1006, format!("Field {field} has untrusted HTML content."))
    }

    /// 1009: an attachment that is not there to be replaced.
    pub(super) fn attachment_update() -> Self {
        Self::new(1009, "Attachment update failed.")
    }

    /// 1010: an attachment that is not there to be deleted.
    pub(super) fn attachment_delete() -> Self {
        Self::new(1010, "Attachment delete failed.")
    }

    /// 1011: no row has this id.
    pub(super) fn missing_object() -> Self {
        Self::new(1011, "Object is missing.")
    }

    /// 1015: a geometry that cannot be read.
    pub(super) fn geometry() -> Self {
        Self::new(1015, "Geometry is not set.")
    }

    /// 1016: a value of a wrong type, or too long.
    pub(super) fn value(field: &str) -> Self {
        Self::new(1016, format!("Setting of Value for field {field} failed."))
    }

    /// 1020: an edit by global id without one.
    pub(super) fn missing_global_id() -> Self {
        Self::new(1020, "GlobalID is missing.")
    }

    /// 1021: an edit by global id with an empty or unreadable one.
    pub(super) fn empty_global_id() -> Self {
        Self::new(1021, "GlobalID is empty.")
    }

    /// 1022: a value that another row has already, in a field with a unique index.
    pub(super) fn not_unique(field: &str) -> Self {
        Self::new(1022, format!("Unique constraint violated by field {field}."))
    }

    /// 1023: a field that cannot be edited.
    pub(super) fn not_editable(field: &str) -> Self {
        Self::new(1023, format!("Field {field} is not editable."))
    }

    pub(super) fn body(&self) -> Value {
        json!({ "code": self.code, "description": self.description })
    }
}

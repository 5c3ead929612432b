//! Turning templates into answers.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};

/// The page with this status.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "A page could not be written.");
            (StatusCode::INTERNAL_SERVER_ERROR, "This page could not be written.").into_response()
        }
    }
}

/// A time as people read it; the zone is named.
pub(crate) fn in_words(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

//! How Clio says no, and what class of failure that is ("Errors").
//!
//! The class goes by the HTTP status: of most words in `error.type` no source tells.

use std::time::Duration;

use databridge_http::{Answer, CallError, ErrorClass};
use serde::Deserialize;

use crate::api;

/// What kind of call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It changes nothing.
    Read,
    /// It changes something: an answer that tells of a fault in between leaves the effect unknown.
    Write,
}

/// Both shapes of an error body: nested in most, flat for a token that is not valid.
#[derive(Deserialize)]
struct Body {
    error: Error,
    error_description: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Error {
    Nested {
        #[serde(default, rename = "type")]
        kind: String,
        message: String,
    },
    Flat(String),
}

/// What Clio says in an error body, or how the body begins.
fn said(answer: &Answer) -> String {
    match serde_json::from_slice::<Body>(&answer.body) {
        Ok(Body { error: Error::Nested { message, .. }, .. }) => message,
        Ok(Body { error: Error::Flat(word), error_description }) => error_description.unwrap_or(word),
        Err(_) if answer.body.is_empty() => "no reason given".to_owned(),
        Err(_) => format!("its answer begins `{}`", answer.beginning()),
    }
}

/// Whether the bytes of a document are said not to be in the storage (yet).
fn lacks_bytes(answer: &Answer) -> bool {
    match serde_json::from_slice::<Body>(&answer.body) {
        Ok(Body { error: Error::Nested { kind, .. }, .. }) => api::UPLOAD_ERRORS.contains(&kind.as_str()),
        _ => false,
    }
}

/// Whether the path ends in the id of a record.
fn names_a_record(call: &str) -> bool {
    call.rsplit_once('/').is_some_and(|(_, last)| last.bytes().all(|b| b.is_ascii_digit()))
}

/// The error of an answer that is no success.
pub(crate) fn of(answer: &Answer, kind: Kind) -> CallError {
    let (status, said) = (answer.status.as_u16(), said(answer));
    let told = |what: &str| format!("{what} (HTTP {status}): {said}");
    let (class, message) = match status {
        400..=499 if lacks_bytes(answer) => {
            (ErrorClass::Unknown, told("Clio does not find the bytes of the document"))
        }
        401 => (
            ErrorClass::Unauthorised,
            format!("Clio does not accept our sign-in ({said}); run `databridge connect` and sign in again"),
        ),
        403 => (
            ErrorClass::Invalid,
            format!(
                "Clio forbids it ({said}); tick {} for the application in Clio's developer hub, then run \
                 `databridge connect`",
                api::permission(&answer.call)
            ),
        ),
        404 if names_a_record(&answer.call) => (ErrorClass::Gone, told("Clio has no such record")),
        404 if answer.call.starts_with("POST ") => (
            ErrorClass::Invalid,
            format!(
                "{}; what it is to belong to may be gone: look in Clio, or run `databridge bootstrap`",
                told("Clio does not find it")
            ),
        ),
        404 => (
            ErrorClass::Invalid,
            format!("{}; check CLIO_URL and run `databridge bootstrap`", told("Clio does not find it")),
        ),
        409 if answer.call.starts_with("DELETE ") => (
            ErrorClass::Invalid,
            format!("{}; unlock it in Clio, or delete it there", told("Clio does not let it be deleted")),
        ),
        409 | 412 => (ErrorClass::Conflict, told("the record has changed in Clio")),
        // "Versioning": of no record, but of the version of the API. Every call is answered so until ours is a newer one.
        410 => (
            ErrorClass::Unauthorised,
            told(
                "Clio does not serve any more the version of its API that this Data Bridge speaks; install a newer one",
            ),
        ),
        429 => (ErrorClass::Limited(Some(retry_after(answer))), told("Clio's limit of calls is used up")),
        500.. if kind == Kind::Write => {
            (ErrorClass::Unknown, told("a fault at Clio, the write may be done or not"))
        }
        500.. | 408 => (ErrorClass::Transient, told("a fault at Clio")),
        300..=399 => (
            ErrorClass::Invalid,
            format!("Clio answers with a redirect (HTTP {status}); check CLIO_URL, each region has its own"),
        ),
        _ => (ErrorClass::Invalid, told("Clio refuses it")),
    };
    answer.error(class, message)
}

/// How long a 429 asks us to wait.
pub(crate) fn retry_after(answer: &Answer) -> Duration {
    answer.retry_after().unwrap_or(Duration::from_secs(api::WINDOW_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: &str, status: u16, body: &str, kind: Kind) -> CallError {
        let status = reqwest::StatusCode::from_u16(status).unwrap();
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        of(&Answer { call: call.into(), status, headers: reqwest::header::HeaderMap::new(), body }, kind)
    }

    #[test]
    fn both_shapes_of_an_error_are_told_in_clios_words() {
        let nested = r#"{"error":{"type":"X","message":"Roof is missing"}}"#;
        let flat = r#"{"error":"invalid_token","error_description":"The access token expired"}"#;
        assert!(refused("POST matters", 422, nested, Kind::Write).message.contains("Roof is missing"));
        let error = refused("GET matters", 401, flat, Kind::Read);
        assert!(
            error.message.contains("The access token expired")
                && error.message.contains("databridge connect")
        );
        assert!(refused("GET matters", 400, "<html>", Kind::Read).message.contains("`<html>`"));
    }

    #[test]
    fn the_class_goes_by_the_status() {
        for (call, status, kind, class) in [
            ("PATCH matters/7", 404, Kind::Write, ErrorClass::Gone),
            ("POST matters", 404, Kind::Write, ErrorClass::Invalid),
            ("DELETE documents/7", 409, Kind::Write, ErrorClass::Invalid),
            ("PATCH matters/7", 410, Kind::Write, ErrorClass::Unauthorised),
            ("PATCH matters/7", 412, Kind::Write, ErrorClass::Conflict),
            ("PATCH matters/7", 504, Kind::Write, ErrorClass::Unknown),
            ("GET matters", 503, Kind::Read, ErrorClass::Transient),
            ("POST matters", 422, Kind::Write, ErrorClass::Invalid),
            ("GET matters", 429, Kind::Read, ErrorClass::Limited(Some(Duration::from_secs(60)))),
        ] {
            assert_eq!(refused(call, status, "", kind).class, class, "{call} {status}");
        }
    }

    #[test]
    fn a_limit_is_one_whatever_its_body_is_wrapped_in() {
        for body in [
            r#"{"error":{"type":"RateLimited","message":"Slow down"}}"#,
            r#"{"body":"UmF0ZUxpbWl0ZWQ=","isBase64Encoded":true}"#,
            r#"{"error":"UmF0ZUxpbWl0ZWQ="}"#,
            "UmF0ZUxpbWl0ZWQ=",
            "",
        ] {
            let error = refused("POST matters", 429, body, Kind::Write);
            assert_eq!(error.class, ErrorClass::Limited(Some(Duration::from_secs(60))), "{body}");
        }
    }

    #[test]
    fn bytes_that_clio_does_not_find_are_no_refusal_of_the_document_whatever_the_status() {
        for kind in ["UploadNotFoundError", "UploadTimeoutError"] {
            let body = format!(r#"{{"error":{{"type":"{kind}","message":"x"}}}}"#);
            for status in [400, 404, 408, 409, 422] {
                let error = refused("PATCH documents/7", status, &body, Kind::Write);
                assert_eq!(error.class, ErrorClass::Unknown, "{kind} {status}");
            }
        }
        let other = r#"{"error":{"type":"ArgumentError","message":"x"}}"#;
        assert_eq!(refused("PATCH documents/7", 422, other, Kind::Write).class, ErrorClass::Invalid);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let error = refused("GET custom_fields", 403, "", Kind::Read);
        assert!(error.message.contains("tick Custom Fields"), "{error}");
    }
}

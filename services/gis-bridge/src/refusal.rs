//! How an ArcGIS server says no, and what class of failure each way is (arcgis.md, section 3).
//!
//! Most errors come with HTTP 200 and an `error` object; gateways before the server answer with a status and HTML.

use databridge_http::{Answer, CallError, ErrorClass};
use serde_json::Value as Json;

/// A call that failed, and what may help.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The error.
    pub(crate) error: CallError,
    /// The token is not valid (any more): a new one may help.
    pub(crate) token: bool,
    /// The same in smaller parts may pass: it was too large, or one item spoiled the others.
    pub(crate) divisible: bool,
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self { error, token: false, divisible: false }
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// The body of an answer that is no refusal.
pub(crate) fn body_of(answer: &Answer, writes: bool) -> Result<Json, Refusal> {
    let status = answer.status.as_u16();
    if answer.status.is_success() {
        let body: Json = answer.json(writes)?;
        return match Told::in_body(&body) {
            None => Ok(body),
            Some(told) => Err(classed(answer, told.code, told.text, writes)),
        };
    }
    if answer.status.is_redirection() {
        // Nothing was done, and only a person can mend it: the same as a missing permission.
        let message = "the server redirects to another address; set GIS_SERVICE_URL to the final one";
        return Err(answer.error(ErrorClass::Unauthorised, message).into());
    }
    let told = serde_json::from_slice(&answer.body).ok().and_then(|body| Told::in_body(&body));
    let code_in_body = told.as_ref().and_then(|told| told.code).filter(|_| !GATEWAY.contains(&status));
    let text = told.map_or_else(
        || format!("HTTP {status}; the answer begins `{}`", answer.beginning()),
        |told| told.text,
    );
    Err(classed(answer, Some(code_in_body.unwrap_or_else(|| i64::from(status))), text, writes))
}

/// The same of an answer that may hold a secret: of it is told what the server says of an error, and nothing else.
pub(crate) fn body_of_secret(answer: &Answer) -> Result<Json, Refusal> {
    body_of(answer, false).map_err(|mut refusal| {
        let body: Option<Json> = serde_json::from_slice(&answer.body).ok();
        if !answer.status.is_redirection() && body.as_ref().and_then(Told::in_body).is_none() {
            refusal.error.message = format!(
                "HTTP {}; the answer of {} bytes is not the JSON expected, and not shown, for it may hold a secret",
                answer.status.as_u16(),
                answer.body.len()
            );
        }
        refusal
    })
}

/// Statuses of the gateway, which count more than what stands in the body.
const GATEWAY: [u16; 7] = [408, 413, 429, 431, 502, 503, 504];

fn classed(answer: &Answer, code: Option<i64>, text: String, writes: bool) -> Refusal {
    // Whether a write that failed on the way was done is not known; a read can be made again.
    let lost = if writes { ErrorClass::Unknown } else { ErrorClass::Transient };
    let mut refusal = Refusal::from(answer.error(lost, text));
    refusal.error.class = match code {
        Some(401 | 498 | 499) => {
            refusal.token = true;
            ErrorClass::Unauthorised
        }
        Some(403) => ErrorClass::Unauthorised,
        Some(429) => ErrorClass::Limited(answer.retry_after()),
        Some(503) => {
            answer.retry_after().map_or(ErrorClass::Transient, |wait| ErrorClass::Limited(Some(wait)))
        }
        // A service that is being published anew is not there for a moment; long requests are answered so too.
        Some(404) => {
            refusal.divisible = true;
            refusal
                .error
                .message
                .push_str(" (is GIS_SERVICE_URL right, and the layer's number in systems/gis.toml?)");
            ErrorClass::Transient
        }
        // What took too long may pass in parts, and may have been done all the same.
        Some(408 | 502 | 504) => {
            refusal.divisible = true;
            lost
        }
        None => lost,
        // 1000 to 2999 are the codes of edits, here of the whole request.
        Some(400..=499 | 1000..=2999) => {
            refusal.divisible = true;
            ErrorClass::Invalid
        }
        Some(_) => {
            refusal.divisible = true;
            lost
        }
    };
    refusal
}

/// What a body says of an error.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    code: Option<i64>,
    text: String,
}

impl Told {
    /// `{"error":{…}}`, the administrative `{"status":"error","messages":[…]}` or `{"status":"failure"}`.
    fn in_body(body: &Json) -> Option<Self> {
        if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
            let mut lines = vec![text_of(error.get("message")), text_of(error.get("error_description"))];
            lines.extend(lines_of(error.get("details")));
            if let Json::String(word) = error {
                lines.push(Some(word.clone()));
            }
            return Some(Self { code: code_of(error), text: joined(lines) });
        }
        let status = body.get("status").and_then(Json::as_str)?;
        matches!(status, "error" | "failure").then(|| {
            let mut lines = vec![text_of(body.get("message"))];
            lines.extend(lines_of(body.get("messages")));
            Self { code: code_of(body), text: joined(lines) }
        })
    }
}

/// The code, a number or a number as text.
fn code_of(error: &Json) -> Option<i64> {
    let code = error.get("code")?;
    code.as_i64().or_else(|| code.as_str()?.trim().parse().ok())
}

fn text_of(value: Option<&Json>) -> Option<String> {
    value.and_then(Json::as_str).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn lines_of(value: Option<&Json>) -> Vec<Option<String>> {
    match value {
        Some(Json::Array(lines)) => lines.iter().map(|line| text_of(Some(line))).collect(),
        other => vec![text_of(other)],
    }
}

/// The first different lines in one: a refused batch repeats one line for each of its rows.
fn joined(lines: Vec<Option<String>>) -> String {
    let mut kept: Vec<String> = Vec::new();
    for line in lines.into_iter().flatten() {
        if kept.len() < 4 && !kept.contains(&line) {
            kept.push(line);
        }
    }
    if kept.is_empty() {
        return "the server gives no reason".to_owned();
    }
    kept.join(" ").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use databridge_http::ErrorClass::{Invalid, Limited, Transient, Unauthorised, Unknown};
    use serde_json::json;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            call: "POST 2/applyEdits".to_owned(),
            status: reqwest::StatusCode::from_u16(status).unwrap(),
            headers: reqwest::header::HeaderMap::new(),
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn class(status: u16, body: &str, writes: bool) -> ErrorClass {
        body_of(&answer(status, body), writes).unwrap_err().error.class
    }

    #[test]
    fn an_error_with_status_200_is_no_success() {
        for (body, read, write) in [
            (r#"{"error":{"code":498,"message":"Invalid token.","details":[]}}"#, Unauthorised, Unauthorised),
            (
                r#"{"error":{"code":499,"message":"Token Required","messageCode":"GWM_0003"}}"#,
                Unauthorised,
                Unauthorised,
            ),
            (
                r#"{"error":{"code":400,"message":"Unable to complete operation.","details":null}}"#,
                Invalid,
                Invalid,
            ),
            (r#"{"error":{"message":"Something"}}"#, Transient, Unknown),
            (r#"{"error":{"code":"500","extendedCode":-2147467259,"message":""}}"#, Transient, Unknown),
            (r#"{"status":"error","messages":["Token Expired."],"code":498}"#, Unauthorised, Unauthorised),
            (r#"{"code":500,"status":"failure"}"#, Transient, Unknown),
            (r#"{"error":"gone fishing"}"#, Transient, Unknown),
        ] {
            assert_eq!(class(200, body, false), read, "{body}");
            assert_eq!(class(200, body, true), write, "{body}");
        }
        assert!(body_of(&answer(200, r#"{"features":[]}"#), false).is_ok());
    }

    #[test]
    fn a_page_or_half_an_answer_leaves_a_write_unknown_and_a_read_to_be_made_again() {
        for body in ["<html>Sign in</html>", r#"{"updateResults":[{"objec"#, ""] {
            assert_eq!(class(200, body, false), Transient);
            assert_eq!(class(200, body, true), Unknown);
        }
    }

    #[test]
    fn statuses_of_gateways_have_their_classes() {
        let page = "<html>Gateway</html>";
        assert_eq!(class(504, page, true), Unknown);
        assert_eq!(class(504, page, false), Transient);
        assert_eq!(class(503, page, true), Transient);
        assert_eq!(class(429, page, true), Limited(None));
        assert_eq!(class(413, page, true), Invalid);
        assert_eq!(class(403, page, true), Unauthorised);
        assert_eq!(class(500, page, true), Unknown);
        assert_eq!(class(302, page, true), Unauthorised);
        assert_eq!(class(504, r#"{"error":{"code":400,"message":"x"}}"#, true), Unknown);
    }

    #[test]
    fn a_thousand_equal_details_are_told_once() {
        let details = vec!["Operation rolled back."; 1000];
        let body =
            json!({"error": {"code": 400, "message": "Unable to complete operation.", "details": details}});
        let refusal = body_of(&answer(200, &body.to_string()), true).unwrap_err();
        assert_eq!(refusal.error.message, "Unable to complete operation. Operation rolled back.");
        assert!(refusal.divisible);
    }
}

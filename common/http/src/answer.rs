//! An answer, read whole, and the classes of failure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use databridge_model::{Failure, FailureClass};
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::Paid;

/// The largest answer that is read into memory, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// The longest that a system is believed to want us to wait: no limit that is known has a longer window than a day.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What class of failure an error is; what follows from each is in [`crate::policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// A fault of the moment: try again.
    Transient,
    /// The limit is used up: wait that long, where the system says, which is no attempt.
    Limited(Option<Duration>),
    /// Our own budget of calls does not allow it: it was not made.
    OverBudget,
    /// The credential is not valid (any more).
    Unauthorised,
    /// The record moved.
    Conflict,
    /// The request will never be taken so.
    Invalid,
    /// The record is not there.
    Gone,
    /// A write whose effect is not known: the answer was lost after it was sent.
    Unknown,
}

impl ErrorClass {
    /// The class as messages have it.
    pub fn failure(self) -> FailureClass {
        match self {
            Self::Transient => FailureClass::Transient,
            Self::Limited(_) | Self::OverBudget => FailureClass::Limited,
            Self::Unauthorised => FailureClass::Unauthorised,
            Self::Conflict => FailureClass::Conflict,
            Self::Invalid => FailureClass::Invalid,
            Self::Gone => FailureClass::Gone,
            Self::Unknown => FailureClass::Unknown,
        }
    }
}

/// A call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call}: {message:.1000}")]
pub struct CallError {
    /// The class.
    pub class: ErrorClass,
    /// The call, without query or secrets: `PATCH matters/17`.
    pub call: String,
    /// What the system said, shortened, with what to do where that is known.
    pub message: String,
}

/// An answer that has arrived whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The call, for messages.
    pub call: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: bytes::Bytes,
}

impl CallError {
    /// The failure as messages have it.
    pub fn failure(&self) -> Failure {
        Failure { class: self.class.failure(), message: self.to_string(), field: None }
    }
}

impl Answer {
    /// Sends the request, which is paid for, and reads the whole answer. `writes` tells whether a lost answer leaves the
    /// effect unknown.
    pub async fn to(_: Paid, request: RequestBuilder, call: String, writes: bool) -> Result<Self, CallError> {
        let lost = |error: reqwest::Error| {
            let never_sent = error.is_connect() || error.is_builder();
            let class = if writes && !never_sent { ErrorClass::Unknown } else { ErrorClass::Transient };
            CallError { class, call: call.clone(), message: plain(&error) }
        };
        let mut response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = bytes::BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LARGEST {
                let message = format!("the answer is larger than {} MB", LARGEST / 1024 / 1024);
                return Err(CallError { class: ErrorClass::Invalid, call, message });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { call, status, headers, body: body.freeze() })
    }

    /// The body read as JSON. What is no JSON (an HTML page, half an answer) is told by its beginning.
    pub fn json<T: DeserializeOwned>(&self, writes: bool) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let class = if writes { ErrorClass::Unknown } else { ErrorClass::Transient };
            let message =
                format!("the answer is not the JSON expected ({error}); it begins `{}`", self.beginning());
            CallError { class, call: self.call.clone(), message }
        })
    }

    /// The first 120 characters of the body on one line.
    pub fn beginning(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// The server's clock, from the Date header (RFC 9110, 6.6.1).
    pub fn server_time(&self) -> Option<DateTime<Utc>> {
        let text = self.headers.get(reqwest::header::DATE)?.to_str().ok()?;
        DateTime::parse_from_rfc2822(text).ok().map(|at| at.with_timezone(&Utc))
    }

    /// How long Retry-After asks us to wait (RFC 9110, 10.2.3), a day at most: some seconds, or until a moment by the server's
    /// own clock.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs).min(LONGEST_WAIT));
        }
        let until = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
        Some((until - self.server_time()?).to_std().unwrap_or_default().min(LONGEST_WAIT))
    }

    /// The error of this class with this message.
    pub fn error(&self, class: ErrorClass, message: impl Into<String>) -> CallError {
        CallError { class, call: self.call.clone(), message: message.into() }
    }
}

/// The error and its causes in one line, without the URL (its query may hold a token).
fn plain(error: &reqwest::Error) -> String {
    let mut parts = Vec::new();
    if error.is_timeout() {
        parts.push("no answer in time".to_owned());
    } else if error.is_connect() {
        parts.push("no connection".to_owned());
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        parts.push(inner.to_string());
        cause = inner.source();
    }
    if parts.is_empty() {
        parts.push("the request failed".to_owned());
    }
    parts.join(": ")
}

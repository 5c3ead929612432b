//! Faults that a test switches on: what can go wrong between a client and either system.
//!
//! The gateway asks `Faults::take` at every request and does what it answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::calls::System;

/// Which requests a fault strikes, how often, and what it does to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The system struck.
    pub system: System,
    /// The verb struck; all verbs if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Text that the path with its query must contain, as sent (percent-encoded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Text that the request's body must contain, as sent. Of a request that brings a file only the beginning counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How many matching requests pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many matching requests are struck; `null` means all until the fault is removed. One if absent.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// What happens.
    pub action: Action,
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the field's type")]
fn once() -> Option<u32> {
    Some(1)
}

impl Fault {
    /// A fault that strikes the next request to a system, once.
    pub fn new(system: System, action: Action) -> Self {
        Self { system, method: None, path: None, body: None, skip: 0, times: once(), action }
    }

    /// The address for the next upload has ended, though the clock says otherwise.
    pub fn put_url_ended() -> Self {
        let body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        Self::new(System::Storage, Action::xml(403, body)).method("PUT")
    }

    /// The storage fails at the next upload.
    pub fn storage_error() -> Self {
        let body =
            "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";
        Self::new(System::Storage, Action::xml(500, body)).method("PUT")
    }

    /// The next upload breaks off before its end, and nothing of it is stored.
    pub fn upload_breaks_off() -> Self {
        Self::new(System::Storage, Action::Drop).method("PUT")
    }

    /// Clio does not find the next upload that is marked as done, though its bytes are there.
    pub fn upload_not_found() -> Self {
        let error =
            serde_json::json!({"error": {"type": "UploadNotFoundError", "message": "Upload not found"}});
        let json = [("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        let action = Action::Status { status: 422, body: error.to_string(), headers: json.into() };
        Self::new(System::Clio, action).method("PATCH").path("/documents/").body("fully_uploaded")
    }

    /// Strikes this verb only.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Strikes only where the path with its query contains this text.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Strikes only where the request's body contains this text.
    #[must_use]
    pub fn body(mut self, part: &str) -> Self {
        self.body = Some(part.to_owned());
        self
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes this many matching requests.
    #[must_use]
    pub fn times(mut self, requests: u32) -> Self {
        self.times = Some(requests);
        self
    }

    /// Strikes every matching request until removed.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.times = None;
        self
    }

    fn matches(&self, request: &Struck<'_>) -> bool {
        self.system == request.system
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(request.method))
            && self.path.as_ref().is_none_or(|part| request.path_and_query.contains(part.as_str()))
            && self
                .body
                .as_ref()
                .is_none_or(|part| String::from_utf8_lossy(request.body).contains(part.as_str()))
    }
}

/// What a fault does to a request. "Applied" means that the system has done what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Answered with this status; nothing is applied.
    Status {
        /// HTTP status.
        status: u16,
        /// The answer's body.
        #[serde(default)]
        body: String,
        /// Headers beside the usual ones.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Answered 200 with an HTML page; nothing is applied.
    Html,
    /// Applied; half of the answer arrives under the length of the whole, then the connection closes.
    Truncate,
    /// Applied; the answer's second half is replaced by the body of an ArcGIS error, and the answer ends as a whole one.
    ErrorMidway {
        /// The ArcGIS error code, such as 498.
        code: i64,
        /// The error's message.
        message: String,
    },
    /// The connection closes before anything is applied.
    Drop,
    /// Applied; the connection closes without an answer.
    DropAfter,
    /// Applied, but a gateway answers 504.
    #[serde(rename = "applied_then_504")]
    AppliedThen504,
    /// Waits, then goes on as usual.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Applied twice, as a gateway does that repeats a request; the second answer is given. A request with a file of
    /// several megabytes is applied once.
    ApplyTwice,
    /// Answered 429; nothing is applied.
    RateLimited {
        /// Seconds, for the header `Retry-After`.
        retry_after: u64,
    },
    /// Parameters of the query are not heeded, as Clio heeds none that it does not know.
    Ignores {
        /// Their names.
        parameters: Vec<String>,
    },
    /// Applied; the next page is said to be that of the first request that matched, one that passed unharmed among them:
    /// the list goes in a circle.
    NextLeadsBack,
    /// The first request struck is answered as usual, and each later one is given that answer again.
    SameAgain,
    /// Waits for release before anything is applied.
    Hold,
    /// Applied; the answer waits for release.
    HoldAfter,
    /// HTTP 200 with an ArcGIS error body; nothing is applied.
    Error200 {
        /// The ArcGIS error code, such as 498.
        code: i64,
        /// The error's message.
        message: String,
        /// The error's details.
        #[serde(default)]
        details: Vec<String>,
    },
}

impl Action {
    fn xml(status: u16, body: &str) -> Self {
        let headers = [("content-type".to_owned(), "application/xml".to_owned())].into();
        Self::Status { status, body: body.to_owned(), headers }
    }
}

/// A fault as `GET /admin/faults` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its id.
    pub id: u64,
    /// What it is.
    pub fault: Fault,
    /// Matching requests so far, with those that passed unharmed.
    pub matched: u32,
    /// Requests struck so far.
    pub fired: u32,
    /// Requests that wait for release now.
    pub waiting: u32,
    /// Whether it was released.
    pub released: bool,
}

/// A request as the faults see it.
pub(crate) struct Struck<'a> {
    /// The system asked.
    pub(crate) system: System,
    /// The verb.
    pub(crate) method: &'a str,
    /// Path and query as sent.
    pub(crate) path_and_query: &'a str,
    /// The body as sent.
    pub(crate) body: &'a [u8],
}

/// A fault that has fired, and where to wait for its release.
pub(crate) struct Fired {
    /// Which fault.
    pub(crate) id: u64,
    /// What to do.
    pub(crate) action: Action,
    /// Path and query of the first request that matched.
    pub(crate) first: String,
    gate: watch::Receiver<bool>,
}

/// An answer that is given again.
#[derive(Clone)]
pub(crate) struct Kept {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

struct Armed {
    fault: Fault,
    matched: u32,
    fired: u32,
    waiting: u32,
    first: Option<String>,
    kept: Option<Kept>,
    gate: watch::Sender<bool>,
}

impl Armed {
    fn is_spent(&self) -> bool {
        *self.gate.borrow() || self.fault.times.is_some_and(|times| self.fired >= times)
    }
}

#[derive(Default)]
struct Book {
    last_id: u64,
    armed: BTreeMap<u64, Armed>,
}

/// All faults of a sandbox. They are not kept over a restart.
#[derive(Default)]
pub(crate) struct Faults {
    book: Mutex<Book>,
}

impl Faults {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a fault and gives its id.
    pub(crate) fn arm(&self, fault: Fault) -> u64 {
        let mut book = self.book();
        book.last_id += 1;
        let id = book.last_id;
        let gate = watch::Sender::new(false);
        let armed = Armed { fault, matched: 0, fired: 0, waiting: 0, first: None, kept: None, gate };
        book.armed.insert(id, armed);
        id
    }

    /// Removes one fault, letting go what waits at it. False if there is none of that id.
    pub(crate) fn remove(&self, id: u64) -> bool {
        self.book().armed.remove(&id).is_some()
    }

    /// Removes all faults, letting go what waits.
    pub(crate) fn clear(&self) {
        self.book().armed.clear();
    }

    /// Lets go what waits at a fault and disarms it. False if there is none of that id.
    pub(crate) fn release(&self, id: u64) -> bool {
        let book = self.book();
        let Some(armed) = book.armed.get(&id) else { return false };
        armed.gate.send_replace(true);
        true
    }

    /// All faults with what they have done.
    pub(crate) fn list(&self) -> Vec<FaultStatus> {
        let book = self.book();
        book.armed
            .iter()
            .map(|(id, armed)| FaultStatus {
                id: *id,
                fault: armed.fault.clone(),
                matched: armed.matched,
                fired: armed.fired,
                waiting: armed.waiting,
                released: *armed.gate.borrow(),
            })
            .collect()
    }

    /// The fault that strikes this request, if any: the oldest armed one that matches. Counts it as fired.
    pub(crate) fn take(&self, request: &Struck<'_>) -> Option<Fired> {
        let mut book = self.book();
        for (id, armed) in &mut book.armed {
            if armed.is_spent() || !armed.fault.matches(request) {
                continue;
            }
            armed.matched += 1;
            let first = armed.first.get_or_insert_with(|| request.path_and_query.to_owned()).clone();
            if armed.matched <= armed.fault.skip {
                continue;
            }
            armed.fired += 1;
            let (action, gate) = (armed.fault.action.clone(), armed.gate.subscribe());
            return Some(Fired { id: *id, action, first, gate });
        }
        None
    }

    /// Waits until the fault is released or removed.
    pub(crate) async fn wait_for_release(&self, fired: &Fired) {
        self.change_waiting(fired.id, 1);
        let mut gate = fired.gate.clone();
        // An error means that the fault was removed, which lets go as a release does.
        drop(gate.wait_for(|released| *released).await);
        self.change_waiting(fired.id, -1);
    }

    /// The answer that a fault keeps.
    pub(crate) fn kept(&self, id: u64) -> Option<Kept> {
        self.book().armed.get(&id)?.kept.clone()
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, id: u64, answer: Kept) {
        if let Some(armed) = self.book().armed.get_mut(&id) {
            armed.kept = Some(answer);
        }
    }

    fn change_waiting(&self, id: u64, by: i32) {
        if let Some(armed) = self.book().armed.get_mut(&id) {
            armed.waiting = armed.waiting.saturating_add_signed(by);
        }
    }
}

/// The body of an ArcGIS error.
pub(crate) fn arcgis_error(code: i64, message: &str, details: &[String]) -> Value {
    serde_json::json!({"error": {"code": code, "message": message, "details": details}})
}

//! Recorded requests and answers, for checks against a system's specification.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::calls::System;

/// One request and its answer. The header `Authorization` is left out, and so is `X-Esri-Authorization`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// The system asked.
    pub system: System,
    /// The verb.
    pub method: String,
    /// The path from the listener's root.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// Header names in lower case.
    pub request_headers: BTreeMap<String, String>,
    /// The body as text.
    pub request_body: String,
    /// The status answered; 0 when the connection was closed without an answer.
    pub status: u16,
    /// The answer's body as text, before any fault cut it.
    pub response_body: String,
    /// Whether a fault struck, so that the answer may be no answer of the system's.
    pub struck: bool,
}

#[derive(Default)]
struct Tape {
    on: bool,
    recorded: Vec<Traffic>,
}

/// The recorder. Off at the start.
#[derive(Default)]
pub(crate) struct Recorder {
    tape: Mutex<Tape>,
}

impl Recorder {
    fn tape(&self) -> std::sync::MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a new recording, or stops and keeps what there is.
    pub(crate) fn set(&self, on: bool) {
        let mut tape = self.tape();
        if on && !tape.on {
            tape.recorded.clear();
        }
        tape.on = on;
    }

    /// Whether requests are being recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.tape().on
    }

    /// Adds one exchange, if recording.
    pub(crate) fn add(&self, exchange: Traffic) {
        let mut tape = self.tape();
        if tape.on {
            tape.recorded.push(exchange);
        }
    }

    /// What was recorded, oldest first.
    pub(crate) fn all(&self) -> Vec<Traffic> {
        self.tape().recorded.clone()
    }
}

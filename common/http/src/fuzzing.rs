//! The body of the fuzz target `answers`, and what the targets of all who get answers share. Nothing of the product
//! depends on it.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use databridge_runtime::Clock;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{Answer, CallError, Gate, LimitReport};

/// The longest that an outside system is believed to want us to wait: its windows are of a day at most.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// One client for all inputs.
pub fn upload_client() -> Option<reqwest::Client> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    CLIENT.get_or_init(|| crate::upload_client("fuzzing").ok()).clone()
}

/// An answer: its status, its headers, a line each, an empty line, and its body.
pub fn answer_of(call: &str, data: &[u8]) -> Answer {
    let mut headers = HeaderMap::new();
    let mut lines = data.split_inclusive(|byte| *byte == b'\n');
    let mut read = 0;
    let mut status = None;
    for line in lines.by_ref() {
        read += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if status.is_none() {
            let told = std::str::from_utf8(line).ok().and_then(|line| line.trim().parse().ok());
            status =
                Some(told.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK));
            continue;
        }
        if line.is_empty() {
            break;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    let body = data.get(read..).unwrap_or_default();
    Answer {
        call: call.to_owned(),
        status: status.unwrap_or_default(),
        headers,
        body: bytes::Bytes::copy_from_slice(body),
    }
}

/// An error names its call, and a person can read it: it is short, whatever the answer is.
///
/// # Panics
///
/// Where it is not so.
pub fn is_for_a_person(error: &CallError) {
    let told = error.to_string();
    assert!(told.starts_with(&error.call), "{told}");
    assert!(told.chars().count() <= 1500, "an error of {} characters", told.chars().count());
}

/// An answer, whose body is in turn what the limits of several answers say and what is asked of the gate, a line each.
pub fn answers(data: &[u8]) {
    let answer = answer_of("GET matters", data);
    for writes in [false, true] {
        if let Err(error) = answer.json::<serde_json::Value>(writes) {
            is_for_a_person(&error);
        }
        if let Err(error) = answer.json::<Vec<u64>>(writes) {
            is_for_a_person(&error);
        }
    }
    let beginning = answer.beginning();
    assert!(beginning.chars().count() <= 120 && !beginning.contains(['\n', '\r']), "{beginning}");
    assert!(answer.retry_after().is_none_or(|wait| wait <= LONGEST_WAIT), "{:?}", answer.retry_after());
    let clock = Clock::system();
    let gate = Gate::new(clock.clone(), Duration::from_secs(60));
    if let Some(wait) = answer.retry_after() {
        gate.close_for(wait);
    }
    let server_time = answer.server_time();
    let resets_at = server_time.unwrap_or_else(|| clock.now());
    if let Ok(pass) = gate.try_pass() {
        pass.report(LimitReport { limit: 50, remaining: 0, resets_at, server_time });
    }
    for line in String::from_utf8_lossy(&answer.body).lines().take(64) {
        used(&gate, &clock, line);
        assert!(gate.wait() <= LONGEST_WAIT + Duration::from_secs(2), "{:?} after {line}", gate.wait());
    }
    // Whatever was said, the gate is open again at some time.
    clock.advance(TimeDelta::hours(25));
    assert!(gate.try_pass().is_ok(), "{gate:?}");
}

fn used(gate: &Gate, clock: &Clock, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<i64>().ok());
    match words.first().copied() {
        Some("report") => {
            let count = |at: usize| number(at).and_then(|it| u32::try_from(it).ok()).unwrap_or_default();
            let moment = |at: usize| number(at).and_then(|it| DateTime::from_timestamp(it, 0));
            let (Some(resets_at), Some(server_time)) = (moment(3), moment(4)) else { return };
            let server_time = Some(server_time);
            if let Ok(pass) = gate.try_pass() {
                pass.report(LimitReport { limit: count(1), remaining: count(2), resets_at, server_time });
            }
        }
        Some("close") => {
            gate.close_for(Duration::from_secs(number(1).unwrap_or_default().unsigned_abs()));
        }
        Some("advance") => clock.advance(TimeDelta::seconds(number(1).unwrap_or_default().clamp(0, 100_000))),
        Some("pass") => {
            let free = gate.free();
            match gate.try_pass() {
                Ok(pass) => {
                    assert!(free > 0);
                    drop(pass);
                }
                Err(wait) => assert!(wait <= LONGEST_WAIT, "{wait:?}"),
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_has_kept_of_answers_passes() {
        corpus::replay("answers", super::answers);
    }
}

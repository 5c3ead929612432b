//! The schedules as the stream SYNC holds them.
//!
//! | subject | what |
//! |---|---|
//! | `schedule.<name>` | the schedule: its ticks are sync requests. Paused: a message that is no schedule |
//! | `schedule.trace.<name>` | the same timing; its ticks go to the next |
//! | `schedule.last.<name>` | the last tick: one message, each replaces the one before |
//!
//! Ours bear [`OURS`]. The schedule comes before its trace in the stream, and nats-server fires what is due at once in
//! that order: killed in between, it has done a tick of which it knows nothing, and not the other way round.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use databridge_broker::async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use databridge_broker::async_nats::{HeaderMap, header};
use databridge_broker::{BatchMessage, Broker, names};
use databridge_config::{Schedule, Timing};
use databridge_model::{SyncRequest, subject};
use serde::{Deserialize, Serialize};

use crate::SchedulerError;

/// The header of the messages that are ours; its value is the schedule's name. Ticks bear it, too.
pub(crate) const OURS: &str = "Databridge-Schedule";

/// How long a tick waits for its bridge. Longer than any bridge should be away: a run whose request
/// is gone ends without it.
pub(crate) const TICKS_KEPT: &str = "168h";

/// A message that takes the place of all before it on its subject.
pub(crate) const ROLLUP: &str = "sub";

/// The subjects of a schedule.
#[derive(Clone, Debug)]
pub(crate) struct Subjects {
    pub(crate) schedule: String,
    pub(crate) trace: String,
    pub(crate) last: String,
}

impl Subjects {
    pub(crate) fn of(name: &str) -> Self {
        Self {
            schedule: format!("schedule.{name}"),
            trace: format!("schedule.trace.{name}"),
            last: format!("schedule.last.{name}"),
        }
    }
}

/// A message of SYNC.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) at: DateTime<Utc>,
    headers: HeaderMap,
    payload: Bytes,
}

impl Stored {
    fn header(&self, name: impl header::IntoHeaderName) -> Option<&str> {
        self.headers.get(name).map(header::HeaderValue::as_str)
    }

    /// Whether a scheduler of ours has made it.
    pub(crate) fn is_ours(&self) -> bool {
        self.header(OURS).is_some()
    }

    /// The timing of a schedule; `None` of anything else.
    pub(crate) fn timing(&self) -> Option<Timing> {
        Timing::of_server(self.header(header::NATS_SCHEDULE)?, self.header(header::NATS_SCHEDULE_TIME_ZONE))
    }

    /// Since when the schedule is paused.
    pub(crate) fn paused(&self) -> Option<DateTime<Utc>> {
        self.header(header::NATS_SCHEDULE).is_none().then_some(self.at)
    }

    /// Of a tick: when the broker meant to fire next.
    pub(crate) fn next(&self) -> Option<DateTime<Utc>> {
        self.header(header::NATS_SCHEDULE_NEXT)?.parse().ok()
    }

    /// Whether it says what this message says; of headers, those count that we set.
    pub(crate) fn says(&self, message: &BatchMessage) -> bool {
        let of = |headers: &HeaderMap| {
            SET.iter()
                .map(|name| headers.get(*name).map(|value| value.as_str().to_owned()))
                .collect::<Vec<_>>()
        };
        self.payload == message.payload && of(&self.headers) == of(&message.headers)
    }
}

/// The headers that tell one schedule from another.
const SET: [&str; 6] = [
    OURS,
    "Nats-Schedule",
    "Nats-Schedule-Target",
    "Nats-Schedule-TTL",
    "Nats-Schedule-Time-Zone",
    "Nats-Schedule-Rollup",
];

/// The request of a schedule, for this reason.
pub(crate) fn request(schedule: &Schedule, reason: String) -> SyncRequest {
    SyncRequest { mode: schedule.mode, reason: Some(reason), ..SyncRequest::default() }
}

/// The subject to which a schedule's requests go.
pub(crate) fn target(schedule: &Schedule) -> String {
    subject::sync_request(&schedule.system, schedule.collection.as_ref())
}

/// The two messages of an active schedule: itself and its trace.
pub(crate) fn messages(schedule: &Schedule) -> Result<[BatchMessage; 2], SchedulerError> {
    let subjects = Subjects::of(schedule.name.as_str());
    let asks = request(schedule, format!("schedule {}: {}", schedule.name, schedule.timing));
    let timed = |subject: String, payload: Bytes, target: &str| {
        let mut message = ours(schedule.name.as_str(), subject, payload);
        message.headers.insert(header::NATS_SCHEDULE, schedule.timing.pattern().as_str());
        message.headers.insert(header::NATS_SCHEDULE_TARGET, target);
        if let Some(zone) = schedule.timing.zone() {
            message.headers.insert(header::NATS_SCHEDULE_TIME_ZONE, zone.name());
        }
        message
    };
    let mut ticks = timed(subjects.schedule, body(&asks)?, &target(schedule));
    ticks.headers.insert(header::NATS_SCHEDULE_TTL, TICKS_KEPT);
    let mut trace = timed(subjects.trace, Bytes::new(), &subjects.last);
    trace.headers.insert(header::NATS_SCHEDULE_ROLLUP, header::NATS_SCHEDULE_ROLLUP_SUB);
    Ok([ticks, trace])
}

/// The two messages of a paused schedule.
pub(crate) fn paused(name: &str) -> [BatchMessage; 2] {
    let subjects = Subjects::of(name);
    [subjects.schedule, subjects.trace].map(|subject| {
        let mut message = ours(name, subject, Bytes::from_static(br#"{"paused":true}"#));
        message.headers.insert(header::NATS_ROLLUP, ROLLUP);
        message
    })
}

/// A message of ours that is no schedule.
pub(crate) fn ours(name: &str, subject: String, payload: Bytes) -> BatchMessage {
    let mut headers = HeaderMap::new();
    headers.insert(OURS, name);
    headers.insert("content-type", "application/json");
    BatchMessage { subject, payload, headers }
}

pub(crate) fn body(value: &impl Serialize) -> Result<Bytes, SchedulerError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| broker_error("written", &error))
}

pub(crate) fn broker_error(doing: &'static str, error: &dyn std::error::Error) -> SchedulerError {
    SchedulerError::Broker { doing, why: error.to_string() }
}

/// Stores both if each subject's last message is still this one (0: none).
pub(crate) async fn store(
    broker: &Broker,
    messages: [BatchMessage; 2],
    lasts: [Option<&Stored>; 2],
) -> Result<(), SchedulerError> {
    let mut batch = Vec::from(messages);
    for (message, last) in batch.iter_mut().zip(lasts) {
        expect(message, last);
    }
    broker.publish_batch(batch).await?;
    Ok(())
}

/// The message is stored only if this is still the last one of its subject.
pub(crate) fn expect(message: &mut BatchMessage, last: Option<&Stored>) {
    let sequence = last.map_or(0, |last| last.sequence).to_string();
    message.headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.as_str());
}

/// The stream SYNC.
pub(crate) struct Shelf {
    stream: Stream<()>,
}

/// What is on `schedule.>`, by the broker's own clock.
pub(crate) struct Contents {
    /// The broker's time.
    pub(crate) now: DateTime<Utc>,
    /// The subjects that hold something.
    pub(crate) subjects: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Info {
    ts: DateTime<Utc>,
    state: InfoState,
}

#[derive(Deserialize)]
struct InfoState {
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

impl Shelf {
    pub(crate) async fn open(broker: &Broker) -> Result<Self, SchedulerError> {
        let stream = broker.jetstream().get_stream_no_info(names::SYNC).await;
        Ok(Self { stream: stream.map_err(|error| broker_error("read", &error))? })
    }

    /// What is there. The time is the broker's, because it is the one that fires and dates the ticks.
    pub(crate) async fn contents(broker: &Broker) -> Result<Contents, SchedulerError> {
        let ask = serde_json::json!({ "subjects_filter": "schedule.>" });
        let info: Info = broker
            .jetstream()
            .request(format!("STREAM.INFO.{}", names::SYNC), &ask)
            .await
            .map_err(|error| broker_error("read", &error))?;
        let subjects = info.state.subjects.unwrap_or_default().into_keys().collect();
        Ok(Contents { now: info.ts, subjects })
    }

    /// The last message of a subject.
    pub(crate) async fn last(&self, subject: &str) -> Result<Option<Stored>, SchedulerError> {
        match self.stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => {
                let nanoseconds = i64::try_from(message.time.unix_timestamp_nanos()).unwrap_or_default();
                Ok(Some(Stored {
                    sequence: message.sequence,
                    at: DateTime::from_timestamp_nanos(nanoseconds),
                    headers: message.headers,
                    payload: message.payload,
                }))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(broker_error("read", &error)),
        }
    }
}

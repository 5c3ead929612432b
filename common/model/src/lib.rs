//! The words of Data Bridge as types: values, records, keys, and the durable messages that the services exchange.
//!
//! Nothing here talks to anything. Bodies are JSON; their JSON Schemas are made by [`schema::all`] and kept in
//! `docs/schemas`. Subjects and the encoding of keys are in [`subject`].

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod key;
mod message;
mod name;
mod push_id;
pub mod schema;
pub mod subject;
mod value;

pub use key::{Key, KeyToken};
pub use message::{
    Audit, BodyError, Conflict, ConflictRecord, ContentObject, ContentReply, ContentRequest, DeadAttempt,
    DeadLetter, Failure, FailureClass, Listed, Mode, Op, OtherValue, Outcome, OutcomeResult, Parked,
    PullResult, PushRequest, ReadAfter, RunEvent, RunId, RunSummary, Settled, Source, SyncRequest, Target,
    TokenReply, TokenRequest, UnderWay, Waiting, WonBecause, WouldPush, decode, token_fingerprint,
};
pub use name::{CollectionName, Name, NameError, SystemName};
pub use push_id::PushId;
pub use value::{FieldType, Fields, Point, Value, ValueError};

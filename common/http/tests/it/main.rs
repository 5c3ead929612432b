//! What outside systems may answer, and what this crate makes of it, over real connections.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails the test")]

mod answers;
mod limits;
mod redirects;
mod retries;
mod secrecy;
mod server;
mod simulated;

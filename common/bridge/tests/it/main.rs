//! Contents from bridge to bridge, over a real nats-server.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails the test")]

mod contents;
mod office;

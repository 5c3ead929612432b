//! What bridges do alike, over a real nats-server: contents from bridge to bridge, and listings.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails the test")]

mod budgets;
mod contents;
mod office;
mod resting;
mod sharing;

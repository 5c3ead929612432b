//! The scheduler over a real nats-server, which is killed over ticks.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails the test")]

mod downtime;
mod keeping;
mod stage;

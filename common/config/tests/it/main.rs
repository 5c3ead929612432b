//! Whole config folders: what is right, and what is told of what is wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod converters;
mod findings;
mod schedules;
mod shipped;

//! Tests that speak HTTP to a started sandbox.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do"
)]

mod attachments;
mod calendars;
mod documents;
mod faults;
mod gateway;
mod house;
mod keep;
mod lists;
mod matters;
mod notes;
mod oauth;
mod rules;
mod specification;
mod uploads;
mod walkthrough;

//! The auth-service over a real nats-server and the sandbox that plays Clio.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails the test"
)]

mod browser;
mod consent;
mod links;
mod office;
mod pages;
mod secrecy;
mod tokens;

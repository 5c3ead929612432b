//! The bridge against the sandbox's feature service, over HTTP, and as a service over a real nats-server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails the test"
)]

mod attachments;
mod contents;
mod history;
mod paging;
mod pulls;
mod pushes;
mod service;
mod sign_in;
mod stage;
mod unwell;

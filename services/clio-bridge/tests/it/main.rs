//! The bridge against the sandbox and a real nats-server, over HTTP and NATS.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail a test")]

mod adopted_documents;
mod attachments;
mod bootstraps;
mod calendar_entries;
mod document_versions;
mod documents;
mod interrupted_uploads;
mod lies;
mod limits;
mod notes;
mod office;
mod paging;
mod privacy;
mod pulls;
mod pushes;
mod service;

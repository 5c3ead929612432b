//! The end-to-end, fault and crash tests.

mod adopted_documents;
mod adoption;
mod auth;
mod bad_answers;
mod bad_input;
mod bad_messages;
mod both_ways;
mod calls;
mod demo;
mod foreign_client;
mod hpd;
mod import;
mod kills;
mod kills_auth;
mod kills_broker;
mod merging;
mod original;
mod plans;
mod privacy;
mod requests;
mod set_aside;
mod settings;
mod stale_reads;
mod traffic;
mod waiting;
mod whole;

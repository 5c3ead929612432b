//! The auth-service: a person's consent at Clio, the vault of the tokens that it gave, and the one place that
//! renews them.
//!
//! A person opens the one-time link that `databridge connect` prints, allows the access at Clio and comes back to
//! `/callback`. The tokens are kept encrypted in the KV bucket `tokens`; bridges ask for the access token by NATS
//! request ([`subjects::TOKEN`]) and get it sealed. Only one refresh is under way at a time, over all replicas.

mod clio;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod lease;
mod link;
mod requests;
mod secret_code;
mod service;
mod settings;
mod status;
mod token_keeper;
mod vault;
mod web;

pub use clio::ClioError;
pub use connection::{Account, Failure, Person};
pub use link::LINK_LIFETIME;
pub use requests::{LinkReply, LinkRequest, StatusReply, subjects};
pub use service::{AuthError, run};
pub use settings::{Listen, Settings, SettingsError};
pub use status::Status;

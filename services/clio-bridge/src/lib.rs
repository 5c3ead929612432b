//! clio-bridge: Clio Manage API v4. Pulls and pushes matters of one group and one practice area.
//!
//! Facts about Clio stand in `api` and beside the types that they shape. Ids of custom fields and options stay inside
//! this crate: outside, fields go by name and options by label.

mod api;
mod bootstrap;
mod bootstrap_desk;
mod catalogue;
mod change;
mod client;
mod definitions;
mod errand;
mod found;
mod listing;
mod matter;
mod pages;
mod push;
mod refusal;
mod run;
#[cfg(test)]
mod samples;
mod settings;
mod system;
mod token;

pub use bootstrap::{BootstrapError, Report, bootstrap};
pub use bootstrap_desk::{BOOTSTRAP_SUBJECT, BootstrapReply};
pub use catalogue::Catalogue;
pub use client::{ClioClient, OpenError};
pub use errand::Errand;
pub use found::{Found, FoundField};
pub use listing::Place;
pub use run::{RunError, run};
pub use settings::{
    BridgeSettings, ClientSettings, ContactType, CustomFieldSettings, CustomFieldType, MatterSettings,
    Matters, Settings, SettingsError,
};
pub use system::ClioSystem;
pub use token::{AuthServiceTokens, FixedToken, PURPOSE, SUBJECT, Token, TokenError, TokenSource};

//! clio-bridge: Clio Manage API v4. Pulls and pushes the matters of one group and one practice area,
//! and what hangs on them.
//!
//! Facts about Clio stand in `api` and beside the types that they shape. Ids of custom fields and options stay inside
//! this crate: outside, fields go by name and options by label.

mod api;
mod bootstrap;
mod bootstrap_desk;
mod calendar_entries;
mod catalogue;
mod client;
mod clio;
mod content_source;
mod declared;
mod definitions;
mod documents;
mod errand;
mod file;
mod found;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod kind;
mod lister;
mod mark;
mod matters;
mod notes;
mod pages;
mod property_change;
mod push;
mod record;
mod refusal;
mod run;
#[cfg(test)]
mod samples;
mod settings;
mod system;
mod token;
mod whose;

pub use bootstrap::{BootstrapError, Report, bootstrap};
pub use bootstrap_desk::{BOOTSTRAP_SUBJECT, BootstrapReply};
pub use catalogue::Catalogue;
pub use client::{ClioClient, OpenError};
pub use content_source::{ContentSource, FetchedContent, ObjectStoreContents};
pub use errand::Errand;
pub use file::ClioFile;
pub use found::{Found, FoundField};
pub use lister::Place;
pub use run::{RunError, run};
pub use settings::{
    BridgeSettings, CalendarSettings, ClientSettings, ContactType, CustomFieldSettings, CustomFieldType,
    DocumentSettings, MatterSettings, Settings, SettingsError,
};
pub use system::ClioSystem;
pub use token::{AuthServiceTokens, FixedToken, PURPOSE, SUBJECT, Token, TokenError, TokenSource};

//! The bridge to an ArcGIS feature service: it pulls layers and their attachments by edit date, pushes edits in
//! batches, and gives the contents of attachments.
//!
//! Facts of the outside system have one home each: [`Settings`] what a person sets, `service_url` the addresses,
//! `sign_in` tokens, `refusal` the ways in which a server says no, `layer_page` what a layer says of itself, `query`
//! the asking for rows, `edits` the writing. `decode` and `encode` stand between the layer's values and ours.

mod apply;
mod attachments;
mod change;
mod collection;
mod contents;
mod decode;
mod edits;
mod encode;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod layer;
mod layer_page;
mod listing;
mod place;
mod query;
mod refusal;
mod row_id;
mod run;
mod service;
mod service_url;
mod settings;
mod sign_in;
mod system;

pub use place::Place;
pub use run::{RunError, run};
pub use service_url::ServiceUrlError;
pub use settings::{ServiceSettings, Settings, SettingsError};
pub use system::GisSystem;

//! The ArcGIS half: one feature service with its layers, as strict as an Enterprise server.
//!
//! What it plays is in Esri's "ArcGIS REST APIs: Feature Service"; what it does not play (statistics, change tracking,
//! spatial filters) it refuses, so that nothing passes here by being overlooked.

mod admin;
mod admin_attachments;
mod attachment_edits;
mod attachment_requests;
mod attachments;
mod content;
mod edits;
mod field;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod geometry;
mod global_id;
mod layer;
mod metadata;
mod names;
mod operations;
mod options;
mod parameters;
mod query;
mod refusal;
mod routes;
mod sql;
mod state;
#[cfg(test)]
mod tests;
mod tokens;

pub(crate) use admin::admin_router;
pub use admin_attachments::AttachmentPage;
pub use attachments::GeneratedAttachment;
pub use field::{Field, FieldType};
pub(crate) use geometry::degrees_of;
pub use layer::{Feature, Layer};
pub use names::SystemNames;
pub use options::{GisAuth, GisOptions, LayerSource};
pub(crate) use routes::{effect, router, takes_files};
pub(crate) use state::GisState;

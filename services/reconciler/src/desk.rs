//! Where a person looks after what the reconciler keeps.

mod conflicts;
mod links;

pub use self::conflicts::{Chosen, ConflictDesk, ConflictError, ConflictFilter, KeptConflict};
pub use self::links::{LinkDesk, LinkError, NamedLink, Sought, ToRead, WaitsFor};

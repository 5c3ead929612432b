//! Where a person looks after what the reconciler keeps.

mod conflicts;

pub use self::conflicts::{Chosen, ConflictDesk, ConflictError, ConflictFilter, KeptConflict};

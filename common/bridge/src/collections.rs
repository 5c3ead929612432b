//! The collections of a system.

use databridge_http::{CallError, ErrorClass};
use databridge_model::CollectionName;

use crate::OutsideSystem;

/// The error of a call about a collection that the system does not have. Nothing was sent.
pub fn unknown_collection(system: &impl OutsideSystem, name: &CollectionName) -> CallError {
    let known: Vec<String> = system.collections().iter().map(ToString::to_string).collect();
    CallError {
        class: ErrorClass::Invalid,
        call: format!("{}.{name}", system.name()),
        message: format!("{} has no collection `{name}`; it has: {}", system.name(), known.join(", ")),
    }
}

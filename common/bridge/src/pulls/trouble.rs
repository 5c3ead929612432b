//! Why a request is not answered.

use databridge_broker::{BatchError, PublishError};

/// Why a request is not answered.
pub(super) enum Trouble {
    /// It can never be.
    Never(String),
    /// Not at the moment.
    Again(String),
}

impl From<PublishError> for Trouble {
    fn from(error: PublishError) -> Self {
        Self::Again(error.to_string())
    }
}

impl From<BatchError> for Trouble {
    fn from(error: BatchError) -> Self {
        Self::Again(error.to_string())
    }
}

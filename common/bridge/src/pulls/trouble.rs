//! Why a request is not answered.

use databridge_broker::{BatchError, PublishError};

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It can never be.
    #[error("{0}")]
    Never(String),
    /// Not at the moment.
    #[error("{0}")]
    Again(String),
    /// Not while its system is not to be called; its run has been told.
    #[error("its system is not to be called")]
    Resting,
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

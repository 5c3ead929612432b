//! A bridge at work.

use std::sync::Arc;

use databridge_broker::{Broker, TopologyError};
use databridge_runtime::CancellationToken;
use futures::TryFutureExt;

use crate::{OutsideSystem, Pulls, Pushes, PushesError};

/// A bridge cannot work (any more).
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Sync requests cannot be answered.
    #[error(transparent)]
    Pulls(#[from] TopologyError),
    /// Push requests cannot be answered.
    #[error(transparent)]
    Pushes(#[from] PushesError),
}

/// Answers a system's sync requests and push requests until told to stop; what is under way then is finished. An
/// error of one part ends both.
pub async fn serve(
    broker: Broker,
    system: impl OutsideSystem,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let system = Arc::new(system);
    // Boxed, for the two are large.
    let pulls = Box::pin(Pulls::new(broker.clone(), Arc::clone(&system)).run(stop.clone()));
    let pushes = Box::pin(Pushes::new(broker, system).run(stop));
    tokio::try_join!(pulls.err_into::<ServeError>(), pushes.err_into())?;
    Ok(())
}

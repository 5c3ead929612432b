//! A bridge at work.

use std::sync::Arc;

use databridge_broker::{Broker, Needs, TopologyError, names};
use databridge_runtime::CancellationToken;
use futures::TryFutureExt;

use crate::{ContentError, OutsideSystem, Pulls, Pushes, PushesError, serve_content};

/// What every bridge must find in the broker.
pub const NEEDS: Needs = Needs {
    streams: &[names::SYNC, names::PULL, names::PUSH, names::OUTCOME, names::RUN, names::DEAD],
    buckets: &[names::INTENTS, names::APPLIED, names::LEASES],
    contents: true,
};

/// A bridge cannot work (any more).
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Sync requests cannot be answered.
    #[error(transparent)]
    Pulls(#[from] TopologyError),
    /// Push requests cannot be answered.
    #[error(transparent)]
    Pushes(#[from] PushesError),
    /// Requests for contents cannot be answered.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// Answers a system's sync requests, its push requests and, where its records have contents, the requests for these,
/// until told to stop; what is under way then is finished, save transfers of contents. An error of one part ends all.
pub async fn serve(
    broker: Broker,
    system: impl OutsideSystem,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let system = Arc::new(system);
    // Boxed, for they are large.
    let pulls = Box::pin(Pulls::new(broker.clone(), Arc::clone(&system)).run(stop.clone()));
    let pushes = Box::pin(Pushes::new(broker.clone(), Arc::clone(&system)).run(stop.clone()));
    let contents = async {
        match system.contents() {
            Some(provider) => serve_content(broker, system.name().clone(), provider, stop).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(pulls.err_into::<ServeError>(), pushes.err_into(), Box::pin(contents).err_into())?;
    Ok(())
}

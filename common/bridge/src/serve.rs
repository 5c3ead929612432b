//! A bridge at work.

use std::sync::Arc;

use databridge_broker::{Broker, Needs, TopologyError, names};
use databridge_http::Budget;
use databridge_runtime::CancellationToken;
use futures::TryFutureExt;

use crate::{ContentError, OutsideSystem, Pulls, Pushes, PushesError, serve_content};

/// What every bridge must find in the broker.
pub const NEEDS: Needs = Needs {
    streams: &[names::SYNC, names::PULL, names::PUSH, names::OUTCOME, names::RUN, names::DEAD],
    buckets: &[names::INTENTS, names::APPLIED, names::LEASES, names::BUDGETS],
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
///
/// The budget is the one that the system's calls are paid from: while it is used up, nothing is begun.
pub async fn serve(
    broker: Broker,
    system: impl OutsideSystem,
    budget: Budget,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let system = Arc::new(system);
    // Boxed, for they are large.
    let pulls = Pulls::new(broker.clone(), Arc::clone(&system), budget.clone());
    let pulls = Box::pin(pulls.run(stop.clone()));
    let pushes = Pushes::new(broker.clone(), Arc::clone(&system), budget.clone());
    let pushes = Box::pin(pushes.run(stop.clone()));
    let contents = async {
        match system.contents() {
            Some(provider) => {
                serve_content(broker, system.name().clone(), provider, budget.clone(), stop).await
            }
            None => Ok(()),
        }
    };
    let served =
        tokio::try_join!(pulls.err_into::<ServeError>(), pushes.err_into(), Box::pin(contents).err_into());
    budget.give_back().await;
    served.map(drop)
}

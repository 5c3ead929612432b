//! Requests that are gone before their bridge has answered: a tick waits for a week only, and a person may delete any.
//! Nobody would ever answer them, so their runs end without.

use std::sync::Arc;
use std::time::Duration;

use databridge_model::{Failure, FailureClass, Listed};
use databridge_runtime::CancellationToken;

use crate::engine::{Engine, Trouble};
use crate::keeper::Listings;
use crate::spent;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(600);

/// What a run says of a listing that nobody will make.
const WHY: &str = "the request is gone, and its bridge has not answered it; was the bridge away for a week?";

/// Looks now and then until told to stop.
pub(crate) async fn watch(engine: Arc<Engine>, stop: CancellationToken) {
    let listings = Listings(engine);
    while !stop.is_cancelled() {
        if let Err(error) = answer(&listings).await {
            tracing::warn!(%error, "Requests that are gone could not be looked for; trying again later.");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Answers them in the bridge's place.
async fn answer(listings: &Listings) -> Result<(), Trouble> {
    let engine = &listings.0;
    for id in engine.runs.open_ids() {
        let Some(run) = engine.runs.get(id) else { continue };
        for part in run.parts.iter().filter(|part| part.listed.is_none()) {
            // A request is taken out only once its answer is noted, and an answer that is noted stays.
            if spent::holds(&engine.broker, part.request).await? {
                continue;
            }
            tracing::warn!(run = %id, system = %part.system, collection = %part.collection, "{WHY}");
            let why = Failure { class: FailureClass::Unknown, message: WHY.to_owned(), field: None };
            let nothing = Listed {
                system: part.system.clone(),
                collection: part.collection.clone(),
                request: part.request,
                complete: false,
                whole: false,
                records: 0,
                pull_last: 0,
                pages: 0,
                calls_per_minute: None,
                error: Some(why),
            };
            listings.note(id, &nothing).await?;
        }
    }
    Ok(())
}

//! Asking for a content.

use std::time::Duration;

use databridge_broker::Broker;
use databridge_broker::async_nats::StatusCode;
use databridge_http::{CallError, RetryPolicy, with_retries};
use databridge_model::{ContentReply, ContentRequest, RunId, Source, decode, subject};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::store::ContentStore;
use super::{Content, ContentError};

/// A bridge that says nothing for so long has died, or its answer is lost. It says `working` every five seconds.
const PATIENCE: Duration = Duration::from_secs(12);

/// Asks the bridge of a record's system for its content, waits until it is in the object store, and opens it.
///
/// The wait has no end of its own: the other bridge bounds each transfer, and while it works it says so.
pub async fn fetch(broker: &Broker, source: &Source, run: Option<RunId>) -> Result<Content, ContentError> {
    let client = broker.client();
    let unsent = |error: &dyn std::error::Error| ContentError::Store(error.to_string());
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.map_err(|error| unsent(&error))?;
    let subject = subject::content(&source.system, &source.collection, &source.id);
    let body = serde_json::to_vec(&ContentRequest { run }).map_err(|error| unsent(&error))?;
    client.publish_with_reply(subject, inbox, body.into()).await.map_err(|error| unsent(&error))?;
    loop {
        let reply = tokio::time::timeout(PATIENCE, replies.next()).await;
        let Ok(Some(reply)) = reply else { return Err(ContentError::Silent(source.system.to_string())) };
        if reply.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(ContentError::NobodyThere(source.system.to_string()));
        }
        match decode("a reply about a content", &reply.payload) {
            Ok(ContentReply::Working) => {}
            Ok(ContentReply::Ready(object)) => {
                // Boxed, for the client's own futures are large.
                let reader =
                    Box::pin(async { ContentStore::open(broker).await?.reader(&object).await }).await?;
                return Ok(Content { object, reader });
            }
            Ok(ContentReply::Failed(failure)) => return Err(ContentError::Refused(failure)),
            Err(error) => return Err(ContentError::Store(error.to_string())),
        }
    }
}

/// Deletes all contents of a record, of whatever revision. One that is not there (any more) is deleted.
///
/// Tries again where the broker was away.
// Boxed, for the client's own futures are large, and because the compiler cannot show further out that they are Send.
pub(crate) fn drop_contents_of(
    broker: &Broker,
    source: &Source,
) -> BoxFuture<'static, Result<(), CallError>> {
    let (broker, source) = (broker.clone(), source.clone());
    let attempt = move || {
        let (broker, source) = (broker.clone(), source.clone());
        async move {
            let store = ContentStore::open(&broker).await?;
            for object in store.of(&source).await? {
                store.drop_object(&object).await?;
            }
            Ok(())
        }
        .boxed()
    };
    with_retries(RetryPolicy::default(), attempt).boxed()
}

//! Answering requests for contents.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use databridge_broker::Broker;
use databridge_broker::async_nats::{Message, Subject};
use databridge_http::{Budget, CallError, ErrorClass};
use databridge_model::{
    CollectionName, ContentObject, ContentReply, ContentRequest, Failure, FailureClass, KeyToken, SystemName,
    decode, subject,
};
use databridge_runtime::CancellationToken;
use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::store::{ContentStore, name_of};
use super::{ContentError, OfferedContent, sweep};
use crate::budget::{is_for_the_budget, until_open};

/// Contents that a bridge brings at once.
const MOST_AT_ONCE: usize = 4;
/// How often the one who asked is told that it is being worked on.
const WORKING_EVERY: Duration = Duration::from_secs(5);

/// Gives the contents of a system's records.
pub trait ContentProvider: Send + Sync + 'static {
    /// Begins to read the content of a record.
    fn open(
        &self,
        collection: &CollectionName,
        id: &str,
    ) -> impl Future<Output = Result<OfferedContent, CallError>> + Send;
}

/// The provider of a system whose records have no contents.
#[derive(Clone, Copy, Debug)]
pub enum NoContents {}

impl ContentProvider for NoContents {
    async fn open(&self, _collection: &CollectionName, _id: &str) -> Result<OfferedContent, CallError> {
        match *self {}
    }
}

/// Answers requests for the contents of a system until told to stop; what is under way then is broken off, and the one
/// who asked is told to ask again.
pub async fn serve_content(
    broker: Broker,
    system: SystemName,
    provider: impl ContentProvider,
    budget: Budget,
    stop: CancellationToken,
) -> Result<(), ContentError> {
    let unheard = |error: &dyn std::error::Error| ContentError::Store(error.to_string());
    let client = broker.client().clone();
    let store = Arc::new(ContentStore::open(&broker).await?);
    // Before anybody is answered: what a kill has left.
    sweep::sweep(&broker, &store).await;
    let sweeping = sweep::run(broker.clone(), Arc::clone(&store), stop.clone());
    let desk = Arc::new(ContentDesk {
        store,
        broker,
        provider,
        budget,
        transfers: Semaphore::new(MOST_AT_ONCE),
        turns: Mutex::default(),
        stop: stop.clone(),
    });
    let mut requests = client
        .queue_subscribe(format!("content.{system}.>"), system.to_string())
        .await
        .map_err(|error| unheard(&error))?;
    let mut under_way = JoinSet::new();
    under_way.spawn(sweeping);
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = under_way.join_next() => continue,
            request = requests.next() => request,
        };
        let Some(request) = request else {
            return Err(ContentError::Store("requests for contents do not come any more".to_owned()));
        };
        let desk = Arc::clone(&desk);
        under_way.spawn(async move { desk.answer(request).await });
    }
    drop(requests);
    under_way.join_all().await;
    client.flush().await.map_err(|error| unheard(&error))
}

struct ContentDesk<P> {
    broker: Broker,
    store: Arc<ContentStore>,
    provider: P,
    budget: Budget,
    transfers: Semaphore,
    /// One request for each content at a time: the second finds what the first has brought.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    stop: CancellationToken,
}

impl<P: ContentProvider> ContentDesk<P> {
    async fn answer(&self, request: Message) {
        let Some(inbox) = request.reply.clone() else {
            tracing::warn!(subject = %request.subject, "A content was asked for without saying where the answer goes.");
            return;
        };
        let reply = tokio::select! {
            biased;
            () = self.say_working(&inbox) => return,
            () = self.stop.cancelled() => ContentReply::Failed(stopping()),
            brought = self.brought(&request) => match brought {
                Ok(object) => ContentReply::Ready(object),
                Err(error) => {
                    tracing::warn!(%error, subject = %request.subject, "A content cannot be given.");
                    ContentReply::Failed(error.failure())
                }
            },
        };
        self.say(&inbox, &reply).await;
    }

    /// At once, and then every five seconds for ever.
    async fn say_working(&self, inbox: &Subject) {
        loop {
            self.say(inbox, &ContentReply::Working).await;
            tokio::time::sleep(WORKING_EVERY).await;
        }
    }

    async fn say(&self, inbox: &Subject, reply: &ContentReply) {
        let Ok(body) = serde_json::to_vec(reply) else { return };
        if let Err(error) = self.broker.client().publish(inbox.clone(), body.into()).await {
            tracing::warn!(%error, "The answer to a request for a content cannot be sent.");
        }
    }

    async fn brought(&self, request: &Message) -> Result<ContentObject, CallError> {
        let invalid = |message: String| CallError {
            class: ErrorClass::Invalid,
            call: request.subject.to_string(),
            message,
        };
        let (system, collection, token) = subject::record_parts(&request.subject, 1)
            .ok_or_else(|| invalid("the subject is not content.<system>.<collection>.<id>".to_owned()))?;
        let token = KeyToken::from_subject(token);
        let id = token
            .id()
            .ok_or_else(|| invalid(format!("`{token}` tells no id; it should be `=i` and the encoded id")))?;
        let system = SystemName::parse(system).map_err(|error| invalid(error.to_string()))?;
        let name = CollectionName::parse(collection).map_err(|error| invalid(error.to_string()))?;
        let ContentRequest { run } = decode("a request for a content", &request.payload)
            .map_err(|error| invalid(error.to_string()))?;

        let turn = self.turn(request.subject.as_str());
        let _first = turn.lock().await;
        let Ok(_transfer) = self.transfers.acquire().await else {
            return Err(ContentError::Store("the bridge is stopping".to_owned()).into());
        };
        let offered = loop {
            until_open(&self.budget, &self.broker, &system, run).await;
            match self.provider.open(&name, &id).await {
                Ok(offered) => break offered,
                Err(error) if is_for_the_budget(&self.budget, &error).await => {}
                Err(error) => return Err(error),
            }
        };
        let object = name_of(&system, &name, &token, offered.size);
        if let Some(there) = self.store.whole(&object).await?.filter(|there| there.size == offered.size) {
            return Ok(there);
        }
        self.store.put(&object, offered, self.broker.clock().now()).await
    }

    fn turn(&self, subject: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(subject).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(subject.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

fn stopping() -> Failure {
    Failure {
        class: FailureClass::Transient,
        message: "the bridge that was bringing the content is stopping".to_owned(),
        field: None,
    }
}

//! What bridges and the operator's command ask by NATS request.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use chrono::{DateTime, Utc};
use databridge_broker::Broker;
use databridge_model::{BodyError, TokenReply, TokenRequest, decode};
use databridge_runtime::CancellationToken;
use databridge_seal::SealingKey;
use futures::StreamExt as _;
use futures::stream::select_all;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::link::Links;
use crate::status::Status;
use crate::token_keeper::TokenKeeper;
use crate::vault::Vault;

/// The subjects that the service answers on, as one queue group.
pub mod subjects {
    /// A [`databridge_model::TokenRequest`], answered with a [`databridge_model::TokenReply`]. The token is sealed
    /// under the key of the purpose `token:clio`, with this subject as associated data.
    pub const TOKEN: &str = "auth.token.clio";
    /// A [`super::LinkRequest`], answered with a [`super::LinkReply`].
    pub const LINK: &str = "auth.link.clio";
    /// An empty request, answered with a [`super::StatusReply`].
    pub const STATUS: &str = "auth.status.clio";
}

const QUEUE_GROUP: &str = "auth-service";

/// Asks for a one-time link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkRequest {
    /// Whether the person may connect another account than the one connected before.
    pub another_account: bool,
}

/// The answer to a [`LinkRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LinkReply {
    /// A link that can be opened once.
    Link {
        /// The link.
        url: Url,
        /// Until when it can be opened.
        expires_at: DateTime<Utc>,
    },
    /// There is none.
    Error {
        /// Why.
        error: String,
    },
}

/// The answer to a request for the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatusReply {
    /// The status cannot be told.
    Error {
        /// Why.
        error: String,
    },
    /// The status.
    Status(Box<Status>),
}

/// Answers the requests.
pub(crate) struct Responder {
    pub(crate) broker: Broker,
    pub(crate) vault: Arc<Vault>,
    pub(crate) keeper: TokenKeeper,
    pub(crate) links: Arc<Links>,
    pub(crate) reply_key: SealingKey,
    pub(crate) callback_url: Url,
}

impl Responder {
    /// Subscribes to all subjects, and is sure that the broker knows of it when it returns.
    pub(crate) async fn subscribe(broker: &Broker) -> Result<Vec<Subscriber>, String> {
        let client = broker.client();
        let mut subscribers = Vec::new();
        for subject in [subjects::TOKEN, subjects::LINK, subjects::STATUS] {
            let subscriber = client.queue_subscribe(subject, QUEUE_GROUP.to_owned()).await;
            subscribers.push(subscriber.map_err(|e| e.to_string())?);
        }
        client.flush().await.map_err(|e| e.to_string())?;
        Ok(subscribers)
    }

    /// Answers until it is asked to stop. What has begun goes on in `tasks`: a renewal must not be cut off.
    pub(crate) async fn answer(
        self,
        subscribers: Vec<Subscriber>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let this = Arc::new(self);
        let mut messages = select_all(subscribers);
        loop {
            let message = tokio::select! {
                () = stop.cancelled() => break,
                message = messages.next() => message,
            };
            let Some(message) = message else { break };
            let this = Arc::clone(&this);
            tasks.spawn(async move { this.reply_to(message).await });
        }
        for mut subscriber in messages {
            if let Err(error) = subscriber.unsubscribe().await {
                tracing::debug!(%error, "A subscription could not be given up.");
            }
        }
    }

    async fn reply_to(&self, message: Message) {
        let Some(reply_to) = message.reply.clone() else { return };
        let subject = message.subject.as_str();
        let body = match subject {
            subjects::TOKEN => serde_json::to_vec(&self.token(subject, &message.payload).await),
            subjects::LINK => serde_json::to_vec(&self.link(&message.payload).await),
            _ => serde_json::to_vec(&self.status().await),
        };
        match body {
            Ok(body) => {
                if let Err(error) = self.broker.client().publish(reply_to, body.into()).await {
                    tracing::warn!(%error, subject, "A reply could not be sent.");
                }
            }
            Err(error) => tracing::error!(%error, subject, "A reply could not be written."),
        }
    }

    async fn token(&self, subject: &str, body: &[u8]) -> TokenReply {
        let request: Result<TokenRequest, BodyError> = decode("a token request", body);
        let request = match request {
            Ok(request) => request,
            Err(error) => return TokenReply::None { reason: error.to_string() },
        };
        let given = match self.keeper.token(request.refused.as_deref()).await {
            Ok(given) => given,
            Err(error) => return TokenReply::None { reason: error.to_string() },
        };
        let sealed = self.reply_key.seal(given.access_token.expose_secret().as_bytes(), subject.as_bytes());
        match sealed {
            Ok(sealed) => TokenReply::Token { sealed: sealed.to_string(), expires_at: given.expires_at },
            Err(error) => TokenReply::None { reason: error.to_string() },
        }
    }

    async fn link(&self, body: &[u8]) -> LinkReply {
        let request: Result<LinkRequest, BodyError> = decode("a request for a link", body);
        let made = match request {
            Ok(request) => self.links.make(request.another_account).await,
            Err(error) => return LinkReply::Error { error: error.to_string() },
        };
        match made {
            Ok((code, link)) => {
                let mut url = self.callback_url.clone();
                url.set_path("/auth");
                url.query_pairs_mut().append_pair("link", code.expose_secret());
                LinkReply::Link { url, expires_at: link.expires_at }
            }
            Err(error) => LinkReply::Error { error: log_and_tell(&error) },
        }
    }

    async fn status(&self) -> StatusReply {
        match self.vault.read().await {
            Ok(held) => StatusReply::Status(Box::new(Status::of(held.as_ref(), &self.vault))),
            Err(error) => StatusReply::Error { error: log_and_tell(&error) },
        }
    }
}

fn log_and_tell(error: &dyn std::error::Error) -> String {
    tracing::error!(%error, "A request could not be answered.");
    error.to_string()
}

//! The access token, asked of the auth-service and kept until it ends.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_broker::Broker;
use databridge_broker::async_nats::RequestErrorKind;
use databridge_model::{TokenReply, TokenRequest, token_fingerprint};
use databridge_runtime::{Clock, jittered};
use databridge_seal::{Sealed, SealingKey};
use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

/// The subject on which the auth-service gives Clio's tokens.
pub const SUBJECT: &str = "auth.token.clio";

/// The purpose under which tokens on their way are sealed.
pub const PURPOSE: &str = "token:clio";

/// There is no token. Nothing was sent to Clio.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// The auth-service has none to give.
    #[error("there is no sign-in to Clio: {0}")]
    None(String),
    /// The auth-service is not there.
    #[error("the auth-service does not answer ({0}); start it, the sign-in to Clio comes from there")]
    Silent(String),
    /// Its answer cannot be read.
    #[error("the auth-service's token cannot be read: {0}; both services need the same DATABRIDGE_KEY")]
    Unreadable(String),
}

/// A token; clones share it.
#[derive(Clone, Debug)]
pub struct Token(Arc<SecretString>);

impl Token {
    /// Takes a token's text.
    pub fn new(text: SecretString) -> Self {
        Self(Arc::new(text))
    }

    pub(crate) fn text(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

/// Where tokens come from.
pub trait TokenSource: Send + Sync + 'static {
    /// The token to use now.
    fn token(&self) -> BoxFuture<'_, Result<Token, TokenError>>;

    /// Clio refused this token: another one, or the same where there is no other.
    fn refused<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Token, TokenError>>;
}

/// A token that never changes.
#[derive(Clone, Debug)]
pub struct FixedToken(pub Token);

impl TokenSource for FixedToken {
    fn token(&self) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }

    fn refused<'a>(&'a self, _token: &'a Token) -> BoxFuture<'a, Result<Token, TokenError>> {
        self.token()
    }
}

/// Tokens of the auth-service, asked for over NATS.
#[derive(Debug)]
pub struct AuthServiceTokens {
    broker: Broker,
    key: SealingKey,
    clock: Clock,
    held: Mutex<Option<Held>>,
}

#[derive(Clone, Debug)]
struct Held {
    token: Token,
    expires_at: DateTime<Utc>,
    asked_at: DateTime<Utc>,
}

/// A token that ends this soon is asked for anew.
const NEAR_END: TimeDelta = TimeDelta::seconds(30);

/// While the token held is near its end, the auth-service is asked no more often than this.
const ASK_APART: TimeDelta = TimeDelta::seconds(5);

/// How long a silent auth-service is waited for where no token is held: it may be starting.
const PATIENCE: Duration = Duration::from_secs(10);

impl AuthServiceTokens {
    /// Asks over this connection and opens what comes with the key of [`PURPOSE`].
    pub fn new(broker: Broker, key: SealingKey, clock: Clock) -> Self {
        Self { broker, key, clock, held: Mutex::new(None) }
    }

    async fn current(&self) -> Result<Token, TokenError> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let valid = held.as_ref().filter(|held| now < held.expires_at);
        if let Some(valid) = valid
            && (now < valid.expires_at - NEAR_END || now < valid.asked_at + ASK_APART)
        {
            return Ok(valid.token.clone());
        }
        let patience = if valid.is_some() { Duration::ZERO } else { PATIENCE };
        match (self.ask(&TokenRequest::default(), patience).await, valid) {
            (Ok(fresh), _) => Ok(held.insert(fresh).token.clone()),
            (Err(error), Some(valid)) => {
                tracing::warn!(%error, "No new token for Clio; the one held is used until it ends.");
                let kept = Held { asked_at: now, ..valid.clone() };
                Ok(held.insert(kept).token.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn after_refusal(&self, refused: &Token) -> Result<Token, TokenError> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref()
            && !held.token.is(refused)
        {
            return Ok(held.token.clone());
        }
        *held = None;
        let request = TokenRequest { refused: Some(token_fingerprint(refused.text())) };
        let fresh = self.ask(&request, PATIENCE).await?;
        Ok(held.insert(fresh).token.clone())
    }

    async fn ask(&self, request: &TokenRequest, patience: Duration) -> Result<Held, TokenError> {
        let unreadable = |error: &dyn std::fmt::Display| TokenError::Unreadable(error.to_string());
        let body: bytes::Bytes = serde_json::to_vec(request).map_err(|e| unreadable(&e))?.into();
        let deadline = tokio::time::Instant::now() + patience;
        let reply = loop {
            let error = match self.broker.client().request(SUBJECT, body.clone()).await {
                Ok(reply) => break reply,
                Err(error) => error,
            };
            if tokio::time::Instant::now() >= deadline {
                let why = match error.kind() {
                    RequestErrorKind::NoResponders => "it is not running".to_owned(),
                    RequestErrorKind::TimedOut => "no answer in time".to_owned(),
                    _ => error.to_string(),
                };
                return Err(TokenError::Silent(why));
            }
            tokio::time::sleep(jittered(Duration::from_millis(500))).await;
        };
        // The text of a parse error could show a part of the reply, so only its place is told.
        let reply: TokenReply = serde_json::from_slice(&reply.payload)
            .map_err(|e| unreadable(&format!("no token reply at column {}", e.column())))?;
        match reply {
            TokenReply::None { reason } => Err(TokenError::None(reason)),
            TokenReply::Token { sealed, expires_at } => {
                let sealed: Sealed = sealed.parse().map_err(|e| unreadable(&e))?;
                let text = self.key.open_text(&sealed, SUBJECT.as_bytes()).map_err(|e| unreadable(&e))?;
                Ok(Held { token: Token::new(text), expires_at, asked_at: self.clock.now() })
            }
        }
    }
}

impl TokenSource for AuthServiceTokens {
    fn token(&self) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(self.current())
    }

    fn refused<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(self.after_refusal(token))
    }
}

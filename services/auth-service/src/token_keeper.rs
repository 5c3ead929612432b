//! Gives out the access token, and renews it before it ends: once, however many ask, over all replicas.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_broker::BucketError;
use databridge_runtime::{Clock, jittered};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clio::{Clio, ClioError, Granted};
use crate::connection::{Connection, Failure, Tokens};
use crate::lease::Leases;
use crate::vault::{Held, Vault, VaultError};

/// After a renewal that failed, none is tried for so long.
const COOL_DOWN: TimeDelta = TimeDelta::seconds(30);

/// The same once Clio has refused the refresh token. It is tried again all the same: Clio may have erred.
const COOL_DOWN_AFTER_REFUSAL: TimeDelta = TimeDelta::minutes(15);

/// How long another replica's renewal is waited for.
const LEASE_PATIENCE: Duration = Duration::from_secs(65);

/// How long a renewed token is tried to be stored; it may be the only copy of a rotated refresh token.
const STORE_PATIENCE: Duration = Duration::from_mins(10);

/// An access token to give out.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) access_token: SecretString,
    pub(crate) expires_at: DateTime<Utc>,
}

/// There is no token to give; the text says why and what a person should do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoToken {
    #[error("Clio is not connected; run `databridge connect`")]
    NotConnected,
    #[error("{0}; run `databridge connect`")]
    NeedsConsent(String),
    #[error("Clio's token could not be renewed: {0}; it is tried again by itself")]
    NotRenewed(String),
    #[error("another replica of the auth-service is renewing Clio's token and does not come to an end")]
    Busy,
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<BucketError> for NoToken {
    fn from(error: BucketError) -> Self {
        Self::Vault(error.into())
    }
}

/// Keeps the token fresh.
pub(crate) struct TokenKeeper {
    vault: Arc<Vault>,
    clio: Arc<Clio>,
    leases: Leases,
    clock: Clock,
    renewing: Mutex<()>,
}

/// A connection with its tokens opened.
struct Opened {
    held: Held,
    tokens: Tokens,
}

impl Opened {
    fn given(self) -> Given {
        Given { access_token: self.tokens.access_token, expires_at: self.held.connection.expires_at }
    }

    fn is_refused(&self, refused: Option<&str>) -> bool {
        refused.is_some_and(|fingerprint| self.tokens.are_named_by(fingerprint))
    }

    /// The token while it can be used, else why there is none.
    fn given_or(self, now: DateTime<Utc>, refused: Option<&str>, why: NoToken) -> Result<Given, NoToken> {
        if self.held.connection.is_over(now) || self.is_refused(refused) {
            Err(why)
        } else {
            Ok(self.given())
        }
    }
}

impl TokenKeeper {
    pub(crate) fn new(vault: Arc<Vault>, clio: Arc<Clio>, leases: Leases, clock: Clock) -> Self {
        Self { vault, clio, leases, clock, renewing: Mutex::new(()) }
    }

    /// The access token. `refused` names one that Clio has refused, by its [`databridge_model::token_fingerprint`].
    pub(crate) async fn token(&self, refused: Option<&str>) -> Result<Given, NoToken> {
        let opened = self.open().await?;
        if !self.is_to_be_renewed(&opened, refused) {
            return Ok(opened.given());
        }
        let _one_at_a_time = self.renewing.lock().await;
        let deadline = Instant::now() + LEASE_PATIENCE;
        loop {
            let opened = self.open().await?;
            if !self.is_to_be_renewed(&opened, refused) {
                return Ok(opened.given());
            }
            if let Some(why) = self.must_not_try(&opened.held.connection) {
                return opened.given_or(self.clock.now(), refused, why);
            }
            if let Some(lease) = self.leases.try_take().await? {
                let given = self.renewed_unless_done(refused).await;
                self.leases.give_back(lease).await;
                return given;
            }
            if Instant::now() >= deadline {
                return opened.given_or(self.clock.now(), refused, NoToken::Busy);
            }
            tokio::time::sleep(jittered(Duration::from_millis(200))).await;
        }
    }

    async fn open(&self) -> Result<Opened, NoToken> {
        let held = self.vault.read().await?.ok_or(NoToken::NotConnected)?;
        let tokens = self.vault.unseal(&held.connection)?;
        Ok(Opened { held, tokens })
    }

    fn is_to_be_renewed(&self, opened: &Opened, refused: Option<&str>) -> bool {
        opened.held.connection.is_due(self.clock.now()) || opened.is_refused(refused)
    }

    /// Why no renewal is tried at the moment.
    fn must_not_try(&self, connection: &Connection) -> Option<NoToken> {
        let failure = connection.last_failure.as_ref()?;
        let (cool_down, why) = match &connection.needs_consent {
            Some(reason) => (COOL_DOWN_AFTER_REFUSAL, NoToken::NeedsConsent(reason.clone())),
            None => (COOL_DOWN, NoToken::NotRenewed(failure.reason.clone())),
        };
        (self.clock.now() < failure.at + cool_down).then_some(why)
    }

    /// Renews, having the lease, unless another did just before.
    async fn renewed_unless_done(&self, refused: Option<&str>) -> Result<Given, NoToken> {
        let opened = self.open().await?;
        if !self.is_to_be_renewed(&opened, refused) {
            return Ok(opened.given());
        }
        if let Some(why) = self.must_not_try(&opened.held.connection) {
            return opened.given_or(self.clock.now(), refused, why);
        }
        let Some(refresh_token) = opened.tokens.refresh_token.clone() else {
            let reason = "Clio gave no refresh token, so the access has ended";
            return self.failed(opened, refused, reason.to_owned(), true).await;
        };
        let asked_at = self.clock.now();
        fail::fail_point!("auth.before-refresh");
        let granted = self.clio.refresh(&refresh_token).await;
        fail::fail_point!("auth.after-refresh");
        match granted {
            Ok(granted) => self.store(opened, granted, asked_at).await,
            Err(ClioError::InvalidGrant) => self.refused_by_clio(opened, refused).await,
            Err(error) => self.failed(opened, refused, error.to_string(), false).await,
        }
    }

    async fn store(
        &self,
        spent: Opened,
        granted: Granted,
        asked_at: DateTime<Utc>,
    ) -> Result<Given, NoToken> {
        let deadline = Instant::now() + STORE_PATIENCE;
        let sealed = self.vault.seal(&granted.tokens)?;
        let expires_at = asked_at + granted.lifetime;
        let mut held = spent.held;
        loop {
            let connection = Connection {
                issued_at: asked_at,
                expires_at,
                tokens: sealed.clone(),
                needs_consent: None,
                last_failure: None,
                ..held.connection
            };
            match self.vault.write(&connection, Some(held.revision)).await {
                Ok(()) => {
                    fail::fail_point!("auth.after-store");
                    tracing::info!(expires_at = %expires_at, "Clio's access token was renewed.");
                    return Ok(Given { access_token: granted.tokens.access_token, expires_at });
                }
                Err(error) if error.is_moved() => {
                    let now_held = self.open().await?;
                    if !now_held.tokens.have_same_refresh_token(&spent.tokens) {
                        return Ok(now_held.given());
                    }
                    held = now_held.held;
                }
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%error, "A renewed token of Clio cannot be stored yet; trying again.");
                    held.connection = connection;
                }
            }
        }
    }

    /// Clio does not take the refresh token. Another may have spent it, and stored the next one, a moment ago.
    async fn refused_by_clio(&self, spent: Opened, refused: Option<&str>) -> Result<Given, NoToken> {
        let now_held = self.open().await?;
        if !now_held.tokens.have_same_refresh_token(&spent.tokens) {
            return Ok(now_held.given());
        }
        let reason = "Clio no longer accepts the access that was allowed: it was taken back in Clio, or the \
                      application was changed there";
        self.failed(now_held, refused, reason.to_owned(), true).await
    }

    /// Notes the failure beside the tokens, which stay as they are.
    async fn failed(
        &self,
        opened: Opened,
        refused: Option<&str>,
        reason: String,
        needs_consent: bool,
    ) -> Result<Given, NoToken> {
        tracing::warn!(reason, needs_consent, "Clio's access token was not renewed.");
        let now = self.clock.now();
        let mut connection = opened.held.connection.clone();
        connection.last_failure = Some(Failure { at: now, reason: reason.clone() });
        if needs_consent {
            connection.needs_consent = Some(reason.clone());
        }
        match self.vault.write(&connection, Some(opened.held.revision)).await {
            Ok(()) => {}
            // Somebody consented meanwhile; the next request gets that token.
            Err(error) if error.is_moved() => {}
            Err(error) => return Err(error.into()),
        }
        let why = if needs_consent { NoToken::NeedsConsent(reason) } else { NoToken::NotRenewed(reason) };
        opened.given_or(now, refused, why)
    }
}

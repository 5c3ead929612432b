//! The service as a whole.

use std::sync::Arc;
use std::time::Duration;

use databridge_broker::{Broker, BucketError, Needs, Standing, names, ready};
use databridge_runtime::{CancellationToken, Clock};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::clio::{Clio, ClioSetupError};
use crate::lease::Leases;
use crate::link::Links;
use crate::requests::Responder;
use crate::settings::Settings;
use crate::token_keeper::TokenKeeper;
use crate::vault::Vault;
use crate::web::{self, Web};

/// How long answers that have begun may take after the order to stop.
const GRACE: Duration = Duration::from_secs(25);

/// The service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The bucket of the tokens cannot be opened.
    #[error("the token vault cannot be opened: {0}")]
    Vault(#[from] BucketError),
    /// Requests cannot be listened for.
    #[error("NATS requests cannot be listened for: {0}")]
    Subscribe(String),
    /// The client for Clio cannot be made.
    #[error("{0}")]
    Clio(String),
    /// The web page cannot be served.
    #[error("the web page cannot be served: {0}")]
    Web(#[from] std::io::Error),
}

impl From<ClioSetupError> for AuthError {
    fn from(error: ClioSetupError) -> Self {
        Self::Clio(error.to_string())
    }
}

/// What it must find in the broker.
const NEEDS: Needs = Needs { streams: &[], buckets: &[names::TOKENS, names::LEASES], contents: false };

/// Serves the page on `listener` and the requests on NATS until `stop`. Replicas do so side by side.
pub async fn run(
    settings: Settings,
    broker: Broker,
    clock: Clock,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), AuthError> {
    warn_of_clear_text(&settings);
    if !ready(&broker, NEEDS, &stop).await {
        return Ok(());
    }
    let clio = Arc::new(Clio::new(&settings)?);
    let open = async || -> Result<_, AuthError> {
        let vault = Vault::open(&broker, &settings.key).await?;
        let links = Links::open(&broker, clock.clone()).await?;
        let leases = Leases::open(&broker).await?;
        let subscribers = Responder::subscribe(&broker).await.map_err(AuthError::Subscribe)?;
        Ok((Arc::new(vault), Arc::new(links), leases, subscribers))
    };
    let (vault, links, leases, subscribers) = loop {
        let losses = broker.losses();
        match open().await {
            Err(error) if broker.begins_anew(losses, &error, &stop).await => {}
            opened => break opened?,
        }
    };
    let responder = Responder {
        broker: broker.clone(),
        vault: Arc::clone(&vault),
        keeper: TokenKeeper::new(Arc::clone(&vault), Arc::clone(&clio), leases, clock.clone()),
        links: Arc::clone(&links),
        reply_key: settings.key.derive("token:clio"),
        callback_url: settings.callback_url.clone(),
    };
    broker.health().stands(Standing::AtWork);
    let router = web::router(Web {
        is_https: settings.is_https(),
        cookie_key: settings.key.derive("cookie"),
        broker,
        vault,
        links,
        clio,
        clock,
    });

    let tasks = TaskTracker::new();
    // Either part ends the other: a service that only half works would look alive.
    let both = stop.child_token();
    let page = async {
        let stopped = both.clone().cancelled_owned();
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
        let late = async {
            both.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let ended = tokio::select! {
            ended = served => ended,
            () = late => Ok(()),
        };
        both.cancel();
        ended
    };
    let requests = async {
        responder.answer(subscribers, tasks.clone(), both.clone()).await;
        both.cancel();
    };
    let (ended, ()) = tokio::join!(page, requests);
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::warn!("Some requests were not answered in time before the stop.");
    }
    ended?;
    if stop.is_cancelled() { Ok(()) } else { Err(AuthError::Subscribe("the subscriptions ended".to_owned())) }
}

fn warn_of_clear_text(settings: &Settings) {
    let host = settings.callback_url.host_str().unwrap_or_default();
    if !settings.is_https() && !matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
        tracing::warn!(
            host,
            "CLIO_CALLBACK_URL is not https: links and codes travel unencrypted to that host."
        );
    }
}

//! What NATS does not allow. The server says so beside the request, which itself is never answered (nats.md, section 2,
//! Auth): who waits for the answer listens for the denial too, and need not wait for a time-out.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::broadcast;

use crate::Broker;

/// How the server begins when it denies something.
const DENIES: &str = "permissions violation";

/// How many denials are kept for those who listen.
const KEPT: usize = 64;

/// NATS does not allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "NATS denies it to the user {user}: {what}. It is a right that the user lacks in the server's configuration, not a \
     failure of the network; config/nats.conf has the rights of each service"
)]
pub struct Denied {
    user: Arc<str>,
    what: String,
}

/// Tells of denials.
#[derive(Clone, Debug)]
pub(crate) struct Denials {
    user: Arc<str>,
    told: broadcast::Sender<Arc<str>>,
}

impl Denials {
    pub(crate) fn of(user: Option<&str>) -> Self {
        Self { user: user.unwrap_or("without a name").into(), told: broadcast::Sender::new(KEPT) }
    }

    /// Takes note of an error that the server told, if it is a denial.
    pub(crate) fn note(&self, error: &str) -> bool {
        let denies = error.to_lowercase().contains(DENIES);
        if denies {
            // Nobody may be waiting for it.
            drop(self.told.send(error.into()));
        }
        denies
    }
}

impl Broker {
    /// Asks, unless NATS denies something that has one of these texts in its subject.
    pub(crate) fn unless_denied<'a, T>(
        &'a self,
        about: &'a [&'a str],
        ask: impl Future<Output = T> + 'a,
    ) -> impl Future<Output = Result<T, Denied>> + 'a {
        // It is large, and would be a part of every future that asks.
        let ask = Box::pin(ask);
        let mut told = self.denials.told.subscribe();
        async move {
            let denied = async {
                loop {
                    match told.recv().await {
                        Ok(what) if about.iter().any(|text| what.contains(text)) => return what,
                        Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                answer = ask => Ok(answer),
                what = denied => Err(Denied { user: Arc::clone(&self.denials.user), what: what.to_string() }),
            }
        }
    }
}

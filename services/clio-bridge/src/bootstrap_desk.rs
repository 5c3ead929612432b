//! Answering requests for a bootstrap over NATS, so that who asks needs to know nothing of Clio.

use std::sync::Arc;

use databridge_broker::Broker;
use databridge_broker::async_nats::{Message, SubscribeError};
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Report, bootstrap};
use crate::catalogue::Catalogue;
use crate::client::ClioClient;
use crate::settings::BridgeSettings;

/// The subject of the request. Its body is not read; the answer may take some minutes where the limit is low.
pub const BOOTSTRAP_SUBJECT: &str = "bootstrap.clio";

/// Of several bridges one answers.
const QUEUE: &str = "clio-bridge";

/// The answer: `{"report": {"found": [...], "made": [...]}}` or `{"error": "..."}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootstrapReply {
    /// Clio is ready.
    Report(Report),
    /// It is not: why, and what to do.
    Error(String),
}

/// Does bootstraps, one at a time.
#[derive(Debug)]
pub(crate) struct BootstrapDesk {
    pub(crate) broker: Broker,
    pub(crate) client: ClioClient,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) settings: BridgeSettings,
    pub(crate) clock: Clock,
}

impl BootstrapDesk {
    /// Answers until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), SubscribeError> {
        let mut requests = self.broker.client().queue_subscribe(BOOTSTRAP_SUBJECT, QUEUE.to_owned()).await?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                request = requests.next() => match request {
                    Some(request) => self.answer(&request).await,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn answer(&self, request: &Message) {
        let reply = match self.make_ready().await {
            Ok(report) => BootstrapReply::Report(report),
            Err(error) => {
                tracing::error!(error, "The bootstrap failed.");
                BootstrapReply::Error(error)
            }
        };
        let (Some(to), Ok(body)) = (request.reply.clone(), serde_json::to_vec(&reply)) else { return };
        if let Err(error) = self.broker.client().publish(to, body.into()).await {
            tracing::warn!(%error, "The bootstrap's answer could not be sent.");
        }
    }

    async fn make_ready(&self) -> Result<Report, String> {
        let (found, report) =
            bootstrap(&self.client, &self.settings, &self.clock).await.map_err(|error| error.to_string())?;
        self.catalogue.keep(found).await.map_err(|error| error.to_string())?;
        Ok(report)
    }
}

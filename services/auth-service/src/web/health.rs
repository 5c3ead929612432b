//! `/health`: whether the service can do its work, for programs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Web;
use crate::status::Status;

/// Less than what probes usually wait.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    nats: &'static str,
    /// Not part of `status`: a service that waits for a person's consent is well.
    clio: &'static str,
}

pub(crate) async fn show(State(web): State<Arc<Web>>) -> (StatusCode, Json<Health>) {
    let read = if web.broker.is_connected() {
        tokio::time::timeout(PATIENCE, web.vault.read()).await.ok()
    } else {
        None
    };
    let Some(Ok(held)) = read else {
        let health = Health { status: "unavailable", nats: "away", clio: "unknown" };
        return (StatusCode::SERVICE_UNAVAILABLE, Json(health));
    };
    let clio = match Status::of(held.as_ref(), &web.vault) {
        Status { connected: true, .. } => "connected",
        Status { account: None, connected_by: None, .. } => "not connected",
        _ => "needs consent",
    };
    (StatusCode::OK, Json(Health { status: "ok", nats: "connected", clio }))
}

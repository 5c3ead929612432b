//! The admin side, `/admin`: a person's hand, counters, faults, the clock. Not counted and never struck by a fault.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::clio::hand::{ClioSettings, FieldEdit, MatterEdit, NewMatter};
use crate::clio::{self, ClioState, edited};
use crate::clock::Clock;
use crate::faults::Fault;
use crate::gateway::Gateway;
use crate::gis::{self, GisState};

/// What the admin side works on.
#[derive(Clone)]
pub(crate) struct AdminState {
    /// The gateway with counters, faults and traffic.
    pub(crate) gateway: Arc<Gateway>,
    /// The Clio half.
    pub(crate) clio: Arc<ClioState>,
    /// The ArcGIS half.
    pub(crate) gis: Arc<GisState>,
    /// The clock of both.
    pub(crate) clock: Clock,
}

/// The routes, mounted at `/admin`.
pub(crate) fn router(state: AdminState) -> Router {
    let clio_records = clio::admin_router(Arc::clone(&state.clio)).with_state(());
    let gis_routes = gis::admin_router(Arc::clone(&state.gis));
    Router::new()
        .route("/calls", get(calls))
        .route("/calls/reset", post(reset_calls))
        .route("/traffic", get(traffic).post(record_traffic))
        .route("/strays", get(strays).delete(forget_strays))
        .route("/faults", get(faults).post(arm).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/faults/{id}/release", post(release))
        .route("/clock", get(clock).post(advance_clock))
        .nest("/clio", clio_routes().merge(clio_records))
        .with_state(state)
        .nest("/gis", gis_routes)
}

fn clio_routes() -> Router<AdminState> {
    Router::new()
        .route("/matters", get(matters).post(add_matter))
        .route("/matters/{id}", patch(edit_matter).delete(delete_matter))
        .route("/custom_fields", get(custom_fields))
        .route("/custom_fields/{name}", patch(edit_custom_field))
        .route("/contacts", get(contacts))
        .route("/groups", get(groups))
        .route("/practice_areas", get(practice_areas))
        .route("/users", get(users))
        .route("/settings", post(settings))
        .route("/revoke_tokens", post(revoke_tokens))
}

fn done() -> Response {
    Json(json!({"done": true})).into_response()
}

fn no_such(what: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": format!("there is no such {what}")}))).into_response()
}

async fn calls(State(state): State<AdminState>) -> Response {
    Json(state.gateway.calls()).into_response()
}

async fn reset_calls(State(state): State<AdminState>) -> Response {
    state.gateway.reset_calls();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    record: bool,
}

async fn record_traffic(State(state): State<AdminState>, Json(wanted): Json<Recording>) -> Response {
    state.gateway.recorder.set(wanted.record);
    done()
}

async fn traffic(State(state): State<AdminState>) -> Response {
    Json(state.gateway.recorder.all()).into_response()
}

async fn strays(State(state): State<AdminState>) -> Response {
    Json(state.clio.strays().all()).into_response()
}

async fn forget_strays(State(state): State<AdminState>) -> Response {
    state.clio.strays().clear();
    done()
}

async fn arm(State(state): State<AdminState>, Json(fault): Json<Fault>) -> Response {
    Json(json!({"id": state.gateway.faults.arm(fault)})).into_response()
}

async fn faults(State(state): State<AdminState>) -> Response {
    Json(state.gateway.faults.list()).into_response()
}

async fn clear_faults(State(state): State<AdminState>) -> Response {
    state.gateway.faults.clear();
    done()
}

async fn remove_fault(State(state): State<AdminState>, Path(id): Path<u64>) -> Response {
    if state.gateway.faults.remove(id) { done() } else { no_such("fault") }
}

async fn release(State(state): State<AdminState>, Path(id): Path<u64>) -> Response {
    if state.gateway.faults.release(id) { done() } else { no_such("fault") }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: u64,
}

async fn clock(State(state): State<AdminState>) -> Response {
    Json(json!({"now": state.clock.now()})).into_response()
}

async fn advance_clock(State(state): State<AdminState>, Json(wanted): Json<Advance>) -> Response {
    state.clock.advance(Duration::from_secs(wanted.advance_seconds));
    done()
}

async fn matters(State(state): State<AdminState>) -> Response {
    Json(state.clio.matter_pages()).into_response()
}

async fn add_matter(State(state): State<AdminState>, Json(new): Json<NewMatter>) -> Response {
    edited(state.clio.add_by_hand(new))
}

async fn edit_matter(
    State(state): State<AdminState>,
    Path(id): Path<i64>,
    Json(edit): Json<MatterEdit>,
) -> Response {
    edited(state.clio.edit_by_hand(id, &edit))
}

async fn delete_matter(State(state): State<AdminState>, Path(id): Path<i64>) -> Response {
    edited(state.clio.delete_by_hand(id))
}

async fn custom_fields(State(state): State<AdminState>) -> Response {
    Json(state.clio.field_pages()).into_response()
}

async fn edit_custom_field(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Json(edit): Json<FieldEdit>,
) -> Response {
    edited(state.clio.edit_field_by_hand(&name, &edit))
}

async fn contacts(State(state): State<AdminState>) -> Response {
    Json(state.clio.contact_names()).into_response()
}

async fn groups(State(state): State<AdminState>) -> Response {
    Json(state.clio.group_names()).into_response()
}

async fn practice_areas(State(state): State<AdminState>) -> Response {
    Json(state.clio.practice_area_names()).into_response()
}

async fn users(State(state): State<AdminState>) -> Response {
    Json(state.clio.user_names()).into_response()
}

async fn settings(State(state): State<AdminState>, Json(wanted): Json<ClioSettings>) -> Response {
    if !state.clio.set(&wanted) {
        return no_such("user");
    }
    done()
}

async fn revoke_tokens(State(state): State<AdminState>) -> Response {
    state.clio.revoke_tokens();
    done()
}

//! The admin side of notes, calendars and documents: what a person does in their pages.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::hand::{DocumentEdit, EntryEdit, NewDocument, NewEntry, NewNote, NoteEdit};
use super::{ClioState, DeskError};

type Clio = State<Arc<ClioState>>;

/// The routes, mounted below `/admin/clio`.
pub(crate) fn admin_router(state: Arc<ClioState>) -> Router {
    Router::new()
        .route("/notes", get(notes).post(add_note))
        .route("/notes/{id}", patch(edit_note).delete(delete_note))
        .route("/calendars", get(calendars).post(add_calendar))
        .route("/calendars/{id}", delete(delete_calendar))
        .route("/calendar_entries", get(entries).post(add_entry))
        .route("/calendar_entries/{id}", patch(edit_entry).delete(delete_entry))
        .route("/documents", get(documents).post(add_document))
        .route("/documents/{id}", patch(edit_document).delete(delete_document))
        .route("/documents/{id}/bytes", get(document_bytes))
        .route("/end_upload_addresses", post(end_upload_addresses))
        .with_state(state)
}

/// The answer to a person's edit.
pub(crate) fn edited<T: Serialize>(result: Result<T, DeskError>) -> Response {
    match result {
        Ok(page) => Json(page).into_response(),
        Err(error) => {
            let status = match error {
                DeskError::Missing(_) => StatusCode::NOT_FOUND,
                DeskError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            };
            (status, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}

async fn notes(State(clio): Clio) -> Response {
    Json(clio.note_pages()).into_response()
}

async fn add_note(State(clio): Clio, Json(new): Json<NewNote>) -> Response {
    edited(clio.add_note_by_hand(new))
}

async fn edit_note(State(clio): Clio, Path(id): Path<i64>, Json(edit): Json<NoteEdit>) -> Response {
    edited(clio.edit_note_by_hand(id, edit))
}

async fn delete_note(State(clio): Clio, Path(id): Path<i64>) -> Response {
    edited(clio.delete_note_by_hand(id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCalendar {
    name: String,
}

async fn calendars(State(clio): Clio) -> Response {
    Json(clio.calendar_names()).into_response()
}

async fn add_calendar(State(clio): Clio, Json(new): Json<NewCalendar>) -> Response {
    Json(clio.add_calendar_by_hand(&new.name)).into_response()
}

async fn delete_calendar(State(clio): Clio, Path(id): Path<i64>) -> Response {
    edited(clio.delete_calendar_by_hand(id))
}

async fn entries(State(clio): Clio) -> Response {
    Json(clio.entry_pages()).into_response()
}

async fn add_entry(State(clio): Clio, Json(new): Json<NewEntry>) -> Response {
    edited(clio.add_entry_by_hand(new))
}

async fn edit_entry(State(clio): Clio, Path(id): Path<i64>, Json(edit): Json<EntryEdit>) -> Response {
    edited(clio.edit_entry_by_hand(id, edit))
}

async fn delete_entry(State(clio): Clio, Path(id): Path<i64>) -> Response {
    edited(clio.delete_entry_by_hand(id))
}

async fn documents(State(clio): Clio) -> Response {
    Json(clio.document_pages()).into_response()
}

async fn add_document(State(clio): Clio, Json(new): Json<NewDocument>) -> Response {
    edited(clio.add_document_by_hand(new).await)
}

async fn edit_document(State(clio): Clio, Path(id): Path<i64>, Json(edit): Json<DocumentEdit>) -> Response {
    edited(clio.edit_document_by_hand(id, edit).await)
}

async fn delete_document(State(clio): Clio, Path(id): Path<i64>) -> Response {
    edited(clio.delete_document_by_hand(id))
}

async fn document_bytes(State(clio): Clio, Path(id): Path<i64>) -> Response {
    match clio.document_bytes(id).await {
        Ok(body) => body.into_response(),
        Err(error) => edited::<()>(Err(error)),
    }
}

async fn end_upload_addresses(State(clio): Clio) -> Response {
    clio.end_upload_addresses();
    Json(()).into_response()
}

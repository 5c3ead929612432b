//! The HTTP routes of the storage.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::refusal::StorageRefusal;
use super::{Content, address};
use crate::clio::ClioState;
use crate::files::ReceiveError;
use crate::gateway::{AsItIs, OnItsWay};

/// The routes, for the listener's root.
pub(crate) fn storage_router(state: Arc<ClioState>) -> Router {
    Router::new().route("/storage/{uuid}", any(answer)).with_state(state)
}

async fn answer(State(clio): State<Arc<ClioState>>, Path(uuid): Path<String>, request: Request) -> Response {
    let answered = match *request.method() {
        Method::PUT => put(&clio, &uuid, request).await,
        Method::GET => match clio.may_use_storage(&request, &uuid) {
            Ok(()) => get(&clio, &uuid).await,
            Err(refusal) => Err(refusal),
        },
        _ => Err(StorageRefusal::method()),
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    // S3 compresses nothing.
    response.extensions_mut().insert(AsItIs);
    response
}

/// Stores a body as it is: what it holds is not looked at.
async fn put(clio: &ClioState, uuid: &str, request: Request) -> Result<Response, StorageRefusal> {
    clio.may_use_storage(&request, uuid)?;
    clio.may_upload(uuid, request.headers())?;
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        return Err(StorageRefusal::chunked());
    }
    if !request.headers().contains_key(header::CONTENT_LENGTH) {
        return Err(StorageRefusal::no_length());
    }
    let received = clio.files.receive(uuid, request.into_body().into_data_stream()).await;
    let content = received.and_then(|file| Ok(Content::of_file(&file)?)).map_err(|error| match error {
        ReceiveError::TooLarge(_) => StorageRefusal::too_large(),
        ReceiveError::BrokenOff(_) => StorageRefusal::incomplete(),
        ReceiveError::File(error) => StorageRefusal::internal(&error),
    })?;
    // S3's own etag is the MD5 of the bytes; any other text serves, for it is opaque.
    let etag = format!("\"{}\"", content.sha256);
    let mut inner = clio.inner();
    let version = inner.kept.store.version_mut(uuid).ok_or_else(StorageRefusal::no_such_key)?;
    version.content = Some(content);
    Ok((StatusCode::OK, [(header::ETAG, etag)]).into_response())
}

async fn get(clio: &ClioState, uuid: &str) -> Result<Response, StorageRefusal> {
    let held = clio.inner().kept.store.version_mut(uuid).map(|version| {
        (
            version.content.clone(),
            version.content_type.clone(),
            version.filename.replace(['"', '\r', '\n'], ""),
        )
    });
    let Some((Some(content), content_type, filename)) = held else {
        return Err(StorageRefusal::no_such_key());
    };
    let body = content.body(&clio.files, uuid).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StorageRefusal::no_such_key(),
        _ => StorageRefusal::internal(&error),
    })?;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_LENGTH, content.size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{filename}\"")),
        (header::ETAG, format!("\"{}\"", content.sha256)),
    ];
    let mut response = (StatusCode::OK, headers, body).into_response();
    response.extensions_mut().insert(OnItsWay);
    Ok(response)
}

impl ClioState {
    fn may_use_storage(&self, request: &Request, uuid: &str) -> Result<(), StorageRefusal> {
        let inner = self.inner();
        let query = request.uri().query().unwrap_or_default();
        let secret = &inner.kept.store.storage_secret;
        address::check(secret, request.method().as_str(), uuid, query, request.headers(), self.clock.now())
    }

    /// The address must not have been ended, and the headers given out with it are signed: they must come as they are.
    fn may_upload(&self, uuid: &str, headers: &HeaderMap) -> Result<(), StorageRefusal> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let version = inner.kept.store.version_mut(uuid).ok_or_else(StorageRefusal::no_such_key)?;
        if now > version.address_ends {
            return Err(StorageRefusal::ended(version.address_ends, now));
        }
        let are_there = version
            .put_headers()
            .into_iter()
            .all(|(name, value)| headers.get(name).is_some_and(|given| given.as_bytes() == value.as_bytes()));
        if are_there { Ok(()) } else { Err(StorageRefusal::signature()) }
    }
}

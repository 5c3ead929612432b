//! The HTTP routes of the Clio half.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::collections::users::User;
use super::oauth::{Asked, TokenRequest, invalid_token, with_query};
use super::serve::{ApiRequest, Reply};
use super::storage::storage_router;
use super::{API, ClioState, pages};

/// A matter with its longest texts fits many times.
const GREATEST_BODY: usize = 16 * 1024 * 1024;

/// The routes, for the listener's root.
pub(crate) fn router(state: Arc<ClioState>) -> Router {
    Router::new()
        .route("/oauth/authorize", get(authorize).post(answer))
        .route("/oauth/token", post(token))
        .route("/oauth/deauthorize", post(deauthorize))
        .route("/api/v4/{*path}", any(api))
        .with_state(Arc::clone(&state))
        .merge(storage_router(state))
}

async fn api(State(state): State<Arc<ClioState>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, GREATEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let request = ApiRequest {
        method: head.method.to_string(),
        path: head.uri.path().strip_prefix(API).unwrap_or_default().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        root: format!("http://{host}"),
        headers: head.headers,
        body,
    };
    state.serve(&request).into_response()
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = axum::response::AppendHeaders(self.headers);
        match self.body {
            None => (status, headers).into_response(),
            Some(body) => {
                let json = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
                (status, json, headers, body.to_string()).into_response()
            }
        }
    }
}

#[derive(Deserialize)]
struct AuthorizeQuery {
    response_type: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    state: Option<String>,
    redirect_on_decline: Option<String>,
}

async fn authorize(State(clio): State<Arc<ClioState>>, Query(query): Query<AuthorizeQuery>) -> Response {
    let mut inner = clio.inner();
    let inner = &mut *inner;
    if query.client_id.as_ref() != Some(&inner.app.client_id) {
        return bad_page("Clio does not know this app", "The client_id is not that of a registered app.");
    }
    let known = query.redirect_uri.filter(|address| inner.app.redirect_uris.contains(address));
    let Some(redirect_uri) = known else {
        return bad_page(
            "The redirect address is not registered",
            "The redirect_uri must equal, letter by letter, one that is registered for the app.",
        );
    };
    if query.response_type.as_deref() != Some("code") {
        return bad_page("The request is not complete", "The response_type must be code.");
    }
    let user = inner.kept.switches.signed_in_user;
    let store = &inner.kept.store;
    let name = store.users.get(&user).map(User::name).unwrap_or_default();
    let firm = store.users.get(&user).and_then(|user| store.accounts.get(&user.account));
    let firm = firm.map(|firm| firm.name.clone()).unwrap_or_default();
    let request = inner.kept.oauth.ask(Asked {
        redirect_uri: redirect_uri.clone(),
        state: query.state,
        redirect_on_decline: query.redirect_on_decline.as_deref() == Some("true"),
        user,
    });
    Html(pages::consent(&clio.app_name, &name, &firm, &redirect_uri, &request)).into_response()
}

fn bad_page(title: &str, text: &str) -> Response {
    (StatusCode::BAD_REQUEST, Html(pages::error(title, text))).into_response()
}

#[derive(Deserialize)]
struct AnswerForm {
    request: String,
    decision: String,
}

async fn answer(State(clio): State<Arc<ClioState>>, Form(form): Form<AnswerForm>) -> Response {
    let now = clio.clock.now();
    let mut inner = clio.inner();
    let inner = &mut *inner;
    let Some(asked) = inner.kept.oauth.answered(&form.request) else {
        return bad_page("This page was answered already", "Go back to the app and start again.");
    };
    let is_allowed = form.decision == "allow" && !inner.kept.switches.deny_consent;
    let code = is_allowed.then(|| inner.kept.oauth.give_code(&asked, now));
    let mut parameters = match &code {
        Some(code) => vec![("code", code.as_str())],
        None if asked.redirect_on_decline => vec![("error", "access_denied")],
        None => return bad_page("You declined", "The app was not given access to your Clio account."),
    };
    if let Some(state) = &asked.state {
        parameters.push(("state", state));
    }
    match with_query(&asked.redirect_uri, &parameters) {
        Some(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        None => bad_page("The redirect address is no address", "It cannot be read as a URL."),
    }
}

#[derive(Deserialize)]
struct TokenForm {
    client_id: Option<String>,
    client_secret: Option<String>,
    grant_type: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    refresh_token: Option<String>,
}

async fn token(State(clio): State<Arc<ClioState>>, Form(form): Form<TokenForm>) -> Response {
    let request = TokenRequest {
        client_id: form.client_id.unwrap_or_default(),
        client_secret: form.client_secret.unwrap_or_default(),
        grant_type: form.grant_type.unwrap_or_default(),
        code: form.code,
        redirect_uri: form.redirect_uri,
        refresh_token: form.refresh_token,
    };
    let now = clio.clock.now();
    let mut inner = clio.inner();
    let inner = &mut *inner;
    let rules = &inner.kept.switches.tokens;
    match inner.kept.oauth.token(&inner.app, rules, &request, now) {
        Ok(body) => flat(200, &body),
        Err(refusal) => flat(refusal.status, &refusal.body()),
    }
}

fn flat(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers =
        [(header::CONTENT_TYPE, "application/json; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

#[derive(Deserialize)]
struct DeauthorizeForm {
    token: String,
}

async fn deauthorize(
    State(clio): State<Arc<ClioState>>,
    headers: HeaderMap,
    Form(form): Form<DeauthorizeForm>,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    let now = clio.clock.now();
    let mut inner = clio.inner();
    let user = inner.kept.oauth.user_of(bearer, now);
    if user.is_none() || inner.kept.oauth.user_of(&form.token, now) != user {
        return flat(401, &invalid_token());
    }
    inner.kept.oauth.end_access(&form.token);
    flat(200, &json!({}))
}

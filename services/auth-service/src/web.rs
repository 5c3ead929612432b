//! The web page: status, the one-time link, the way back from Clio, and health.

mod auth;
pub(crate) mod callback;
pub(crate) mod cookie;
mod health;
pub(crate) mod notice;
mod page;
mod status_page;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use databridge_broker::{Broker, BucketError, names};
use databridge_runtime::Clock;
use databridge_seal::SealingKey;

use crate::clio::Clio;
use crate::link::Links;
use crate::settings::CALLBACK_PATH;
use crate::vault::Vault;

/// How long a person looks at an empty page while the broker is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the pages work with.
pub(crate) struct Web {
    pub(crate) is_https: bool,
    pub(crate) cookie_key: SealingKey,
    pub(crate) broker: Broker,
    pub(crate) vault: Arc<Vault>,
    pub(crate) links: Arc<Links>,
    pub(crate) clio: Arc<Clio>,
    pub(crate) clock: Clock,
}

/// All pages.
pub(crate) fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(status_page::show))
        .route("/auth", get(auth::show))
        .route(CALLBACK_PATH, get(callback::show))
        .route("/health", get(health::show))
        .route("/style.css", get(style))
        .fallback(|| async { notice::not_found() })
        .layer(middleware::from_fn(secured))
        .with_state(Arc::new(web))
}

async fn style() -> impl IntoResponse {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    let keep = (header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    ([kind, keep], include_str!("../static/style.css"))
}

/// Headers that keep what is in the pages and their addresses in this browser tab.
async fn secured(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let set: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Waits for the broker no longer than a person does.
async fn patiently<T, E: From<BucketError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let why = "it does not answer while a person waits".to_owned();
        let error = BucketError::Broker { key: names::TOKENS.to_owned(), why };
        Err(error.into())
    })
}

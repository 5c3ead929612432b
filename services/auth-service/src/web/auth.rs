//! `/auth`: takes a one-time link and sends the browser to Clio's consent page.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use databridge_seal::SealError;
use serde::Deserialize;

use super::cookie::Begun;
use super::notice::{self, CONNECT, Notice, Step};
use super::page::in_words;
use super::{Web, patiently};
use crate::link::LinkError;
use crate::secret_code::{self, NoRandomness};

#[derive(Deserialize)]
pub(crate) struct Parameters {
    link: Option<String>,
}

/// Why the browser is not sent to Clio.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthTrouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Seal(#[from] SealError),
}

pub(crate) async fn show(
    State(web): State<Arc<Web>>,
    method: Method,
    headers: HeaderMap,
    jar: CookieJar,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, AuthTrouble> {
    let given = parameters.ok().and_then(|Query(parameters)| parameters.link);
    let Some(code) = given.filter(|code| !code.is_empty()) else { return Ok(explanation().into_response()) };
    // Mail programs and browsers look at links before a person opens them.
    if method == Method::HEAD || is_prefetch(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let link = patiently(web.links.use_up(&code)).await?;
    let begun =
        Begun { state: secret_code::new()?, another_account: link.another_account, at: web.clock.now() };
    let jar = jar.add(begun.to_cookie(&web.cookie_key, web.is_https)?);
    Ok((jar, Redirect::to(web.clio.consent_url(&begun.state).as_str())).into_response())
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .any(|purpose| purpose.contains("prefetch"))
}

fn explanation() -> Notice {
    Notice::new(
        StatusCode::OK,
        "Connecting Clio starts with a one-time link",
        "This page opens Clio's consent page for whoever holds a one-time link. Without one it does nothing, so that \
         no stranger can connect an account of theirs.",
    )
    .step(Step::command("Where Data Bridge runs, type:", CONNECT))
    .step(Step::new(
        "Open the link that it prints in a browser where you are signed in to Clio. It works once, for 15 minutes.",
    ))
    .step(Step::new("Clio asks whether Data Bridge may use your account. Choose to allow it; you come back here."))
}

impl IntoResponse for AuthTrouble {
    fn into_response(self) -> Response {
        tracing::info!(error = %self, "A one-time link was not followed.");
        let notice = match self {
            Self::Link(LinkError::Used(at)) => Notice::new(
                StatusCode::GONE,
                "This link was used already",
                format!("A one-time link opens once, and this one was opened on {}.", in_words(at)),
            )
            .and("If that was not you, somebody else had the link; the status page shows who connected Clio.")
            .step(Step::new_link()),
            Self::Link(LinkError::Expired(at)) => Notice::new(
                StatusCode::GONE,
                "This link has expired",
                format!("A one-time link works for 15 minutes; this one ended on {}.", in_words(at)),
            )
            .step(Step::new_link()),
            Self::Link(LinkError::Unknown) => Notice::new(
                StatusCode::NOT_FOUND,
                "This link is not known",
                "It may have lost a part on its way here, or be more than a day old.",
            )
            .step(Step::new("Copy the whole link and open it again."))
            .step(Step::new_link()),
            Self::Link(LinkError::Bucket(_)) => notice::broker_away(),
            Self::Link(LinkError::NoRandomness(_)) | Self::Randomness(_) | Self::Seal(_) => {
                notice::own_fault()
            }
        };
        notice.into_response()
    }
}

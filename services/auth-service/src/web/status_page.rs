//! `/`: whether Clio is connected, by whom, until when, and what to do next.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use databridge_seal::OpenError;

use super::notice::{self, CONNECT};
use super::page::{in_words, page};
use super::{Web, patiently};
use crate::status::Status;
use crate::vault::VaultError;

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    state: Connectedness,
    account: Option<String>,
    person: Option<String>,
    since: Option<String>,
    until: Option<String>,
    is_over: bool,
    reason: Option<String>,
    failure: Option<(String, String)>,
    connect: &'static str,
}

/// The three things that the page can say first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connectedness {
    Never,
    Connected,
    NeedsConsent,
}

pub(crate) async fn show(State(web): State<Arc<Web>>) -> Response {
    match patiently(web.vault.read()).await {
        Ok(held) => {
            let closed = held.as_ref().and_then(|held| web.vault.unseal(&held.connection).err());
            let mut shown = StatusPage::of(Status::of(held.as_ref(), &web.vault), &web);
            shown.reason = closed.as_ref().map(why_closed).map(str::to_owned).or(shown.reason);
            page(StatusCode::OK, &shown)
        }
        Err(error) => {
            tracing::warn!(%error, "The status page could not be shown.");
            notice::broker_away().into_response()
        }
    }
}

/// Why the stored tokens cannot be opened, for somebody who reads the page.
fn why_closed(error: &VaultError) -> &'static str {
    match error {
        VaultError::Closed(OpenError::UnknownKey { .. }) => {
            "The access is stored under another DATABRIDGE_KEY than the one that the auth-service has now. Start it with \
             the former key, or connect Clio anew"
        }
        _ => "The stored access cannot be read. Connect Clio anew",
    }
}

impl StatusPage {
    fn of(status: Status, web: &Web) -> Self {
        let state = match (&status.connected_by, status.connected) {
            (None, _) => Connectedness::Never,
            (Some(_), true) => Connectedness::Connected,
            (Some(_), false) => Connectedness::NeedsConsent,
        };
        // A failure that made the consent necessary is told at the top already.
        let failure = status.last_failure.filter(|failure| Some(&failure.reason) != status.reason.as_ref());
        let is_over = status.expires_at.is_some_and(|at| at <= web.clock.now());
        Self {
            state,
            account: status.account.map(|a| a.name.unwrap_or_else(|| format!("account {}", a.id))),
            person: status.connected_by.map(|person| person.name),
            since: status.connected_at.map(in_words),
            // What Clio has refused to renew may have ended before its time.
            until: status.expires_at.filter(|_| status.connected).map(in_words),
            is_over,
            failure: failure.map(|failure| (in_words(failure.at), failure.reason)),
            reason: status.reason,
            connect: CONNECT,
        }
    }
}

//! The Clio half: API v4 under `/api/v4`, OAuth under `/oauth`, and the storage of documents under `/storage`.

mod admin;
mod body;
mod collection;
mod collections;
mod desk;
mod external_properties;
mod fields;
mod filters;
pub mod hand;
pub mod limits;
mod listing;
mod oauth;
mod pages;
mod records;
mod refusal;
mod routes;
pub mod seed;
mod serve;
mod shape;
mod storage;
mod values;
mod view;
mod write;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calls::Effect;
use crate::clock::Clock;
use crate::endpoints;
use crate::files::Files;
use crate::strays::Strays;
use hand::{ClioSettings, RateWindow, TextLimits};
use limits::Limits;
use oauth::{App, OAuth, TokenRules};
use records::Store;

pub(crate) use admin::{admin_router, edited};
pub(crate) use desk::DeskError;
pub(crate) use routes::router;
pub(crate) use serve::http_date;
pub(crate) use storage::STORAGE;

/// How the Clio half starts.
#[derive(Debug, Clone)]
pub struct ClioOptions {
    /// The app's name on the consent page.
    pub app_name: String,
    /// The app's key.
    pub client_id: String,
    /// The app's secret.
    pub client_secret: String,
    /// The app's registered callback addresses.
    pub redirect_uris: Vec<String>,
    /// Requests a minute and access token; `None` for no limit, and then no headers about it.
    pub rate_limit: Option<u32>,
    /// Seconds that an access token lives.
    pub token_lifetime_seconds: u32,
    /// Whether foreign matters and lookalike names are there from the start.
    pub seed_foreign: bool,
    /// The folder that keeps the bytes of documents over restarts; a temporary one if absent.
    pub document_folder: Option<PathBuf>,
}

impl Default for ClioOptions {
    fn default() -> Self {
        Self {
            app_name: "Data Bridge".to_owned(),
            client_id: "sandbox-key".to_owned(),
            client_secret: "sandbox-secret".to_owned(),
            redirect_uris: vec!["http://127.0.0.1:8080/callback".to_owned()],
            rate_limit: Some(50),
            token_lifetime_seconds: TokenRules::default().lifetime_seconds,
            seed_foreign: true,
            document_folder: None,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Switches {
    rate_limit: Option<u32>,
    rate_window: RateWindow,
    tokens: TokenRules,
    text_limits: Option<TextLimits>,
    deny_consent: bool,
    signed_in_user: i64,
}

/// What outlives a restart.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    store: Store,
    switches: Switches,
    oauth: OAuth,
}

struct Inner {
    app: App,
    kept: Kept,
    limits: Limits,
}

/// The account, its tokens and its switches.
pub(crate) struct ClioState {
    clock: Clock,
    app_name: String,
    inner: Mutex<Inner>,
    strays: Strays,
    files: Files,
}

impl ClioState {
    /// A new account.
    pub(crate) fn new(clock: Clock, options: ClioOptions) -> Self {
        let mut store = Store::default();
        seed::people(&mut store, clock.now());
        if options.seed_foreign {
            seed::foreign(&mut store, clock.now());
        }
        let switches = Switches {
            rate_limit: options.rate_limit,
            rate_window: RateWindow::default(),
            tokens: TokenRules { lifetime_seconds: options.token_lifetime_seconds, ..TokenRules::default() },
            text_limits: Some(TextLimits::default()),
            deny_consent: false,
            signed_in_user: store.users.keys().next().copied().unwrap_or_default(),
        };
        let app = App {
            client_id: options.client_id,
            client_secret: options.client_secret,
            redirect_uris: options.redirect_uris,
        };
        let kept = Kept { store, switches, oauth: OAuth::default() };
        Self {
            clock,
            app_name: options.app_name,
            inner: Mutex::new(Inner { app, kept, limits: Limits::default() }),
            strays: Strays::default(),
            files: storage::bucket(options.document_folder),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests, parameters and body keys outside the table of endpoints.
    pub(crate) fn strays(&self) -> &Strays {
        &self.strays
    }

    /// Everything that outlives a restart.
    pub(crate) fn snapshot(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(&self.inner().kept)
    }

    /// Takes up where a snapshot was made. The rate limit stays as the options of this start set it.
    pub(crate) fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        let mut kept: Kept = serde_json::from_value(snapshot)?;
        let mut inner = self.inner();
        kept.switches.rate_limit = inner.kept.switches.rate_limit;
        inner.kept = kept;
        Ok(())
    }

    /// Turns switches. False if a user is named that does not exist; then nothing is turned.
    pub(crate) fn set(&self, settings: &ClioSettings) -> bool {
        let mut inner = self.inner();
        if settings.signed_in_user.is_some_and(|user| !inner.kept.store.users.contains_key(&user)) {
            return false;
        }
        let switches = &mut inner.kept.switches;
        switches.rate_limit = settings.rate_limit.unwrap_or(switches.rate_limit);
        switches.rate_window = settings.rate_window.unwrap_or(switches.rate_window);
        switches.text_limits = settings.text_limits.unwrap_or(switches.text_limits);
        switches.deny_consent = settings.deny_consent.unwrap_or(switches.deny_consent);
        switches.signed_in_user = settings.signed_in_user.unwrap_or(switches.signed_in_user);
        let tokens = &mut switches.tokens;
        tokens.lifetime_seconds = settings.token_lifetime_seconds.unwrap_or(tokens.lifetime_seconds);
        tokens.rotate = settings.rotate_refresh_tokens.unwrap_or(tokens.rotate);
        tokens.repeat = settings.repeat_refresh_token.unwrap_or(tokens.repeat);
        let store = &mut inner.kept.store;
        store.numbers_uploaded_versions =
            settings.numbers_uploaded_versions.unwrap_or(store.numbers_uploaded_versions);
        true
    }

    /// All codes and tokens that were given since the start.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.inner().kept.oauth.given()
    }

    /// Ends every token, as a person does who removes the app.
    pub(crate) fn revoke_tokens(&self) {
        self.inner().kept.oauth.revoke_all();
    }
}

/// The path of the API below the listener's root.
const API: &str = "/api/v4/";

/// The body of a 429.
pub(crate) fn limited_body(retry_after: u64) -> Value {
    refusal::Refusal::limited(i64::try_from(retry_after).unwrap_or(i64::MAX)).body()
}

/// Whether a path belongs to Clio.
pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with(API) || path.starts_with("/oauth/")
}

/// What a request does to the account.
pub(crate) fn effect(method: &str, path: &str) -> Effect {
    let Some(below) = path.strip_prefix(API) else { return Effect::Other };
    match endpoints::find(method, below) {
        Some((endpoint, _)) => endpoint.effect(),
        None if matches!(method, "POST" | "PATCH" | "PUT" | "DELETE") => Effect::Write,
        None => Effect::Read,
    }
}

/// Verb and path as they are counted: `PATCH matters/{id}`.
pub(crate) fn label(method: &str, path: &str) -> String {
    let below = path.strip_prefix(API).unwrap_or_else(|| path.trim_start_matches('/'));
    let counted = endpoints::find(method, below).map_or(below, |(endpoint, _)| endpoint.path);
    format!("{method} {counted}")
}

//! `/callback`: the way back from Clio's consent page.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::CookieJar;
use databridge_broker::BucketError;
use serde::Deserialize;

use super::cookie::{self, Begun};
use super::notice::{self, Notice, Step};
use super::{Web, patiently};
use crate::clio::{ClioError, Granted, WhoAmI};
use crate::connection::{Account, Connection};
use crate::secret_code;
use crate::vault::{Held, VaultError};

/// How often a consent is stored anew when a renewal of the old token comes between.
const ATTEMPTS: usize = 5;

#[derive(Deserialize, Default)]
pub(crate) struct Parameters {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) error: Option<String>,
}

/// Why there is no new connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallbackTrouble {
    /// The browser has no cookie of ours, or an old one.
    #[error("this browser began no consent, or too long ago")]
    NotBegun { is_connected: bool },
    /// The state is missing or another one.
    #[error("the state is not the one that this browser began with")]
    WrongState,
    #[error("the person declined")]
    Declined,
    /// Clio says so in the address.
    #[error("Clio ended the consent with an error")]
    ClioSaysError(String),
    #[error("there is no code in the address")]
    NoCode,
    /// Clio did not give tokens for the code.
    #[error("the code was not exchanged: {0}")]
    Exchange(ClioError),
    /// Clio did not say whose token it is.
    #[error("Clio did not tell whose token it is: {0}")]
    WhoAmI(ClioError),
    #[error("another account was connected before")]
    AnotherAccount { before: String, now: String },
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl CallbackTrouble {
    /// Anybody can put a word into the address of the callback.
    pub(crate) fn says(error: &str) -> Self {
        Self::ClioSaysError(error.chars().take(60).collect())
    }
}

impl From<BucketError> for CallbackTrouble {
    fn from(error: BucketError) -> Self {
        Self::Vault(error.into())
    }
}

pub(crate) async fn show(
    State(web): State<Arc<Web>>,
    jar: CookieJar,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let Query(parameters) = parameters.unwrap_or_default();
    let begun = match begun_here(&web, &jar, parameters.state.as_deref()).await {
        Ok(begun) => begun,
        // The cookie stays: whoever sent a wrong state must not end the consent that is under way.
        Err(trouble) => return trouble.into_response(),
    };
    let jar = cookie::without(jar);
    match connect(&web, &begun, parameters).await {
        Ok(connection) => (jar, success(&connection)).into_response(),
        Err(trouble) => (jar, trouble).into_response(),
    }
}

async fn begun_here(web: &Web, jar: &CookieJar, state: Option<&str>) -> Result<Begun, CallbackTrouble> {
    let Some(begun) = Begun::from_jar(jar, &web.cookie_key, web.clock.now()) else {
        let is_connected = patiently(web.vault.read()).await?.is_some();
        return Err(CallbackTrouble::NotBegun { is_connected });
    };
    match state {
        Some(state) if secret_code::are_same(state, &begun.state) => Ok(begun),
        _ => Err(CallbackTrouble::WrongState),
    }
}

async fn connect(web: &Web, begun: &Begun, parameters: Parameters) -> Result<Connection, CallbackTrouble> {
    match parameters.error.as_deref() {
        Some("access_denied") => return Err(CallbackTrouble::Declined),
        Some(error) => return Err(CallbackTrouble::says(error)),
        None => {}
    }
    let code = parameters.code.filter(|code| !code.is_empty()).ok_or(CallbackTrouble::NoCode)?;
    // A code can be exchanged once, so the vault must be there before it is.
    patiently(web.vault.read()).await?;
    let asked_at = web.clock.now();
    let granted = web.clio.exchange(code).await.map_err(CallbackTrouble::Exchange)?;
    let who = web.clio.who_am_i(&granted.tokens.access_token).await.map_err(CallbackTrouble::WhoAmI)?;
    let connection = Connection {
        account: who.account.clone(),
        connected_by: who.person.clone(),
        connected_at: asked_at,
        issued_at: asked_at,
        expires_at: asked_at + granted.lifetime,
        tokens: web.vault.seal(&granted.tokens)?,
        needs_consent: None,
        last_failure: None,
    };
    for attempt in 1..=ATTEMPTS {
        let held = web.vault.read().await?;
        if let Some(before) = &held
            && !begun.another_account
            && !before.connection.is_of_same_account(who.account.as_ref(), &who.person)
        {
            return Err(refuse_account(web, &granted, before, &who).await);
        }
        match web.vault.write(&connection, held.map(|held| held.revision)).await {
            Err(error) if error.is_moved() && attempt < ATTEMPTS => {}
            written => {
                written?;
                break;
            }
        }
    }
    tracing::info!(account.id = who.account.map(|a| a.id), person.id = who.person.id, "Clio was connected.");
    Ok(connection)
}

/// Lets go of a token that is not going to be used.
async fn refuse_account(web: &Web, granted: &Granted, before: &Held, who: &WhoAmI) -> CallbackTrouble {
    if let Err(error) = web.clio.end(&granted.tokens.access_token).await {
        tracing::info!(%error, "The token of an account that is not connected could not be ended.");
    }
    let named = |account: Option<&Account>, person: &str| match account {
        Some(Account { name: Some(name), .. }) => name.clone(),
        Some(Account { id, name: None }) => format!("account {id}"),
        None => format!("the account of {person}"),
    };
    CallbackTrouble::AnotherAccount {
        before: named(before.connection.account.as_ref(), &before.connection.connected_by.name),
        now: named(who.account.as_ref(), &who.person.name),
    }
}

pub(crate) fn success(connection: &Connection) -> Notice {
    let account = connection.account.as_ref().and_then(|account| account.name.as_deref());
    let of = account.map(|name| format!(" of {name}")).unwrap_or_default();
    let said =
        format!("Data Bridge now works with Clio in the name of {}{of}.", connection.connected_by.name);
    Notice::new(StatusCode::OK, "Clio is connected", said)
        .and(
            "The access is renewed by itself. You can end it at any time in Clio, under your connected apps.",
        )
        .step(Step::new(
            "If Clio was connected before and only had to be connected anew: nothing, you can close this page.",
        ))
        .step(Step::command(
            "The first time, where Data Bridge runs, have it find or make what it needs in Clio:",
            "databridge bootstrap",
        ))
        .step(Step::command("Then bring both sides together:", "databridge migrate"))
}

impl IntoResponse for CallbackTrouble {
    fn into_response(self) -> Response {
        tracing::warn!(error = %self, "A consent did not end in a connection.");
        notice_of(self).into_response()
    }
}

pub(crate) fn notice_of(trouble: CallbackTrouble) -> Notice {
    use CallbackTrouble as T;
    match trouble {
        T::NotBegun { is_connected } => {
            let said = "Clio sent this browser back, but the consent was begun in another browser, was ended already, \
                        or was begun more than 30 minutes ago. Nothing was changed.";
            let notice = Notice::new(StatusCode::BAD_REQUEST, "No consent is under way in this browser", said);
            if is_connected {
                notice.and("Clio is connected. If you only loaded the page again, all is well.").and(format!(
                    "To connect anew, begin with a new one-time link: {}",
                    notice::CONNECT
                ))
            } else {
                notice.step(Step::new_link())
            }
        }
        T::WrongState => Notice::new(
            StatusCode::BAD_REQUEST,
            "This answer does not belong to your request",
            "The address does not carry the mark that this browser was given, so it was not used. Nothing was \
             changed. It may come from an older tab, or from somebody who wants you to connect their account.",
        )
        .step(Step::new("If you have Clio's consent page open in one tab only, finish it there."))
        .step(Step::new_link()),
        T::Declined => Notice::new(
            StatusCode::FORBIDDEN,
            "The access was declined",
            "You chose not to let Data Bridge use your Clio account. Nothing was changed: a connection that was there \
             before still works.",
        )
        .step(Step::command("If you want to allow it after all, make a new link and open it:", notice::CONNECT)),
        T::ClioSaysError(error) => Notice::new(
            StatusCode::BAD_GATEWAY,
            "Clio ended the consent with an error",
            format!("Clio's own word for it is \"{error}\". Nothing was changed."),
        )
        .step(Step::new("Check the application in Clio's developer hub: its permissions and its callback address."))
        .step(Step::new_link()),
        T::NoCode => Notice::new(
            StatusCode::BAD_REQUEST,
            "The address from Clio is not complete",
            "It holds no code, so there is nothing to connect with. Nothing was changed.",
        )
        .step(Step::new_link()),
        T::Exchange(ClioError::InvalidGrant) => Notice::new(
            StatusCode::BAD_REQUEST,
            "The code was used already or has expired",
            "Clio gives a code that works once, within 10 minutes, and did not take this one. Nothing was changed.",
        )
        .step(Step::new_link()),
        T::Exchange(ClioError::WrongApp(_)) => Notice::new(
            StatusCode::BAD_GATEWAY,
            "Clio does not know this application",
            "Clio did not take the application's key and secret. Nothing was changed.",
        )
        .step(Step::new("Compare CLIO_API_KEY and CLIO_API_SECRET with Clio's developer hub and restart the auth-service."))
        .step(Step::new_link()),
        T::WhoAmI(ClioError::Forbidden) => Notice::new(
            StatusCode::BAD_GATEWAY,
            "Clio does not say who you are",
            "The application may not read users, so Data Bridge cannot make sure whose account this is. Nothing was \
             changed.",
        )
        .step(Step::new("In Clio's developer hub, tick the permission \"Users\" for the application."))
        .step(Step::new_link()),
        T::Exchange(error) | T::WhoAmI(error) => Notice::new(
            StatusCode::BAD_GATEWAY,
            "Clio did not answer as expected",
            format!("{error}. Nothing was changed."),
        )
        .step(Step::new("Wait a moment, and see whether Clio works in another tab."))
        .step(Step::new_link()),
        T::AnotherAccount { before, now } => Notice::new(
            StatusCode::CONFLICT,
            "This is another Clio account",
            format!("Data Bridge is connected to {before}, and you allowed access to {now}. Nothing was changed: the \
                     records that are in step belong to {before}."),
        )
        .step(Step::command(
            format!("To connect {before} again, sign in to Clio with a user of that account, then open a new link:"),
            notice::CONNECT,
        ))
        .step(Step::command(
            format!("To change to {now} on purpose, make the link so:"),
            "databridge connect --another-account",
        )),
        T::Vault(VaultError::Bucket(_)) => notice::broker_away().step(Step::new_link()),
        T::Vault(_) => notice::own_fault(),
    }
}

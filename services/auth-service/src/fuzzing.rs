//! The body of the fuzz target `sign_in`. Nothing of the product depends on it.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use std::sync::OnceLock;

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, Uri, header};
use axum_extra::extract::cookie::CookieJar;
use chrono::{DateTime, TimeDelta, Utc};
use databridge_config::env::read_from;
use databridge_http::fuzzing::answer_of;
use databridge_http::{Answer, CallError};
use databridge_model::decode;
use databridge_seal::{Sealed, SealingKey};
use futures::FutureExt as _;
use futures::future::{Ready, ready};
use oauth2::{AsyncHttpClient, AuthorizationCode, HttpRequest, HttpResponse};
use serde_json::Value as Json;

use crate::clio::{Clio, WhoAmI, explain, granted, response_of, whose};
use crate::connection::Connection;
use crate::requests::{LinkReply, LinkRequest, StatusReply};
use crate::settings::Settings;
use crate::web::callback::{CallbackTrouble, Parameters, notice_of, success};
use crate::web::cookie::Begun;
use crate::web::notice::Notice;

/// What stands for a secret in the seeds.
const SECRET: &str = "s3cr3t";

/// An answer of Clio to the questions of a sign-in; its headers `x-query` and `cookie` are those of the browser that
/// comes back.
pub fn sign_in(data: &[u8]) {
    let Some(fixed) = fixed() else { return };
    let answer = answer_of("GET users/who_am_i", data);
    tokens(fixed, &answer);
    match whose(&answer) {
        Ok(who) => is_shown_as_text(fixed, &who),
        Err(error) => assert!(error.to_string().chars().count() <= 1500, "a long error"),
    }
    callback(answer.headers.get("x-query").and_then(|query| query.to_str().ok()).unwrap_or_default());
    cookies(fixed, &answer.headers);
    requests(&answer.body);
}

/// What no input changes.
struct Fixed {
    clio: Clio,
    key: SealingKey,
    sealed: Sealed,
}

fn fixed() -> Option<&'static Fixed> {
    static FIXED: OnceLock<Option<Fixed>> = OnceLock::new();
    let make = || {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let app = read_from([
            set("CLIO_API_KEY", "app"),
            set("CLIO_API_SECRET", "secret"),
            set("CLIO_CALLBACK_URL", "https://bridge.example/callback"),
        ]);
        let key = read_from([set("DATABRIDGE_KEY", &"ab".repeat(32))]).ok()?;
        let settings = Settings::new(read_from([]).ok()?, app.ok()?, &key).ok()?;
        let key = settings.key.derive("cookie");
        let sealed = key.seal(b"{}", b"clio").ok()?;
        Some(Fixed { clio: Clio::new(&settings).ok()?, key, sealed })
    };
    FIXED.get_or_init(make).as_ref()
}

/// Answers every request with this.
struct Canned(Answer);

impl<'c> AsyncHttpClient<'c> for Canned {
    type Error = CallError;
    type Future = Ready<Result<HttpResponse, CallError>>;

    fn call(&'c self, _request: HttpRequest) -> Self::Future {
        ready(response_of(self.0.clone()))
    }
}

fn tokens(fixed: &Fixed, answer: &Answer) {
    let canned = Canned(answer.clone());
    let request = fixed.clio.oauth.exchange_code(AuthorizationCode::new("code".to_owned()));
    match request.request_async(&canned).now_or_never() {
        Some(Ok(answer)) => {
            let granted = granted(&answer);
            let asked_at = DateTime::<Utc>::from_timestamp(1_795_186_800, 0).unwrap_or_default();
            assert!(asked_at + granted.lifetime <= asked_at + TimeDelta::days(366));
            assert!(!format!("{:?}", granted.tokens).contains(SECRET));
        }
        Some(Err(refusal)) => {
            let told = explain(refusal).to_string();
            assert!(told.chars().count() <= 1500, "an error of {} bytes", told.len());
            let body: Option<Json> = serde_json::from_slice(&answer.body).ok();
            let says_an_error = body.is_some_and(|body| body.get("error").is_some());
            assert!(says_an_error || !told.contains(SECRET), "{told}");
        }
        None => assert!(answer.body.is_empty(), "the answer is there, and is not taken"),
    }
}

/// Whatever names are, a page holds the tags that it has for any.
fn is_shown_as_text(fixed: &Fixed, who: &WhoAmI) {
    let at = DateTime::<Utc>::default();
    let page = |person: &str, account: &str| {
        let mut account_of = who.account.clone();
        if let Some(shown) = &mut account_of {
            shown.name = Some(account.to_owned());
        }
        let mut person_of = who.person.clone();
        person.clone_into(&mut person_of.name);
        success(&Connection {
            account: account_of,
            connected_by: person_of,
            connected_at: at,
            issued_at: at,
            expires_at: at,
            tokens: fixed.sealed.clone(),
            needs_consent: None,
            last_failure: None,
        })
    };
    let account = who.account.as_ref().and_then(|account| account.name.as_deref()).unwrap_or("x");
    assert_eq!(tags(&page(&who.person.name, account)), tags(&page("x", "x")), "{who:?}");
}

fn tags(page: &Notice) -> usize {
    page.render().unwrap_or_default().matches('<').count()
}

fn callback(query: &str) {
    let Ok(uri) = format!("/callback?{query}").parse::<Uri>() else { return };
    let Ok(Query(parameters)) = Query::<Parameters>::try_from_uri(&uri) else { return };
    let Parameters { code, state, error } = parameters;
    for text in [code, state, error].into_iter().flatten() {
        let page = |text: &str| tags(&notice_of(CallbackTrouble::says(text)));
        assert_eq!(page(&text), page("x"), "{text}");
    }
}

/// A cookie that is not ours, or not as it was, opens nothing.
fn cookies(fixed: &Fixed, headers: &HeaderMap) {
    let now = DateTime::<Utc>::default();
    let jar = CookieJar::from_headers(headers);
    assert!(Begun::from_jar(&jar, &fixed.key, now).is_none());
    let begun = Begun { state: "s".to_owned(), another_account: false, at: now };
    let Ok(ours) = begun.to_cookie(&fixed.key, true) else { return };
    let is_ours =
        |jar: &CookieJar| Begun::from_jar(jar, &fixed.key, now).is_some_and(|begun| begun.state == "s");
    assert!(is_ours(&jar.clone().add(ours.clone())), "whatever else is in the jar");
    for value in headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()) {
        if let Ok(sealed) = value.parse::<Sealed>() {
            assert_eq!(sealed.to_string().parse().as_ref(), Ok(&sealed));
            assert!(fixed.key.open(&sealed, b"").is_err());
        }
    }
}

fn requests(body: &[u8]) {
    if let Err(error) = decode::<LinkRequest>("a request for a link", body) {
        assert!(error.to_string().len() <= 2500);
    }
    if let Ok(reply) = serde_json::from_slice::<LinkReply>(body) {
        let written = serde_json::to_vec(&reply).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<LinkReply>(&written).ok().as_ref(), Some(&reply));
    }
    if let Ok(reply) = serde_json::from_slice::<StatusReply>(body) {
        let written = serde_json::to_vec(&reply).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<StatusReply>(&written).ok().as_ref(), Some(&reply));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_has_kept_of_sign_in_passes() {
        assert!(super::fixed().is_some());
        corpus::replay("sign_in", super::sign_in);
    }
}

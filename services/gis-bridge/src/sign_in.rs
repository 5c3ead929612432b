//! Tokens: a fixed one, or made by generateToken and renewed (arcgis.md, section 7).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_http::{Answer, Budget, CallError, ErrorClass};
use databridge_runtime::Clock;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use tokio::sync::Mutex;
use url::Url;

use crate::refusal;
use crate::service_url::ServiceUrl;
use crate::settings::Credential;

/// The header that carries the token. A token in an address would reach logs.
pub(crate) const TOKEN_HEADER: &str = "X-Esri-Authorization";
/// How long a token is asked for, in minutes; the server may give less.
const EXPIRATION_MINUTES: &str = "60";
/// After a refused sign-in nothing is tried for so long: many wrong ones lock an account.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// A header with a token, and which token it is.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) header: HeaderValue,
    serial: u64,
}

/// Gives tokens to calls. One renewal is under way at a time.
#[derive(Debug)]
pub(crate) struct Tokens {
    credential: Credential,
    address: ServiceUrl,
    http: reqwest::Client,
    budget: Budget,
    clock: Clock,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bearer: Option<Bearer>,
    /// By our clock, a while before the token ends.
    renew_at: Option<DateTime<Utc>>,
    token_url: Option<Url>,
    made: u64,
    refused: Option<(DateTime<Utc>, CallError)>,
}

impl Tokens {
    pub(crate) fn new(
        credential: Credential,
        address: ServiceUrl,
        http: reqwest::Client,
        budget: Budget,
        clock: Clock,
    ) -> Self {
        Self { credential, address, http, budget, clock, held: Mutex::default() }
    }

    /// Whether tokens are bound to the `Referer`, which must then go with every call.
    pub(crate) fn bound_to_referer(&self) -> bool {
        matches!(self.credential, Credential::Login { .. })
    }

    /// The header for a call, or none where there is no sign-in.
    pub(crate) async fn bearer(&self) -> Result<Option<Bearer>, CallError> {
        match &self.credential {
            Credential::None => Ok(None),
            Credential::Token(token) => header(token, 0).map(Some),
            Credential::Login { username, password } => {
                let mut held = self.held.lock().await;
                let in_time = held.renew_at.is_some_and(|at| self.clock.now() < at);
                if let (true, Some(bearer)) = (in_time, &held.bearer) {
                    return Ok(Some(bearer.clone()));
                }
                self.renew(&mut held, username, password).await.map(Some)
            }
        }
    }

    /// A token other than the one that the server refused, or why there is none.
    pub(crate) async fn instead_of(
        &self,
        refused: Option<&Bearer>,
        said: CallError,
    ) -> Result<Bearer, CallError> {
        let mend = match (&self.credential, refused) {
            (Credential::Login { username, password }, refused) => {
                let mut held = self.held.lock().await;
                // Another call may have got a new one meanwhile.
                if let Some(bearer) = &held.bearer
                    && refused.is_none_or(|refused| refused.serial != bearer.serial)
                {
                    return Ok(bearer.clone());
                }
                tracing::info!("The feature service takes our token no more; a new one is asked for.");
                return self.renew(&mut held, username, password).await;
            }
            (Credential::Token(_), _) => "the token in GIS_TOKEN is not taken (any more); set a new one",
            (Credential::None, _) => {
                "the service asks for a sign-in; set GIS_TOKEN, or GIS_USERNAME and GIS_PASSWORD"
            }
        };
        Err(CallError { message: format!("{mend} ({})", said.message), ..said })
    }

    async fn renew(
        &self,
        held: &mut Held,
        username: &str,
        password: &SecretString,
    ) -> Result<Bearer, CallError> {
        if let Some((until, error)) = &held.refused
            && self.clock.now() < *until
        {
            return Err(error.clone());
        }
        match self.sign_in(held, username, password).await {
            Ok(bearer) => {
                held.refused = None;
                Ok(bearer)
            }
            Err(error) => {
                held.bearer = None;
                if error.class == ErrorClass::Unauthorised {
                    held.refused = Some((self.clock.now() + COOL_DOWN, error.clone()));
                }
                Err(error)
            }
        }
    }

    async fn sign_in(
        &self,
        held: &mut Held,
        username: &str,
        password: &SecretString,
    ) -> Result<Bearer, CallError> {
        let url = match &held.token_url {
            Some(url) => url.clone(),
            None => held.token_url.insert(self.token_url().await?).clone(),
        };
        let form = [
            ("username", username),
            ("password", password.expose_secret()),
            ("client", "referer"),
            ("referer", self.address.referer()),
            ("expiration", EXPIRATION_MINUTES),
            ("f", "json"),
        ];
        let request =
            self.http.post(url).header(reqwest::header::REFERER, self.address.referer()).form(&form);
        let paid = self.budget.pay("POST generateToken").await?;
        let answer = Answer::to(paid, request, "POST generateToken".to_owned(), false).await?;
        let (token, ends) = given(&answer)?;
        held.made += 1;
        let bearer = header(&token, held.made)?;
        held.renew_at = Some(renewal(ends, answer.server_time(), self.clock.now()));
        held.bearer = Some(bearer.clone());
        Ok(bearer)
    }

    /// Where tokens are made: `authInfo.tokenServicesUrl` of the server, or the portal that owns it.
    async fn token_url(&self) -> Result<Url, CallError> {
        let failed = |message: &str| CallError {
            class: ErrorClass::Unauthorised,
            call: "GET rest/info".to_owned(),
            message: message.to_owned(),
        };
        let mut info = self.address.server_info().ok_or_else(|| {
            failed("GIS_SERVICE_URL has no /rest/services in it, so where tokens are made cannot be found; use GIS_TOKEN")
        })?;
        info.set_query(Some("f=json"));
        let paid = self.budget.pay("GET rest/info").await?;
        let answer = Answer::to(paid, self.http.get(info), "GET rest/info".to_owned(), false).await?;
        let body = refusal::body_of(&answer, false)?;
        let told = token_url_in(&body)
            .ok_or_else(|| failed("the server tells no tokenServicesUrl; use GIS_TOKEN"))?;
        if self.address.may_get_password(&told) {
            Ok(told)
        } else {
            Err(failed("the server wants the password over an address without TLS; that is not done"))
        }
    }
}

/// The token in the answer of generateToken, and when it ends.
pub(crate) fn given(answer: &Answer) -> Result<(SecretString, DateTime<Utc>), CallError> {
    let body = refusal::body_of_secret(answer).map_err(|refusal| {
        let mut error = refusal.error;
        if matches!(error.class, ErrorClass::Invalid | ErrorClass::Unauthorised) {
            error.class = ErrorClass::Unauthorised;
            error.message.push_str(" Check GIS_USERNAME and GIS_PASSWORD.");
        }
        error
    })?;
    let (token, ends) =
        (body.get("token").and_then(Json::as_str), body.get("expires").and_then(Json::as_i64));
    match (token, ends.and_then(DateTime::from_timestamp_millis)) {
        (Some(token), Some(ends)) => Ok((SecretString::from(token), ends)),
        _ => Err(answer.error(ErrorClass::Transient, "the answer holds no token with its end")),
    }
}

/// When to ask for another token, by our clock. The end is told by the server's, which may differ, and whose header has
/// whole seconds, rounded down.
pub(crate) fn renewal(
    ends: DateTime<Utc>,
    server_time: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let server_time = server_time.map_or(now, |time| time + TimeDelta::seconds(1));
    let lifetime = (ends - server_time).clamp(TimeDelta::zero(), TimeDelta::days(1));
    now + lifetime - (lifetime / 10).min(TimeDelta::seconds(120))
}

pub(crate) fn token_url_in(info: &Json) -> Option<Url> {
    let text = |value: Option<&Json>| {
        value.and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let told = text(info.get("authInfo").and_then(|auth| auth.get("tokenServicesUrl"))).or_else(|| {
        text(info.get("owningSystemUrl")).map(|url| format!("{}/sharing/rest", url.trim_end_matches('/')))
    })?;
    let told = told.trim_end_matches('/');
    let whole =
        if told.ends_with("/generateToken") { told.to_owned() } else { format!("{told}/generateToken") };
    Url::parse(&whole).ok()
}

pub(crate) fn header(token: &SecretString, serial: u64) -> Result<Bearer, CallError> {
    let text = format!("Bearer {}", token.expose_secret().trim());
    let mut header = HeaderValue::from_str(&text).map_err(|_| CallError {
        class: ErrorClass::Unauthorised,
        call: "sign-in".to_owned(),
        message: "the token holds characters that no header can carry; check GIS_TOKEN".to_owned(),
    })?;
    header.set_sensitive(true);
    Ok(Bearer { header, serial })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_place_where_tokens_are_made_is_found_in_every_form() {
        for (info, url) in [
            (
                json!({"authInfo": {"tokenServicesUrl": "https://h/arcgis/tokens/"}}),
                "https://h/arcgis/tokens/generateToken",
            ),
            (
                json!({"authInfo": {"tokenServicesUrl": "https://p/sharing/rest/generateToken"}, "owningSystemUrl": "https://p"}),
                "https://p/sharing/rest/generateToken",
            ),
            (json!({"owningSystemUrl": "https://p/portal/"}), "https://p/portal/sharing/rest/generateToken"),
        ] {
            assert_eq!(token_url_in(&info).unwrap().as_str(), url);
        }
        assert_eq!(token_url_in(&json!({"authInfo": {"isTokenBasedSecurity": false}})), None);
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            call: "POST generateToken".to_owned(),
            status: reqwest::StatusCode::from_u16(status).unwrap(),
            headers: reqwest::header::HeaderMap::new(),
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn nothing_of_half_a_token_is_told_and_what_the_server_says_of_an_error_is() {
        for (status, body) in [
            (200, r#"{"token":"hunter2","expires":17951"#),
            (200, "\u{feff}{\"token\":\"hunter2\"}"),
            (500, r#"{"token":"hunter2"}"#),
            (200, r#"{"token":"hunter2","expires":"soon"}"#),
        ] {
            let error = given(&answer(status, body)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = given(&answer(200, r#"{"error":{"code":400,"message":"Unable to generate token."}}"#));
        let error = error.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unauthorised);
        assert!(error.message.starts_with("Unable to generate token. Check GIS_USERNAME"), "{error}");
    }

    #[test]
    fn a_token_without_end_is_renewed_after_a_day_and_an_ended_one_at_once() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let now = at(1_795_186_800);
        let minutes = |ends, server_time| (renewal(ends, server_time, now) - now).num_minutes();
        assert_eq!(minutes(DateTime::<Utc>::MAX_UTC, Some(DateTime::UNIX_EPOCH)), 24 * 60 - 2);
        assert_eq!(minutes(now + TimeDelta::minutes(60), None), 58);
        assert_eq!(minutes(DateTime::<Utc>::MIN_UTC, Some(now)), 0);
    }

    #[test]
    fn a_bearer_does_not_show_its_token() {
        let bearer = header(&SecretString::from("hunter2"), 1).unwrap();
        assert!(!format!("{bearer:?}").contains("hunter2"));
    }
}

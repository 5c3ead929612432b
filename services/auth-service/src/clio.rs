//! Clio's OAuth 2 and the one question about who consented.
//!
//! Source: "Authorization" in Clio's API documentation, and `User#who_am_i` of API v4.

use std::time::Duration;

use chrono::TimeDelta;
use databridge_http::{Answer, CallError, ClientError, ErrorClass, Paid};
use futures::future::BoxFuture;
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, RedirectUrl, RefreshToken, RequestTokenError,
    StandardErrorResponse, TokenResponse, TokenUrl,
};
use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use crate::connection::{Account, Person, Tokens};
use crate::settings::Settings;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Assumed where Clio does not say how long a token lasts.
const ASSUMED_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// What was asked of Clio was not given. No variant holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClioError {
    /// The code, or the refresh token, is not valid (any more).
    #[error("Clio does not accept the grant (invalid_grant)")]
    InvalidGrant,
    /// Our application's key or secret is wrong.
    #[error("Clio does not know the application: check CLIO_API_KEY and CLIO_API_SECRET ({0})")]
    WrongApp(String),
    /// The application may not do that.
    #[error("Clio forbids it: the application lacks the permission \"Users\" in Clio's developer hub")]
    Forbidden,
    /// Another refusal, in OAuth's own word.
    #[error("Clio refuses with \"{0}\"")]
    Refused(String),
    /// Clio could not be reached, or its answer could not be understood.
    #[error("Clio did not answer as expected: {0}")]
    Unavailable(String),
}

/// A token is not believed to last longer: it is renewed before.
const LONGEST_LIFETIME: TimeDelta = TimeDelta::days(366);

/// Tokens as Clio gave them.
pub(crate) struct Granted {
    pub(crate) tokens: Tokens,
    pub(crate) lifetime: TimeDelta,
}

/// Whose token it is.
#[derive(Debug)]
pub(crate) struct WhoAmI {
    pub(crate) person: Person,
    pub(crate) account: Option<Account>,
}

type OAuth = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

type Refusal = RequestTokenError<CallError, StandardErrorResponse<BasicErrorResponseType>>;

/// Talks to Clio about consents and tokens, never about records.
pub(crate) struct Clio {
    http: reqwest::Client,
    pub(crate) oauth: OAuth,
    base: Url,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClioSetupError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("CLIO_URL or CLIO_CALLBACK_URL: {0}")]
    Address(#[from] url::ParseError),
}

impl Clio {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ClioSetupError> {
        let base = settings.clio_url.clone();
        let oauth = BasicClient::new(ClientId::new(settings.client_id.clone()))
            .set_client_secret(ClientSecret::new(settings.client_secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::from_url(base.join("/oauth/authorize")?))
            .set_token_uri(TokenUrl::from_url(base.join("/oauth/token")?))
            .set_redirect_uri(RedirectUrl::from_url(settings.callback_url.clone()))
            .set_auth_type(AuthType::RequestBody);
        Ok(Self { http: databridge_http::client("auth-service")?, oauth, base })
    }

    /// Where a browser asks the person for consent. A refusal, too, comes back to our callback.
    pub(crate) fn consent_url(&self, state: &str) -> Url {
        let state = CsrfToken::new(state.to_owned());
        let request = self.oauth.authorize_url(|| state).add_extra_param("redirect_on_decline", "true");
        request.url().0
    }

    /// Changes the code of a consent into tokens.
    pub(crate) async fn exchange(&self, code: String) -> Result<Granted, ClioError> {
        let sender = self.sender("POST oauth/token (code)");
        let request = self.oauth.exchange_code(AuthorizationCode::new(code));
        request.request_async(&sender).await.map(|answer| granted(&answer)).map_err(explain)
    }

    /// Asks for a new access token. Where the answer holds no refresh token, the old one stays valid.
    pub(crate) async fn refresh(&self, refresh_token: &SecretString) -> Result<Granted, ClioError> {
        let sender = self.sender("POST oauth/token (refresh)");
        let held = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let request = self.oauth.exchange_refresh_token(&held);
        let mut granted =
            request.request_async(&sender).await.map(|answer| granted(&answer)).map_err(explain)?;
        if granted.tokens.refresh_token.is_none() {
            granted.tokens.refresh_token = Some(refresh_token.clone());
        }
        Ok(granted)
    }

    /// Asks whose token it is.
    pub(crate) async fn who_am_i(&self, token: &SecretString) -> Result<WhoAmI, ClioError> {
        const CALL: &str = "GET users/who_am_i";
        let url = self.base.join("/api/v4/users/who_am_i.json");
        let url = url.map_err(|error| ClioError::Unavailable(error.to_string()))?;
        let request = self.http.get(url).query(&[("fields", "id,name,account{id,name}")]);
        let request = request.bearer_auth(token.expose_secret()).timeout(PATIENCE);
        let answer = Answer::to(Paid::by_nobody(), request, CALL.to_owned(), false)
            .await
            .map_err(|error| unavailable(&error))?;
        whose(&answer)
    }

    /// Ends an access token that is not going to be used.
    pub(crate) async fn end(&self, token: &SecretString) -> Result<(), ClioError> {
        const CALL: &str = "POST oauth/deauthorize";
        let url = self.base.join("/oauth/deauthorize");
        let url = url.map_err(|error| ClioError::Unavailable(error.to_string()))?;
        let request = self.http.post(url).form(&[("token", token.expose_secret())]);
        let request = request.bearer_auth(token.expose_secret()).timeout(PATIENCE);
        let answer = Answer::to(Paid::by_nobody(), request, CALL.to_owned(), true)
            .await
            .map_err(|error| unavailable(&error))?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(ClioError::Unavailable(format!("{CALL}: status {}", answer.status.as_u16())))
    }

    fn sender(&self, call: &'static str) -> Sender {
        Sender { http: self.http.clone(), call }
    }
}

/// Carries the requests of the OAuth library over our own HTTP client, which follows no redirect.
struct Sender {
    http: reqwest::Client,
    call: &'static str,
}

impl<'c> AsyncHttpClient<'c> for Sender {
    type Error = CallError;
    type Future = BoxFuture<'c, Result<HttpResponse, CallError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Sender {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let unusable = |error: reqwest::Error| CallError {
            class: ErrorClass::Invalid,
            call: self.call.to_owned(),
            message: error.without_url().to_string(),
        };
        let request = reqwest::Request::try_from(request).map_err(unusable)?;
        let request = reqwest::RequestBuilder::from_parts(self.http.clone(), request).timeout(PATIENCE);
        response_of(Answer::to(Paid::by_nobody(), request, self.call.to_owned(), true).await?)
    }
}

/// The answer as the OAuth library reads it, unless it is of a fault of the moment.
pub(crate) fn response_of(answer: Answer) -> Result<HttpResponse, CallError> {
    let status = answer.status;
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || status.is_redirection() {
        return Err(answer.error(ErrorClass::Transient, format!("status {}", status.as_u16())));
    }
    // A list would be read as the values of the keys in their order, and its first word be told as an error's name.
    let is_list = answer.body.trim_ascii_start().first() == Some(&b'[');
    let mut response = HttpResponse::new(if is_list { Vec::new() } else { answer.body.to_vec() });
    *response.status_mut() = status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// Whose token it is, by the answer to that question.
pub(crate) fn whose(answer: &Answer) -> Result<WhoAmI, ClioError> {
    match answer.status {
        StatusCode::OK => {}
        StatusCode::FORBIDDEN => return Err(ClioError::Forbidden),
        status => {
            return Err(ClioError::Unavailable(format!("{}: status {}", answer.call, status.as_u16())));
        }
    }
    let shown: Shown = answer.json(false).map_err(|error| unavailable(&error))?;
    let ShownUser { id, name, account } = shown.data;
    let name = name.unwrap_or_else(|| format!("user {id}"));
    let account = account.and_then(|account| account.id.map(|id| Account { id, name: account.name }));
    Ok(WhoAmI { person: Person { id, name }, account })
}

#[derive(Deserialize)]
struct Shown {
    data: ShownUser,
}

#[derive(Deserialize)]
struct ShownUser {
    id: i64,
    name: Option<String>,
    account: Option<ShownAccount>,
}

/// Without permission to see it, the account is an empty object.
#[derive(Deserialize)]
struct ShownAccount {
    id: Option<i64>,
    name: Option<String>,
}

pub(crate) fn granted(answer: &BasicTokenResponse) -> Granted {
    let lifetime = answer.expires_in().and_then(|lifetime| TimeDelta::from_std(lifetime).ok());
    let tokens = Tokens {
        access_token: answer.access_token().secret().clone().into(),
        refresh_token: answer.refresh_token().map(|token| token.secret().clone().into()),
    };
    Granted { tokens, lifetime: lifetime.unwrap_or(ASSUMED_LIFETIME).min(LONGEST_LIFETIME) }
}

fn unavailable(error: &CallError) -> ClioError {
    ClioError::Unavailable(error.to_string())
}

/// An answer that could not be read is not shown, as it may hold a token.
pub(crate) fn explain(refusal: Refusal) -> ClioError {
    match refusal {
        RequestTokenError::ServerResponse(response) => match response.error() {
            BasicErrorResponseType::InvalidGrant => ClioError::InvalidGrant,
            word @ (BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient) => {
                ClioError::WrongApp(word.as_ref().to_owned())
            }
            word => ClioError::Refused(word.as_ref().chars().take(60).collect()),
        },
        RequestTokenError::Request(error) => unavailable(&error),
        RequestTokenError::Parse(_, body) => {
            ClioError::Unavailable(format!("the answer of {} bytes is not the JSON of a token", body.len()))
        }
        RequestTokenError::Other(_) => {
            ClioError::Unavailable("the answer is not the JSON of a token".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_ages_is_taken_for_one_of_a_year_and_one_without_an_end_for_an_hour() {
        let lifetime = |expires_in: &str| {
            let body = format!(r#"{{"access_token":"a","token_type":"bearer"{expires_in}}}"#);
            granted(&serde_json::from_str(&body).unwrap()).lifetime
        };
        assert_eq!(lifetime(r#","expires_in":2592000"#), TimeDelta::days(30));
        assert_eq!(lifetime(r#","expires_in":9000000000000000"#), TimeDelta::days(366));
        assert_eq!(lifetime(""), TimeDelta::hours(1));
    }
}

//! Clio's OAuth 2: consents asked for, codes, access and refresh tokens.
//!
//! Source: "Authorization" in Clio's API documentation.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

const CODE_LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// The app as it is registered in the developer hub.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct App {
    /// Its key.
    pub(super) client_id: String,
    /// Its secret.
    pub(super) client_secret: String,
    /// Its callback addresses, compared letter by letter.
    pub(super) redirect_uris: Vec<String>,
}

/// How tokens are given out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TokenRules {
    /// Seconds that an access token lives.
    pub(super) lifetime_seconds: u32,
    /// Whether a refresh ends the refresh token and gives another.
    pub(super) rotate: bool,
    /// Whether the answer to a refresh repeats an unchanged refresh token.
    pub(super) repeat: bool,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self { lifetime_seconds: 2_592_000, rotate: false, repeat: false }
    }
}

/// A consent page that a browser has open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Where the answer goes.
    pub(super) redirect_uri: String,
    /// The app's own text, handed back unread.
    pub(super) state: Option<String>,
    /// Whether a refusal is told to the app by a redirect.
    pub(super) redirect_on_decline: bool,
    /// The user who is signed in.
    pub(super) user: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Code {
    redirect_uri: String,
    user: i64,
    given_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct AccessToken {
    user: i64,
    ends_at: DateTime<Utc>,
}

/// Why a token request was refused, in OAuth's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenRefusal {
    /// HTTP status.
    pub(super) status: u16,
    /// The word in `error`.
    pub(super) error: &'static str,
    /// The text in `error_description`.
    pub(super) description: &'static str,
}

impl TokenRefusal {
    /// The body, flat as OAuth wants it.
    pub(super) fn body(&self) -> Value {
        json!({"error": self.error, "error_description": self.description})
    }
}

const WRONG_CLIENT: TokenRefusal = TokenRefusal {
    status: 401,
    error: "invalid_client",
    description: "Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.",
};

const WRONG_GRANT: TokenRefusal = TokenRefusal {
    status: 400,
    error: "invalid_grant",
    description: "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client.",
};

const WRONG_GRANT_TYPE: TokenRefusal = TokenRefusal {
    status: 400,
    error: "unsupported_grant_type",
    description: "The authorization grant type is not supported by the authorization server.",
};

const WRONG_REQUEST: TokenRefusal = TokenRefusal {
    status: 400,
    error: "invalid_request",
    description: "The request is missing a required parameter.",
};

/// The words of a 401 to a wrong or ended access token.
pub(super) fn invalid_token() -> Value {
    json!({
        "error": "invalid_token",
        "error_description":
            "The access token provided is expired, revoked, malformed or invalid for other reasons.",
    })
}

/// A request to the token endpoint.
#[derive(Debug, Clone, Default)]
pub(super) struct TokenRequest {
    /// The app's key.
    pub(super) client_id: String,
    /// The app's secret.
    pub(super) client_secret: String,
    /// `authorization_code` or `refresh_token`.
    pub(super) grant_type: String,
    /// The code.
    pub(super) code: Option<String>,
    /// The redirect address that the code was asked with.
    pub(super) redirect_uri: Option<String>,
    /// The refresh token.
    pub(super) refresh_token: Option<String>,
}

/// Everything given out so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OAuth {
    asked: BTreeMap<String, Asked>,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, AccessToken>,
    refresh: BTreeMap<String, i64>,
    /// All codes and tokens that were ever given.
    #[serde(skip)]
    given: Vec<String>,
}

impl OAuth {
    /// All codes and tokens that were given since the start.
    pub(super) fn given(&self) -> Vec<String> {
        self.given.clone()
    }

    fn new_secret(&mut self) -> String {
        let secret = secret();
        self.given.push(secret.clone());
        secret
    }

    /// Opens a consent page and gives the secret in its form.
    pub(super) fn ask(&mut self, asked: Asked) -> String {
        let request = secret();
        self.asked.insert(request.clone(), asked);
        request
    }

    /// Takes the answer to a consent page, once.
    pub(super) fn answered(&mut self, request: &str) -> Option<Asked> {
        self.asked.remove(request)
    }

    /// Gives a code for a consent.
    pub(super) fn give_code(&mut self, asked: &Asked, now: DateTime<Utc>) -> String {
        let code = self.new_secret();
        let given = Code { redirect_uri: asked.redirect_uri.clone(), user: asked.user, given_at: now };
        self.codes.insert(code.clone(), given);
        code
    }

    /// Answers a token request.
    pub(super) fn token(
        &mut self,
        app: &App,
        rules: &TokenRules,
        request: &TokenRequest,
        now: DateTime<Utc>,
    ) -> Result<Value, TokenRefusal> {
        if request.client_id != app.client_id || request.client_secret != app.client_secret {
            return Err(WRONG_CLIENT);
        }
        match request.grant_type.as_str() {
            "authorization_code" => self.by_code(rules, request, now),
            "refresh_token" => self.by_refresh(rules, request, now),
            "" => Err(WRONG_REQUEST),
            _ => Err(WRONG_GRANT_TYPE),
        }
    }

    fn by_code(
        &mut self,
        rules: &TokenRules,
        request: &TokenRequest,
        now: DateTime<Utc>,
    ) -> Result<Value, TokenRefusal> {
        let code = request.code.as_ref().ok_or(WRONG_REQUEST)?;
        let given = self.codes.remove(code).ok_or(WRONG_GRANT)?;
        let is_late = now - given.given_at > CODE_LIFETIME;
        if is_late || request.redirect_uri.as_ref() != Some(&given.redirect_uri) {
            return Err(WRONG_GRANT);
        }
        let refresh = self.new_refresh(given.user);
        Ok(self.answer(rules, given.user, Some(refresh), now))
    }

    fn by_refresh(
        &mut self,
        rules: &TokenRules,
        request: &TokenRequest,
        now: DateTime<Utc>,
    ) -> Result<Value, TokenRefusal> {
        let held = request.refresh_token.as_ref().ok_or(WRONG_REQUEST)?;
        let user = *self.refresh.get(held).ok_or(WRONG_GRANT)?;
        let told = if rules.rotate {
            self.refresh.remove(held);
            Some(self.new_refresh(user))
        } else {
            rules.repeat.then(|| held.clone())
        };
        Ok(self.answer(rules, user, told, now))
    }

    fn new_refresh(&mut self, user: i64) -> String {
        let token = self.new_secret();
        self.refresh.insert(token.clone(), user);
        token
    }

    fn answer(
        &mut self,
        rules: &TokenRules,
        user: i64,
        refresh: Option<String>,
        now: DateTime<Utc>,
    ) -> Value {
        let access = self.new_secret();
        let ends_at = now + TimeDelta::seconds(i64::from(rules.lifetime_seconds));
        self.access.insert(access.clone(), AccessToken { user, ends_at });
        let mut answer = json!({
            "token_type": "bearer", "access_token": access, "expires_in": rules.lifetime_seconds,
        });
        if let (Some(refresh), Some(object)) = (refresh, answer.as_object_mut()) {
            object.insert("refresh_token".to_owned(), json!(refresh));
        }
        answer
    }

    /// The user whose access token this is, while it lives.
    pub(super) fn user_of(&self, token: &str, now: DateTime<Utc>) -> Option<i64> {
        self.access.get(token).filter(|token| now < token.ends_at).map(|token| token.user)
    }

    /// Ends one access token. Its refresh token lives on.
    pub(super) fn end_access(&mut self, token: &str) {
        self.access.remove(token);
    }

    /// Ends all tokens and codes.
    pub(super) fn revoke_all(&mut self) {
        self.access.clear();
        self.refresh.clear();
        self.codes.clear();
    }
}

/// The redirect address with more parameters in its query; none if the address is no URL.
pub(super) fn with_query(address: &str, parameters: &[(&str, &str)]) -> Option<String> {
    let mut url = Url::parse(address).ok()?;
    url.query_pairs_mut().extend_pairs(parameters);
    Some(url.into())
}

fn secret() -> String {
    hex::encode(rand::random::<[u8; 20]>())
}

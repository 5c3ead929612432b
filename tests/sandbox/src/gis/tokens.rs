//! Tokens: making them, and knowing a good one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::options::{GisAuth, GisOptions};
use super::parameters::Parameters;
use super::refusal::Refusal;

/// The lifetime asked for when a request names none, in minutes.
const USUAL_MINUTES: i64 = 60;

/// A token that `generateToken` has given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    token: String,
    /// Milliseconds since 1970.
    expires: i64,
    /// The referer that every request must tell.
    referer: Option<String>,
}

/// The server's security: what it wants, and the tokens that it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub(super) auth: GisAuth,
    /// The long-lived token.
    pub(super) fixed: String,
    /// How long a token can live at most, in seconds. A longer wish is shortened without a word.
    pub(super) lifetime_seconds: i64,
    issued: Vec<Issued>,
    made: u64,
    /// All tokens that were ever given.
    #[serde(skip)]
    given: Vec<String>,
}

/// What a request says about who asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Credentials {
    /// From `token=`, `Authorization: Bearer` or `X-Esri-Authorization: Bearer`.
    pub(super) token: Option<String>,
    /// The header `Referer`.
    pub(super) referer: Option<String>,
}

impl Tokens {
    pub(super) fn new(options: &GisOptions) -> Self {
        Self {
            auth: options.auth,
            fixed: options.token.clone(),
            lifetime_seconds: USUAL_MINUTES * 60,
            issued: Vec::new(),
            made: 0,
            given: Vec::new(),
        }
    }

    /// All tokens that were given since the start.
    pub(super) fn given(&self) -> Vec<String> {
        self.given.clone()
    }

    /// Whether the request may go on. A bad token is refused also where none is needed.
    pub(super) fn check(&self, credentials: &Credentials, now: i64) -> Result<(), Refusal> {
        let Some(token) = &credentials.token else {
            return if self.auth == GisAuth::None { Ok(()) } else { Err(Refusal::token_required()) };
        };
        let fixed_is_good = self.auth != GisAuth::GenerateToken && *token == self.fixed;
        let issued = self.issued.iter().find(|issued| issued.token == *token);
        let issued_is_good = issued.is_some_and(|issued| {
            let same_referer = issued.referer.is_none() || issued.referer == credentials.referer;
            self.auth != GisAuth::Token && issued.expires > now && same_referer
        });
        if fixed_is_good || issued_is_good { Ok(()) } else { Err(Refusal::invalid_token()) }
    }

    /// Gives a token for the user's name and password, which must come in the form.
    pub(super) fn generate(
        &mut self,
        form: &Parameters,
        options: &GisOptions,
        now: i64,
    ) -> Result<Value, Refusal> {
        let (username, password) = (form.get("username"), form.get("password"));
        if self.auth == GisAuth::Token
            || username != Some(&options.username)
            || password != Some(&options.password)
        {
            return Err(Refusal::no_token("Invalid username or password."));
        }
        let referer = match form.get("client") {
            Some("referer") => {
                let referer =
                    form.get("referer").ok_or_else(|| Refusal::no_token("'referer' must be specified."))?;
                Some(referer.to_owned())
            }
            None | Some("requestip" | "ip") => None,
            Some(_) => return Err(Refusal::no_token("'client' must be referer, ip or requestip.")),
        };
        let minutes = match form.get("expiration") {
            None => USUAL_MINUTES,
            Some(text) => text
                .parse()
                .ok()
                .filter(|minutes| *minutes > 0)
                .ok_or_else(|| Refusal::no_token("'expiration' must be a positive number of minutes."))?,
        };
        self.made += 1;
        let token = hex::encode(Sha256::digest(format!("token {} made at {now}", self.made)));
        let expires = now + minutes.saturating_mul(60).min(self.lifetime_seconds) * 1000;
        self.issued.retain(|issued| issued.expires > now);
        self.given.push(token.clone());
        self.issued.push(Issued { token: token.clone(), expires, referer });
        Ok(json!({ "token": token, "expires": expires, "ssl": false }))
    }

    /// Ends every token that has been given.
    pub(super) fn expire(&mut self) {
        self.issued.clear();
    }
}

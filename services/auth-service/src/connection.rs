//! What is known of the consent: whose it is, how long its token lasts, how the last renewal went.

use chrono::{DateTime, TimeDelta, Utc};
use databridge_model::token_fingerprint;
use databridge_seal::Sealed;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// Tokens are renewed this long before they end, or a tenth of their lifetime before, whichever is shorter.
const RENEWAL_MARGIN: TimeDelta = TimeDelta::minutes(15);

/// A law firm's account at Clio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Clio's id of it.
    pub id: i64,
    /// Its name, where Clio tells it.
    pub name: Option<String>,
}

/// A user of Clio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Clio's id of the user.
    pub id: i64,
    /// The user's name.
    pub name: String,
}

/// Something that did not work, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: DateTime<Utc>,
    /// Why, for a person; holds no secret.
    pub reason: String,
}

/// The connection as it is stored. Everything but `tokens` may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// The account, where Clio told it.
    pub(crate) account: Option<Account>,
    /// Who allowed the access.
    pub(crate) connected_by: Person,
    /// When.
    pub(crate) connected_at: DateTime<Utc>,
    /// When the present access token was given.
    pub(crate) issued_at: DateTime<Utc>,
    /// When it ends.
    pub(crate) expires_at: DateTime<Utc>,
    /// The [`Tokens`], encrypted.
    pub(crate) tokens: Sealed,
    /// Why a person has to allow the access anew, once Clio has refused to renew the token.
    pub(crate) needs_consent: Option<String>,
    /// The last renewal that failed, if none has worked since.
    pub(crate) last_failure: Option<Failure>,
}

impl Connection {
    /// Whether this user of this account may take the place of the one who connected before.
    pub(crate) fn is_of_same_account(&self, account: Option<&Account>, person: &Person) -> bool {
        match (&self.account, account) {
            (Some(held), Some(new)) => held.id == new.id,
            // Clio does not have to show the account; the same user is of the same one.
            _ => self.connected_by.id == person.id,
        }
    }

    /// Whether the access token is to be renewed by now.
    pub(crate) fn is_due(&self, now: DateTime<Utc>) -> bool {
        let lifetime = self.expires_at - self.issued_at;
        self.expires_at - now <= RENEWAL_MARGIN.min(lifetime / 10)
    }

    /// Whether the access token has ended.
    pub(crate) fn is_over(&self, now: DateTime<Utc>) -> bool {
        now >= self.expires_at
    }
}

/// The tokens themselves.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tokens {
    /// For calls to the API.
    pub(crate) access_token: SecretString,
    /// For the next access token; without one a person has to consent again when the access token ends.
    pub(crate) refresh_token: Option<SecretString>,
}

impl Tokens {
    /// Whether these are the tokens that a caller names by the access token's [`token_fingerprint`].
    pub(crate) fn are_named_by(&self, fingerprint: &str) -> bool {
        token_fingerprint(self.access_token.expose_secret()) == fingerprint
    }

    /// Whether both would be renewed with the same refresh token.
    pub(crate) fn have_same_refresh_token(&self, other: &Self) -> bool {
        let exposed = |tokens: &Self| tokens.refresh_token.as_ref().map(|t| t.expose_secret().to_owned());
        exposed(self) == exposed(other)
    }
}

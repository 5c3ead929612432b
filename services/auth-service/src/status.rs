//! What may be told about the connection.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::connection::{Account, Failure, Person};
use crate::vault::{Held, Vault};

/// Whether Clio is connected, by whom and until when. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether bridges can work with Clio.
    pub connected: bool,
    /// The account at Clio, where Clio told it.
    pub account: Option<Account>,
    /// Who allowed the access.
    pub connected_by: Option<Person>,
    /// When.
    pub connected_at: Option<DateTime<Utc>>,
    /// When the present access token ends. It is renewed before, without a person.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether a person has to allow the access anew.
    pub needs_consent: bool,
    /// Why a person has to, or why nobody did yet.
    pub reason: Option<String>,
    /// The last renewal that failed, if none has worked since.
    pub last_failure: Option<Failure>,
}

impl Status {
    pub(crate) fn of(held: Option<&Held>, vault: &Vault) -> Self {
        let Some(Held { connection, .. }) = held else {
            let reason = "Nobody has connected Clio yet".to_owned();
            return Self { needs_consent: true, reason: Some(reason), ..Self::default() };
        };
        let closed = vault.unseal(connection).err().map(|error| error.to_string());
        let reason = closed.or_else(|| connection.needs_consent.clone());
        Self {
            connected: reason.is_none(),
            account: connection.account.clone(),
            connected_by: Some(connection.connected_by.clone()),
            connected_at: Some(connection.connected_at),
            expires_at: Some(connection.expires_at),
            needs_consent: reason.is_some(),
            reason,
            last_failure: connection.last_failure.clone(),
        }
    }
}

//! What the service is told by the environment.

use std::net::SocketAddr;

use databridge_config::env::{self, ClioAppEnv, ClioEnv, EnvError, KeyEnv};
use databridge_seal::{ExposeSecret, KeyError, MasterKey};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// Where the consent comes back to, at any host.
pub(crate) const CALLBACK_PATH: &str = "/callback";

/// The settings cannot be used. No variant shows a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A variable is missing or unreadable.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// `DATABRIDGE_KEY` is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The callback is elsewhere than where we answer.
    #[error(
        "CLIO_CALLBACK_URL must be an http or https address with the path /callback, such as \
         https://bridge.example.org/callback, letter by letter as it is registered in Clio's developer hub"
    )]
    Callback,
    /// The address of Clio is no web address.
    #[error("CLIO_URL must be an https address such as https://app.clio.com")]
    Clio,
    /// The address to listen on is none.
    #[error("AUTH_LISTEN must be an IP address and a port, such as 127.0.0.1:8080")]
    Listen,
}

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Clio is.
    pub(crate) clio_url: Url,
    /// The key of our application at Clio.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: SecretString,
    /// Where Clio sends the browser back to.
    pub(crate) callback_url: Url,
    /// The key from which those of the vault, the cookies and the replies are derived.
    pub(crate) key: MasterKey,
}

impl Settings {
    /// Checks what the environment says.
    pub fn new(clio: ClioEnv, app: ClioAppEnv, key: &KeyEnv) -> Result<Self, SettingsError> {
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let callback = &app.clio_callback_url;
        let has_more = callback.query().is_some() || callback.fragment().is_some();
        if !is_web(callback) || callback.path() != CALLBACK_PATH || has_more {
            return Err(SettingsError::Callback);
        }
        if !is_web(&clio.clio_url) {
            return Err(SettingsError::Clio);
        }
        Ok(Self {
            clio_url: clio.clio_url,
            client_id: app.clio_api_key,
            client_secret: app.clio_api_secret,
            callback_url: app.clio_callback_url,
            key: MasterKey::parse(key.databridge_key.expose_secret())?,
        })
    }

    /// Reads `CLIO_URL`, `CLIO_API_KEY`, `CLIO_API_SECRET`, `CLIO_CALLBACK_URL` and `DATABRIDGE_KEY`.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Self::new(env::read()?, env::read()?, &env::read()?)
    }

    /// Whether people reach us over TLS, so that cookies may be kept to it.
    pub(crate) fn is_https(&self) -> bool {
        self.callback_url.scheme() == "https"
    }
}

#[derive(Deserialize)]
struct ListenEnv {
    #[serde(default = "default_listen")]
    auth_listen: String,
}

fn default_listen() -> String {
    "127.0.0.1:8080".to_owned()
}

/// `AUTH_LISTEN`: the address that the web page is served on, default `127.0.0.1:8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl Listen {
    /// Reads `AUTH_LISTEN`.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Self::of(&env::read()?)
    }

    fn of(env: &ListenEnv) -> Result<Self, SettingsError> {
        env.auth_listen.trim().parse().map(Self).map_err(|_| SettingsError::Listen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(callback: &str, key: &str) -> Result<Settings, SettingsError> {
        let read = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let app = env::read_from(read(&[
            ("CLIO_API_KEY", "app"),
            ("CLIO_API_SECRET", "hunter2"),
            ("CLIO_CALLBACK_URL", callback),
        ]))?;
        Settings::new(env::read_from(read(&[]))?, app, &env::read_from(read(&[("DATABRIDGE_KEY", key)]))?)
    }

    #[test]
    fn a_callback_that_we_would_not_answer_is_refused_by_name() {
        let key = "ab".repeat(32);
        for callback in
            ["https://h/clio/callback", "https://h/", "https://h/callback?x=1", "ftp://h/callback"]
        {
            assert_eq!(settings(callback, &key).unwrap_err(), SettingsError::Callback, "{callback}");
        }
        assert!(settings("https://h/callback", &key).unwrap().is_https());
        assert!(!settings("http://127.0.0.1:8080/callback", &key).unwrap().is_https());
    }

    #[test]
    fn no_setting_that_is_secret_shows_in_errors_or_when_printed() {
        let error = settings("https://h/callback", "hunter2").unwrap_err();
        assert!(error.to_string().contains("DATABRIDGE_KEY"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let printed = format!("{:?}", settings("https://h/callback", &"ab".repeat(32)).unwrap());
        assert!(!printed.contains("hunter2") && !printed.contains("abab"), "{printed}");
    }

    #[test]
    fn the_default_address_is_not_open_to_the_network() {
        let listen = |text: &str| Listen::of(&ListenEnv { auth_listen: text.to_owned() });
        assert!(listen(&default_listen()).unwrap().0.ip().is_loopback());
        assert_eq!(listen("8080"), Err(SettingsError::Listen));
    }
}

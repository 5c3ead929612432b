//! Settings from the environment. An error names the variable and never shows a value.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

/// A variable is missing or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// It is needed and not set, or empty.
    #[error("{0} is not set; see README.md, \"Settings\", for what it is")]
    Missing(String),
    /// Its value cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, &'static str),
}

/// Where NATS is and how we use it.
#[derive(Clone, Debug, Deserialize)]
pub struct NatsEnv {
    /// `NATS_URL`, default `nats://127.0.0.1:4222`.
    #[serde(default = "default_nats_url")]
    pub nats_url: String,
    /// `NATS_REPLICAS`: on how many servers each stream is kept, 1 (default) or 3.
    #[serde(default = "default_replicas")]
    pub nats_replicas: usize,
    /// `NATS_ACK_WAIT_SECONDS`: how long after a crash the work of the dead is given to another, default 60.
    #[serde(default = "default_ack_wait")]
    pub nats_ack_wait_seconds: u64,
}

impl NatsEnv {
    /// The defaults, at this address.
    pub fn at(nats_url: String) -> Self {
        Self { nats_url, nats_replicas: default_replicas(), nats_ack_wait_seconds: default_ack_wait() }
    }
}

fn default_replicas() -> usize {
    1
}

fn default_ack_wait() -> u64 {
    60
}

fn default_nats_url() -> String {
    "nats://127.0.0.1:4222".to_owned()
}

/// Where the config folder is.
#[derive(Clone, Debug, Deserialize)]
pub struct ConfigEnv {
    /// `DATABRIDGE_CONFIG`, default `config`.
    #[serde(default = "default_config")]
    pub databridge_config: PathBuf,
}

fn default_config() -> PathBuf {
    PathBuf::from("config")
}

/// The key under which tokens are encrypted and sealed.
#[derive(Clone, Debug, Deserialize)]
pub struct KeyEnv {
    /// `DATABRIDGE_KEY`: 64 hex digits.
    pub databridge_key: SecretString,
}

/// Where Clio is.
#[derive(Clone, Debug, Deserialize)]
pub struct ClioEnv {
    /// `CLIO_URL`, default `https://app.clio.com`; other regions: `https://eu.app.clio.com`, ...
    #[serde(default = "default_clio_url")]
    pub clio_url: Url,
}

#[expect(clippy::expect_used, reason = "a constant that a test reads")]
fn default_clio_url() -> Url {
    Url::parse("https://app.clio.com").expect("the constant is a URL")
}

/// Our application at Clio.
#[derive(Clone, Debug, Deserialize)]
pub struct ClioAppEnv {
    /// `CLIO_API_KEY`: the application's key.
    pub clio_api_key: String,
    /// `CLIO_API_SECRET`: its secret.
    pub clio_api_secret: SecretString,
    /// `CLIO_CALLBACK_URL`: the callback that is registered for it, ending in `/callback`.
    pub clio_callback_url: Url,
}

/// Where the feature service is and how we sign in there.
#[derive(Clone, Debug, Deserialize)]
pub struct GisEnv {
    /// `GIS_SERVICE_URL`: the address of the `FeatureServer`.
    pub gis_service_url: Url,
    /// `GIS_TOKEN`: a token or API key that does not change.
    pub gis_token: Option<SecretString>,
    /// `GIS_USERNAME`: for generateToken.
    pub gis_username: Option<String>,
    /// `GIS_PASSWORD`: for generateToken.
    pub gis_password: Option<SecretString>,
}

/// Reads a struct of settings from the process's environment.
pub fn read<T: DeserializeOwned>() -> Result<T, EnvError> {
    read_from(std::env::vars())
}

/// Reads a struct of settings from these variables. A variable with an empty value counts as not set.
pub fn read_from<T: DeserializeOwned>(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<T, EnvError> {
    let variables: Vec<_> = variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    envy::from_iter(variables.clone()).map_err(|error| match error {
        envy::Error::MissingValue(field) => EnvError::Missing(field.to_uppercase()),
        // envy's text shows the value and rarely the variable, so that is found by leaving each out in turn.
        envy::Error::Custom(text) => {
            let guilty = variables.iter().find(|(name, _)| {
                let others = variables.iter().filter(|(other, _)| other != name).cloned();
                !matches!(envy::from_iter::<_, T>(others), Err(envy::Error::Custom(_)))
            });
            let name = guilty.map_or_else(|| "a variable".to_owned(), |(name, _)| name.clone());
            EnvError::Unreadable(name, expected_by(&text))
        }
    })
}

/// What a variable should hold, by envy's complaint: it reads numbers itself, and addresses are all else we read.
fn expected_by(complaint: &str) -> &'static str {
    if complaint.contains(" while parsing value ") {
        "a whole number is expected"
    } else {
        "an address such as https://host/path is expected"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = read_from::<KeyEnv>(vars(&[("DATABRIDGE_KEY", " ")])).unwrap_err();
        assert!(error.to_string().starts_with("DATABRIDGE_KEY is not set"), "{error}");
    }

    #[test]
    fn an_error_names_the_variable_and_shows_no_value() {
        let error =
            read_from::<GisEnv>(vars(&[("GIS_SERVICE_URL", "hunter2"), ("HOME", "/root")])).unwrap_err();
        assert!(error.to_string().starts_with("GIS_SERVICE_URL cannot be read"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_number_that_is_none_is_named_and_a_number_is_asked_for() {
        for name in ["NATS_REPLICAS", "NATS_ACK_WAIT_SECONDS"] {
            let error = read_from::<NatsEnv>(vars(&[(name, "hunter2")])).unwrap_err().to_string();
            assert_eq!(error, format!("{name} cannot be read: a whole number is expected"));
        }
    }

    #[test]
    fn secrets_do_not_show_when_printed() {
        let env: GisEnv =
            read_from(vars(&[("GIS_SERVICE_URL", "https://h/FeatureServer"), ("GIS_TOKEN", "hunter2")]))
                .unwrap();
        assert!(!format!("{env:?}").contains("hunter2"));
    }

    #[test]
    fn the_default_address_of_clio_is_a_url() {
        let env: ClioEnv = read_from(vars(&[])).unwrap();
        assert_eq!(env.clio_url.host_str(), Some("app.clio.com"));
    }
}

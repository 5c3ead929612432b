//! Settings from the environment. An error names the variable and never shows a value.

mod fields;

use std::path::PathBuf;

use secrecy::SecretString;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
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
    /// Several of these, told one a line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<EnvError>),
}

/// Where NATS is and how we use it.
#[derive(Clone, Debug, Deserialize)]
pub struct NatsEnv {
    /// `NATS_URL`, default `nats://127.0.0.1:4222`.
    #[serde(default = "default_nats_url")]
    pub nats_url: String,
    /// `NATS_REPLICAS`: on how many servers each stream is kept, 1 (default) or 3.
    #[serde(default = "default_replicas", deserialize_with = "above_zero")]
    pub nats_replicas: usize,
    /// `NATS_ACK_WAIT_SECONDS`: how long after a crash the work of the dead is given to another, default 20.
    #[serde(default = "default_ack_wait", deserialize_with = "above_zero")]
    pub nats_ack_wait_seconds: u64,
    /// `NATS_USER`: as whom to sign in; nobody is asked to by default.
    pub nats_user: Option<String>,
    /// `NATS_PASSWORD`: its password.
    pub nats_password: Option<SecretString>,
    /// `NATS_CA_FILE`: the certificates (PEM) of those who may vouch for the server, beside the machine's own; with it
    /// the connection is by TLS, whatever the address says.
    pub nats_ca_file: Option<PathBuf>,
    /// `NATS_CERT_FILE`: our certificate (PEM), where the server wants one.
    pub nats_cert_file: Option<PathBuf>,
    /// `NATS_KEY_FILE`: its key (PEM).
    pub nats_key_file: Option<PathBuf>,
}

impl NatsEnv {
    /// The defaults, at this address.
    pub fn at(nats_url: String) -> Self {
        Self {
            nats_url,
            nats_replicas: default_replicas(),
            nats_ack_wait_seconds: default_ack_wait(),
            nats_user: None,
            nats_password: None,
            nats_ca_file: None,
            nats_cert_file: None,
            nats_key_file: None,
        }
    }

    /// As this user.
    pub fn signed_in(self, user: &str, password: SecretString) -> Self {
        Self { nats_user: Some(user.to_owned()), nats_password: Some(password), ..self }
    }
}

fn above_zero<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Default + PartialEq,
{
    let number = N::deserialize(deserializer)?;
    if number == N::default() { Err(D::Error::custom(NOT_ABOVE_ZERO)) } else { Ok(number) }
}

fn none_or_above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    above_zero(deserializer).map(Some)
}

fn default_replicas() -> usize {
    1
}

fn default_ack_wait() -> u64 {
    20
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
    /// `CLIO_CALLS_PER_DAY`: how many calls of its API it may cost a day, in UTC; as many as it takes by default.
    #[serde(default, deserialize_with = "none_or_above_zero")]
    pub clio_calls_per_day: Option<u32>,
}

impl ClioEnv {
    /// The defaults, at this address.
    pub fn at(clio_url: Url) -> Self {
        Self { clio_url, clio_calls_per_day: None }
    }
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
    /// `GIS_CALLS_PER_DAY`: how many calls it may cost a day, in UTC; as many as it takes by default.
    #[serde(default, deserialize_with = "none_or_above_zero")]
    pub gis_calls_per_day: Option<u32>,
}

/// Reads a struct of settings from the process's environment.
pub fn read<T: DeserializeOwned>() -> Result<T, EnvError> {
    read_from(std::env::vars())
}

/// What is put in the place of a variable that is missing, to find what else is: a text and an address at once.
const STAND_IN: &str = "https://host/";

/// The variables of a struct of settings that are in files, as if they were set; and those whose files cannot be read.
fn in_files<T: DeserializeOwned>(variables: &[(String, String)]) -> (Vec<(String, String)>, Vec<EnvError>) {
    let value_of = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    for name in fields::of::<T>().iter().map(|field| field.to_uppercase()) {
        let by_file = format!("{name}_FILE");
        let (None, Some(path)) = (value_of(&name), value_of(&by_file)) else { continue };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        match text.trim() {
            "" => {
                wrong.push(EnvError::Unreadable(by_file, "a file of text that may be read here is expected"));
                // Nothing else is to be said of it.
                read.push((name, STAND_IN.to_owned()));
            }
            text => read.push((name, text.to_owned())),
        }
    }
    (read, wrong)
}

/// The complaint about a nought.
const NOT_ABOVE_ZERO: &str = "not above zero";

/// Reads a struct of settings from these variables. A variable with an empty value counts as not set; any may be
/// in a file instead, which `<its name>_FILE` names, as secrets are in containers. Everything wrong is told at once.
pub fn read_from<T: DeserializeOwned>(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<T, EnvError> {
    let mut variables: Vec<_> = variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    let (from_files, mut wrong) = in_files::<T>(&variables);
    variables.extend(from_files);
    let complaint = match envy::from_iter(variables.clone()) {
        Ok(read) if wrong.is_empty() => return Ok(read),
        Ok(_) => envy::Error::Custom(String::new()),
        Err(error) => error,
    };
    // envy tells the first thing wrong, and rarely its variable: each variable alone tells of itself.
    variables.retain(|variable| match envy::from_iter::<_, T>([variable.clone()]) {
        Err(envy::Error::Custom(text)) => {
            wrong.push(EnvError::Unreadable(variable.0.clone(), expected_by(&text)));
            false
        }
        _ => true,
    });
    let mut stand_ins: Vec<String> = Vec::new();
    while let Err(envy::Error::MissingValue(field)) = envy::from_iter::<_, T>(variables.clone()) {
        let name = field.to_uppercase();
        if stand_ins.contains(&name) {
            break;
        }
        if !wrong
            .iter()
            .any(|error| matches!(error, EnvError::Unreadable(unreadable, _) if *unreadable == name))
        {
            wrong.push(EnvError::Missing(name.clone()));
        }
        variables.push((name.clone(), STAND_IN.to_owned()));
        stand_ins.push(name);
    }
    Err(match (wrong.pop(), wrong.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            wrong.push(last);
            EnvError::Several(wrong)
        }
        (None, _) => EnvError::Unreadable("a variable".to_owned(), expected_by(&complaint.to_string())),
    })
}

/// What a variable should hold, by envy's complaint: it reads numbers itself, and addresses are all else we read.
fn expected_by(complaint: &str) -> &'static str {
    if complaint.contains(" while parsing value ") || complaint == NOT_ABOVE_ZERO {
        "a whole number above 0 is expected"
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
    fn a_number_that_is_none_or_not_above_zero_is_named_and_a_number_is_asked_for() {
        for name in ["NATS_REPLICAS", "NATS_ACK_WAIT_SECONDS"] {
            for value in ["two", "-5", "0", "1.5"] {
                let error = read_from::<NatsEnv>(vars(&[(name, value)])).unwrap_err().to_string();
                assert_eq!(
                    error,
                    format!("{name} cannot be read: a whole number above 0 is expected"),
                    "{value}"
                );
            }
        }
        assert_eq!(read_from::<NatsEnv>(vars(&[("NATS_REPLICAS", "3")])).unwrap().nats_replicas, 3);
    }

    #[test]
    fn a_budget_is_a_number_above_zero_or_none() {
        let clio = |value: &str| read_from::<ClioEnv>(vars(&[("CLIO_CALLS_PER_DAY", value)]));
        assert_eq!(clio("5000").unwrap().clio_calls_per_day, Some(5_000));
        assert_eq!(clio(" ").unwrap().clio_calls_per_day, None);
        for value in ["0", "-1", "many"] {
            let error = clio(value).unwrap_err().to_string();
            assert_eq!(
                error, "CLIO_CALLS_PER_DAY cannot be read: a whole number above 0 is expected",
                "{value}"
            );
        }
    }

    #[test]
    fn a_value_may_be_in_a_file_and_a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("key"), "hunter2\n").unwrap();
        let read: KeyEnv = read_from(vars(&[("DATABRIDGE_KEY_FILE", &path("key"))])).unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&read.databridge_key), "hunter2");

        let both = vars(&[("DATABRIDGE_KEY", "set"), ("DATABRIDGE_KEY_FILE", &path("key"))]);
        let read: KeyEnv = read_from(both).unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&read.databridge_key), "set");

        let error = read_from::<KeyEnv>(vars(&[("DATABRIDGE_KEY_FILE", &path("none"))])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "DATABRIDGE_KEY_FILE cannot be read: a file of text that may be read here is expected"
        );
        // Of no concern to a service that has no such setting.
        read_from::<ClioEnv>(vars(&[("DATABRIDGE_KEY_FILE", &path("none"))])).unwrap();
    }

    #[test]
    fn everything_that_is_missing_or_unreadable_is_told_at_once() {
        let error = read_from::<ClioAppEnv>(vars(&[("CLIO_CALLBACK_URL", "hunter2")])).unwrap_err();
        let told: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for name in
            ["CLIO_API_KEY is not set", "CLIO_API_SECRET is not set", "CLIO_CALLBACK_URL cannot be read"]
        {
            assert!(told.iter().any(|line| line.starts_with(name)), "{told:?}");
        }
        let both = vars(&[("NATS_REPLICAS", "two"), ("NATS_ACK_WAIT_SECONDS", "soon")]);
        assert_eq!(read_from::<NatsEnv>(both).unwrap_err().to_string().lines().count(), 2);
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

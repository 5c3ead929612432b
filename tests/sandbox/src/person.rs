//! `sandbox person`: asks Data Bridge for a one-time link and allows the access at Clio, as a person would.

use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectOptions, RequestError};
use clap::Args;
use sandbox::Admin;
use sandbox::client::AdminError;
use serde_json::Value;
use url::Url;

/// How long Data Bridge may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where Data Bridge's broker is, and as whom it is asked.
#[derive(Debug, Args)]
pub(crate) struct PersonArguments {
    /// The broker's address.
    #[arg(long = "nats-url", env = "NATS_URL", value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    url: String,
    /// A user there who may ask the auth-service.
    #[arg(long = "nats-user", env = "NATS_USER", value_name = "NAME", requires = "password")]
    user: Option<String>,
    /// The user's password.
    #[arg(long = "nats-password", env = "NATS_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// Why Clio is not connected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PersonError {
    #[error("NATS cannot be used: {0}")]
    Connect(#[from] ConnectError),
    #[error("the auth-service does not answer: {0}")]
    Request(#[from] RequestError),
    #[error("the auth-service gave no link: {0}")]
    NoLink(Value),
    #[error("the auth-service's answer is no JSON: {0}")]
    Answer(#[from] serde_json::Error),
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Connects Clio unless it is connected, and goes on trying while Data Bridge starts.
pub(crate) async fn allow_access(arguments: &PersonArguments) -> Result<(), PersonError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match try_to_allow(arguments).await {
            Err(error) if tokio::time::Instant::now() < deadline => {
                tracing::info!("Clio is not connected yet: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            ended => return ended,
        }
    }
}

async fn try_to_allow(arguments: &PersonArguments) -> Result<(), PersonError> {
    let mut options = ConnectOptions::new().name("person");
    if let (Some(user), Some(password)) = (&arguments.user, &arguments.password) {
        options = options.user_and_password(user.clone(), password.clone());
    }
    let client = options.connect(&arguments.url).await?;
    if ask(&client, "auth.status.clio").await?.get("connected") == Some(&Value::Bool(true)) {
        tracing::info!("Clio is connected already.");
        return Ok(());
    }
    let answer = ask(&client, "auth.link.clio").await?;
    let Some(link) = answer.get("url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok()) else {
        return Err(PersonError::NoLink(answer));
    };
    Admin::at(link.clone())?.follow_link(&link).await?;
    tracing::info!("A person has opened the one-time link and allowed the access: Clio is connected.");
    Ok(())
}

async fn ask(client: &Client, subject: &'static str) -> Result<Value, PersonError> {
    let answer = client.request(subject, "{}".into()).await?;
    Ok(serde_json::from_slice(&answer.payload)?)
}

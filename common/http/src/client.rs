//! Making HTTP clients.

use std::sync::Once;
use std::time::Duration;

/// The HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made: {0}")]
pub struct ClientError(#[from] reqwest::Error);

static TLS: Once = Once::new();

/// Chooses the process's TLS implementation, once.
fn install_tls() {
    TLS.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("A TLS provider is installed already.");
        }
    });
}

/// A client with time-outs, gzip and our name, that follows no redirect: a redirect would carry the credential away.
pub fn client(agent: &str) -> Result<reqwest::Client, ClientError> {
    let client =
        builder(agent).read_timeout(Duration::from_secs(30)).timeout(Duration::from_secs(45)).build()?;
    Ok(client)
}

/// The same for large uploads: they take as long as they take, so the caller sees to it that the bytes flow.
pub fn upload_client(agent: &str) -> Result<reqwest::Client, ClientError> {
    Ok(builder(agent).build()?)
}

fn builder(agent: &str) -> reqwest::ClientBuilder {
    install_tls();
    reqwest::Client::builder()
        .user_agent(format!("data-bridge/{} ({agent})", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(30))
        .gzip(true)
}

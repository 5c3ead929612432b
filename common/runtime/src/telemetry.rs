//! Logs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, else one JSON object a line.
    Auto,
    /// For people.
    Text,
}

/// Sends logs to standard error. `RUST_LOG` chooses them; the default is `default_filter`.
///
/// Does nothing where logs are set up already.
pub fn init(format: LogFormat, default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let text = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
    };
    let set = if text { builder.try_init() } else { builder.json().flatten_event(true).try_init() };
    if let Err(error) = set {
        tracing::debug!(%error, "Logs are set up already.");
    }
}

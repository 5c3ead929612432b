//! How a server is to run, and the config file that says so to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settings of one server.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The program, from [`crate::find`].
    pub binary: PathBuf,
    /// The folder for streams, config file and log. Made if it does not exist; kept when the server ends.
    pub store_dir: PathBuf,
    /// The port on 127.0.0.1 for clients; `None` picks a free one, which restarts keep.
    pub port: Option<u16>,
    /// More lines for the config file, at its top level. A `jetstream` block here replaces ours.
    pub config_extra: String,
    /// Whether every write reaches the disk before it is acknowledged (`sync_interval: always`). Without it, a power
    /// loss takes up to two minutes of acknowledged messages with it.
    pub sync_always: bool,
    /// Whether to serve monitoring over HTTP on a port that the server picks.
    pub monitor: bool,
    /// The most that all streams together may store, in bytes; `None` leaves it to the server (75 % of the free disk).
    pub max_file_store: Option<u64>,
    /// How long a start may take, recovery of the streams included.
    pub ready_within: Duration,
}

impl StartOptions {
    /// Safe settings: a free port, every write synced, no monitoring.
    pub fn new(binary: impl Into<PathBuf>, store_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            store_dir: store_dir.into(),
            port: None,
            config_extra: String::new(),
            sync_always: true,
            monitor: false,
            max_file_store: None,
            ready_within: Duration::from_secs(30),
        }
    }

    /// The config file for a server on `port`; `None` when the store folder's name is not UTF-8.
    pub(crate) fn config_text(&self, port: u16) -> Option<String> {
        let store = quoted(&self.store_dir)?;
        let mut lines = vec![
            format!("listen: \"127.0.0.1:{port}\""),
            format!("ports_file_dir: {store}"),
            "max_payload: 1048576".to_owned(),
        ];
        if self.monitor {
            lines.push("http: \"127.0.0.1:-1\"".to_owned());
        }
        lines.push("jetstream {".to_owned());
        lines.push(format!("  store_dir: {store}"));
        if self.sync_always {
            lines.push("  sync_interval: always".to_owned());
        }
        if let Some(bytes) = self.max_file_store {
            lines.push(format!("  max_file_store: {bytes}"));
        }
        lines.push("}".to_owned());
        lines.push(self.config_extra.clone());
        Some(lines.join("\n") + "\n")
    }
}

fn quoted(path: &Path) -> Option<String> {
    let text = path.to_str()?.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_is_synced_unless_asked_otherwise() {
        let mut options = StartOptions::new("nats-server", "/tmp/store");
        assert!(options.config_text(4222).unwrap().contains("sync_interval: always"));
        options.sync_always = false;
        assert!(!options.config_text(4222).unwrap().contains("sync_interval"));
    }

    #[test]
    fn the_server_listens_on_this_machine_only_and_monitors_only_when_asked() {
        let mut options = StartOptions::new("nats-server", "/tmp/store");
        let text = options.config_text(4333).unwrap();
        assert!(text.contains("listen: \"127.0.0.1:4333\"") && !text.contains("http"), "{text}");
        options.monitor = true;
        assert!(options.config_text(4333).unwrap().contains("http: \"127.0.0.1:-1\""));
    }

    #[test]
    fn a_store_folder_with_quotes_stays_one_text() {
        let options = StartOptions::new("nats-server", "/tmp/a \"b\" \\c");
        assert!(options.config_text(4222).unwrap().contains(r#"store_dir: "/tmp/a \"b\" \\c""#));
    }
}

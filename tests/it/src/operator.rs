//! The operator's command, called as an operator does.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Town;
use crate::processes::built;

/// What a call of the command came to.
#[derive(Clone, Debug)]
pub struct Called {
    /// Its status: 0 is well, 1 not all is well, 2 an error.
    pub status: i32,
    /// What it printed.
    pub said: String,
    /// What it complained of.
    pub error: String,
}

impl Town {
    /// Calls `databridge` with these arguments, as Ann.
    pub async fn databridge(&self, arguments: &[&str]) -> anyhow::Result<Called> {
        self.databridge_reading(arguments, "").await
    }

    /// The same with this text on its standard input.
    pub async fn databridge_reading(&self, arguments: &[&str], input: &str) -> anyhow::Result<Called> {
        let mut command = Command::new(built("databridge-under-test")?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
            .env("NATS_URL", self.nats.url())
            .env("DATABRIDGE_CONFIG", &self.office.config.path)
            .env("USER", "ann")
            .env_remove("SUDO_USER")
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Called {
            status: output.status.code().unwrap_or(-1),
            said: text(output.stdout),
            error: text(output.stderr),
        })
    }
}

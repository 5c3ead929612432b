//! A watcher that ends the server when this process dies, however it dies.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A shell that waits on a pipe from this process. The pipe closes when this process ends, by `kill -9` too, and the
/// shell then kills the server. Dropping the guard ends the shell and leaves the server alone.
///
/// The kernel's own means, a signal at the parent's death, needs unsafe code and follows the starting thread.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn watch_over(server_pid: u32) -> io::Result<Self> {
        Command::new("sh")
            .args(["-c", "read -r line; kill -9 \"$0\"", &server_pid.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Killed before its pipe closes, so that it does not take this for the parent's death.
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            tracing::debug!(%error, "the watcher of nats-server could not be ended");
        }
    }
}

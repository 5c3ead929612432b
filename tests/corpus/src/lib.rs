//! The corpus that fuzzing has kept, run through the body of its target: the short form of `tests/fuzz`.

use std::fs;
use std::path::{Path, PathBuf};

/// Runs each kept file of a target through its body. The file at which the body panics is named on standard error.
///
/// # Panics
///
/// Where the body does, and where nothing is kept for the target: a replay of nothing would prove nothing.
pub fn replay(target: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files = files_in(&folder);
    files.sort();
    assert!(!files.is_empty(), "{}: nothing is kept there", folder.display());
    for file in &files {
        let bytes = fs::read(file).unwrap_or_else(|error| unreadable(file, &error));
        let _named = Named(file);
        body(&bytes);
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| unreadable(folder, &error));
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect()
}

#[expect(clippy::panic, reason = "it is called by tests only, and a corpus that is not there must fail them")]
fn unreadable<T>(path: &Path, error: &std::io::Error) -> T {
    panic!("{}: {error}", path.display())
}

/// Names the file if its replay panics.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with the kept file {}", self.0.display());
        }
    }
}

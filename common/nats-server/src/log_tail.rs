//! The end of what a program wrote, for error texts.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The last `count` lines that are not blank.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let mut lines: Vec<&str> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(count).collect();
    lines.reverse();
    lines.join("\n")
}

/// A log file that several runs append to, seen from where the present run began.
#[derive(Debug)]
pub(crate) struct RunLog {
    path: PathBuf,
    /// Length of the file when the run began, in bytes.
    begins_at: usize,
}

impl RunLog {
    /// Opens the log for a new run; gives the file to write to, too.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, File)> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let begins_at = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        Ok((Self { path: path.to_owned(), begins_at }, file))
    }

    /// What the present run wrote; empty if the file cannot be read.
    pub(crate) fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.begins_at..).unwrap_or_default()).into_owned()
    }

    /// The last lines that the present run wrote.
    pub(crate) fn tail(&self) -> String {
        last_lines(&self.text(), 15)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn blank_lines_do_not_count() {
        assert_eq!(last_lines("a\n\nb\n  \nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
    }

    #[test]
    fn the_text_of_an_earlier_run_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let (log, mut file) = RunLog::open(&path).unwrap();
        file.write_all(b"now\n").unwrap();
        assert_eq!(log.tail(), "now");
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nnow\n");
    }
}

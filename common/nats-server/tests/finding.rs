//! Which server is taken, and what is said where there is none.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use databridge_nats_server::{DownloadError, FindError, FindOptions, Origin, find};
use tempfile::TempDir;

/// A machine of which nothing is known but what a test puts there.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn server(&self, folder: &str, says: &str) -> PathBuf {
        let folder = self.folder(folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("nats-server");
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn options(&self, path_folders: &[&str]) -> FindOptions {
        FindOptions {
            binary: None,
            search_path: Some(
                std::env::join_paths(path_folders.iter().map(|name| self.folder(name))).unwrap(),
            ),
            cache: Some(self.folder("cache")),
            download: false,
        }
    }

    fn find_given(&self, path: &Path) -> Result<PathBuf, FindError> {
        let options = FindOptions { binary: Some(path.to_owned()), ..self.options(&["bin"]) };
        find(&options).map(|server| server.path)
    }
}

#[test]
fn a_given_server_is_taken_before_any_other() {
    let machine = Machine::new();
    machine.server("bin", "nats-server: v2.15.1");
    let given = machine.server("elsewhere", "nats-server: v2.14.6");
    assert_eq!(machine.find_given(&given).unwrap(), given);
}

#[test]
fn a_given_old_server_is_refused_by_name_even_where_a_good_one_is_on_path() {
    let machine = Machine::new();
    machine.server("bin", "nats-server: v2.15.1");
    let old = machine.server("old", "nats-server: v2.10.1");
    let text = machine.find_given(&old).unwrap_err().to_string();
    assert_eq!(text, format!("{} is nats-server 2.10.1; Data Bridge needs 2.14.6 or later", old.display()));
}

#[test]
fn a_given_program_that_is_no_server_is_refused_with_its_path() {
    let machine = Machine::new();
    for path in [machine.server("other", "something else 1.0"), machine.folder("nothing")] {
        let error = machine.find_given(&path).unwrap_err();
        assert!(matches!(error, FindError::NotAServer { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn an_old_server_on_path_is_passed_over_with_a_note() {
    let machine = Machine::new();
    let old = machine.server("old", "nats-server: v2.10.1");
    let good = machine.server("good", "nats-server: v2.16.0");
    let found = find(&machine.options(&["missing", "old", "good"])).unwrap();
    assert_eq!((&found.path, found.origin), (&good, Origin::Path));
    let [note] = found.skipped.as_slice() else { panic!("{:?}", found.skipped) };
    assert!(
        note.contains(old.to_str().unwrap()) && note.contains("2.10.1") && note.contains("2.14.6"),
        "{note}"
    );
}

#[test]
fn where_there_is_none_the_text_says_what_was_tried_and_what_to_do() {
    let machine = Machine::new();
    let old = machine.server("old", "nats-server: v2.10.1");
    let error = find(&machine.options(&["old"])).unwrap_err();
    assert!(
        matches!(&error, FindError::None { download, .. } if matches!(**download, DownloadError::SwitchedOff)),
        "{error:?}"
    );
    let text = error.to_string();
    for part in [
        old.to_str().unwrap(),
        "nats-server 2.10.1",
        machine.folder("cache").to_str().unwrap(),
        "downloading is switched off",
        "github.com/nats-io/nats-server/releases",
        "put it on PATH",
    ] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
}

#[test]
fn a_machine_without_a_home_is_told_so() {
    let machine = Machine::new();
    let error = find(&FindOptions { cache: None, download: true, ..machine.options(&[]) }).unwrap_err();
    assert!(error.to_string().contains("neither XDG_CACHE_HOME nor HOME is set"), "{error}");
}

#[test]
fn a_server_on_path_without_the_right_to_run_is_not_a_server() {
    let machine = Machine::new();
    let path = machine.server("bin", "nats-server: v2.15.1");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(find(&machine.options(&["bin"])), Err(FindError::None { .. })));
}

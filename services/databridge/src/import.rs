//! The data folder of the scripts that Data Bridge replaces: what still waits in it is read again from its system.
//!
//! The scripts kept a queue of files, each a pull with one JSON object a line, and the ids of what they had made in
//! Clio. A line is a copy of a record from long ago, so its values are not carried over: the record is asked for by
//! its id and goes the way of every other. Nothing in the folder is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not such a folder.
    #[error(
        "{path}: there is neither data/gis nor data/clio in it; the folder that the scripts had as BASE_DATA_DIR is \
         expected",
        path = .0.display()
    )]
    NotOne(PathBuf),
    /// A file or folder in it cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a data folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFolder {
    /// Litigations that waited: object ids.
    pub litigations: BTreeSet<String>,
    /// Litigations of attachments that waited: object ids.
    pub of_attachments: BTreeSet<String>,
    /// Matters that waited, with or without notes: ids.
    pub matters: BTreeSet<String>,
    /// When each system was last pulled, as the scripts wrote it.
    pub last_pulls: BTreeMap<String, String>,
    /// What the scripts had found or made in Clio: kind and name, with its id.
    pub known: BTreeMap<String, String>,
    /// What could not be read: file, line and why.
    pub unread: Vec<String>,
}

impl DataFolder {
    /// Reads a folder. A line that cannot be read is told, and the others are taken.
    pub fn read(folder: &Path) -> Result<Self, ImportError> {
        // BASE_DATA_DIR holds `data`; the folder `data` itself is taken, too.
        let root = if folder.join("data").is_dir() { folder.join("data") } else { folder.to_owned() };
        let (gis, clio) = (root.join("gis"), root.join("clio"));
        if !gis.is_dir() && !clio.is_dir() {
            return Err(ImportError::NotOne(folder.to_owned()));
        }
        let mut found = Self::default();
        found.queue(&gis.join("queued/active_litigations"), |it, line| {
            take(&mut it.litigations, line, &["object_id", "OBJECTID", "objectId"])
        })?;
        found.queue(&gis.join("queued/attachments"), |it, line| {
            take(&mut it.of_attachments, line, &["object_id", "parent_object_id", "OBJECTID", "objectId"])
        })?;
        for name in ["matters", "notes"] {
            found.queue(&clio.join("queued").join(name), |it, line| {
                let matter = line.get("matter").unwrap_or(line);
                take(&mut it.matters, matter, &["id", "matter_id"])
            })?;
        }
        for (system, path) in [("gis", gis.join("log")), ("clio", clio.join("log"))] {
            if let Some(text) = text_of(&path)? {
                found.last_pulls.insert(system.to_owned(), text.trim().to_owned());
            }
        }
        for kind in ["client", "group", "practice_area", "calendar", "custom_fields"] {
            found.assets(kind, &clio.join(format!("{kind}.json")))?;
        }
        Ok(found)
    }

    /// Whether nothing waits in it.
    pub fn is_empty(&self) -> bool {
        self.litigations.is_empty() && self.of_attachments.is_empty() && self.matters.is_empty()
    }

    /// What is to be asked for, by subject: the ids of each collection.
    pub fn requests(&self) -> Vec<(&'static str, Vec<String>)> {
        let litigations = self.litigations.union(&self.of_attachments).cloned().collect();
        let all = [
            ("sync.request.gis.active_litigations", litigations),
            ("sync.request.clio.matters", self.matters.iter().cloned().collect::<Vec<_>>()),
        ];
        all.into_iter().filter(|(_, ids)| !ids.is_empty()).collect()
    }

    fn queue(
        &mut self,
        folder: &Path,
        take: impl Fn(&mut Self, &Value) -> Result<(), String>,
    ) -> Result<(), ImportError> {
        let Some(files) = files_in(folder)? else { return Ok(()) };
        for path in files {
            let Some(text) = text_of(&path)? else { continue };
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let read = serde_json::from_str::<Value>(line).map_err(|error| error.to_string());
                if let Err(why) = read.and_then(|line| take(self, &line)) {
                    self.unread.push(format!("{}:{}: {why}", path.display(), number + 1));
                }
            }
        }
        Ok(())
    }

    fn assets(&mut self, kind: &str, path: &Path) -> Result<(), ImportError> {
        let Some(text) = text_of(path)? else { return Ok(()) };
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Array(assets)) => assets.iter().for_each(|asset| self.asset(kind, asset)),
            Ok(asset) => self.asset(kind, &asset),
            Err(error) => self.unread.push(format!("{}: {error}", path.display())),
        }
        Ok(())
    }

    fn asset(&mut self, kind: &str, asset: &Value) {
        let name = asset.get("name").map(plain).unwrap_or_default();
        if let Some(id) = asset.get("id") {
            self.known.insert(format!("{kind} {name}").trim_end().to_owned(), plain(id));
        }
    }
}

/// Takes the id of a line.
fn take(ids: &mut BTreeSet<String>, line: &Value, names: &[&str]) -> Result<(), String> {
    let id = names
        .iter()
        .find_map(|name| line.get(name))
        .map(plain)
        .filter(|id| id.bytes().all(|b| b.is_ascii_digit()));
    match id.filter(|id| !id.is_empty()) {
        Some(id) => {
            ids.insert(id);
            Ok(())
        }
        None => Err(format!("the line has no id; one of {} is expected", names.join(", "))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn files_in(folder: &Path) -> Result<Option<Vec<PathBuf>>, ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: folder.to_owned(), source };
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    // Their names are the moments of their pulls.
    files.sort();
    Ok(Some(files))
}

fn text_of(path: &Path) -> Result<Option<String>, ImportError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ImportError::Unreadable { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn what_waits_is_asked_for_by_its_id_once() {
        let folder = folder(&[
            (
                "data/gis/queued/active_litigations/2021-07-01T10:10:10+00:00",
                "{\"object_id\": 7, \"civil_warrant\": \"C-1\"}\n{\"object_id\": 9}\n",
            ),
            ("data/gis/queued/attachments/2021-07-01T10:10:10+00:00", "{\"object_id\": 7, \"id\": 44}\n"),
            ("data/clio/queued/matters/2021-07-02T10:10:10+00:00", "{\"matter\": {\"id\": 5}}\n"),
            (
                "data/clio/queued/notes/2021-07-02T10:10:10+00:00",
                "{\"matter\": {\"id\": 6}, \"detail\": \"x\"}\n",
            ),
            ("data/gis/log", "2021-07-01T10:10:10+00:00"),
            ("data/clio/group.json", "{\"id\": 3, \"name\": \"NP Clinic\"}"),
            ("data/clio/custom_fields.json", "[{\"id\": 11, \"name\": \"Civil Warrant\"}]"),
        ]);
        let found = DataFolder::read(folder.path()).unwrap();
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found.requests(),
            [
                ("sync.request.gis.active_litigations", ids(&["7", "9"])),
                ("sync.request.clio.matters", ids(&["5", "6"])),
            ]
        );
        assert_eq!(found.last_pulls["gis"], "2021-07-01T10:10:10+00:00");
        assert_eq!(found.known["group NP Clinic"], "3");
        assert_eq!(found.known["custom_fields Civil Warrant"], "11");
        assert!(found.unread.is_empty(), "{:?}", found.unread);
    }

    #[test]
    fn a_line_that_broke_off_is_named_and_the_others_are_taken() {
        let folder = folder(&[(
            "data/gis/queued/active_litigations/2021-07-01T10:10:10+00:00",
            "{\"object_id\": 7}\n{\"object_id\":\n{\"warrant\": \"C-2\"}\n{\"object_id\": 8}\n",
        )]);
        let found = DataFolder::read(folder.path()).unwrap();
        assert_eq!(found.litigations.len(), 2);
        assert_eq!(found.unread.len(), 2);
        assert!(found.unread[0].contains("+00:00:2:"), "{:?}", found.unread);
        assert!(found.unread[1].contains("no id"), "{:?}", found.unread);
    }

    #[test]
    fn another_folder_is_refused_with_what_is_expected() {
        let folder = folder(&[("notes.txt", "x")]);
        let error = DataFolder::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("BASE_DATA_DIR"), "{error}");
    }

    #[test]
    fn an_empty_queue_asks_for_nothing() {
        let folder = folder(&[("data/gis/log", "2021-07-01T10:10:10+00:00")]);
        let found = DataFolder::read(folder.path()).unwrap();
        assert!(found.is_empty() && found.requests().is_empty());
    }
}

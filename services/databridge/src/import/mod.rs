//! The data folder of the scripts that Data Bridge replaces: what still waits in it is read again from its system.
//!
//! The scripts kept a queue of files, each a pull with one JSON object a line, the moment of the last pull of each
//! system, and the ids of what they had found or made in Clio. There were two versions, and both forms are read. A line
//! is a copy of a record from long ago, so its values are not carried over: the record is asked for by its id and goes
//! the way of every other. Nothing in the folder is changed.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod known;
mod line;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use clio_bridge::{BridgeSettings, Found};
use databridge_config::ConfigFolder;
use databridge_model::{CollectionName, SystemName};

pub use self::known::{Asset, Kind, Stranger};
pub use self::line::Unrecorded;

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
    /// Litigations that waited to go to Clio: object ids.
    pub litigations: BTreeSet<String>,
    /// Attachments that waited to go to Clio: object id and their own, as `10/7`.
    pub attachments: BTreeSet<String>,
    /// Matters that waited to go to the map: ids.
    pub matters: BTreeSet<String>,
    /// The litigations of these matters: object ids.
    pub of_matters: BTreeSet<String>,
    /// Notes that waited to go to the map: ids. The first version only.
    pub notes: BTreeSet<String>,
    /// Rows of the history that waited to be written. The last version only.
    pub unrecorded: Vec<Unrecorded>,
    /// When each system was last pulled.
    pub last_pulls: BTreeMap<&'static str, DateTime<Utc>>,
    /// What the scripts had found or made in Clio.
    pub assets: Vec<Asset>,
    /// What could not be read: file, line and why.
    pub unread: Vec<String>,
    /// Files of the queue that hold nothing, where something was to be expected.
    pub emptied: Vec<PathBuf>,
    /// Files that hold the scripts' tokens, readable by all.
    pub tokens: Vec<PathBuf>,
}

/// A collection and the ids that are to be read again of it.
pub type Request = ((SystemName, CollectionName), Vec<String>);

impl DataFolder {
    /// Reads a folder. A line that cannot be read is told, and the others are taken.
    pub fn read(folder: &Path) -> Result<Self, ImportError> {
        // BASE_DATA_DIR holds `data`; the folder `data` itself is taken, too.
        let inner = folder.join("data");
        let root = if inner.is_dir() { &inner } else { folder };
        let (gis, clio) = (root.join("gis"), root.join("clio"));
        if !gis.is_dir() && !clio.is_dir() {
            return Err(ImportError::NotOne(folder.to_owned()));
        }
        let mut found = Self::default();
        found.queue(&gis.join("queued/active_litigations"), Self::take_litigation)?;
        found.queue(&gis.join("queued/attachments"), Self::take_attachment)?;
        for (name, take) in [("matters", Self::take_matter as Take), ("notes", Self::take_note)] {
            found.queue(&clio.join("queued").join(name), take)?;
        }
        for (system, path) in [("gis", gis.join("log")), ("clio", clio.join("log"))] {
            found.log(system, &path)?;
        }
        for kind in Kind::ALL {
            found.assets_of(kind, &clio.join(kind.file()))?;
        }
        let tokens = ["access", "refresh"].map(|name| folder.join("auth").join(name));
        found.tokens = tokens.into_iter().filter(|path| path.is_file()).collect();
        Ok(found)
    }

    /// Whether nothing waits in it.
    pub fn is_empty(&self) -> bool {
        self.litigations.is_empty()
            && self.attachments.is_empty()
            && self.matters.is_empty()
            && self.notes.is_empty()
    }

    /// What is to be asked for, parents before what hangs on them; and the collections that the config does not have, with
    /// the number of their records, which cannot be asked for. With a matter goes its litigation: where they are not
    /// joined yet, one alone would find no partner.
    pub fn requests(&self, config: &ConfigFolder) -> (Vec<Request>, Vec<(String, usize)>) {
        let litigations = self.litigations.union(&self.of_matters).cloned().collect();
        let all = [
            ("gis", "active_litigations", litigations),
            ("gis", "attachments", self.attachments.iter().cloned().collect()),
            ("clio", "matters", self.matters.iter().cloned().collect()),
            ("clio", "notes", self.notes.iter().cloned().collect::<Vec<_>>()),
        ];
        let (mut requests, mut lacking) = (Vec::new(), Vec::new());
        for (system, collection, ids) in all.into_iter().filter(|(_, _, ids)| !ids.is_empty()) {
            let place =
                config.systems.iter().find(|(name, _)| name.as_str() == system).and_then(|(name, file)| {
                    let collection = file.collections.keys().find(|name| name.as_str() == collection)?;
                    Some((name.clone(), collection.clone()))
                });
            match place {
                Some(place) => requests.push((place, ids)),
                None => lacking.push((format!("{system}.{collection}"), ids.len())),
            }
        }
        (requests, lacking)
    }

    /// What the scripts had found or made in Clio that is not what Data Bridge goes by: by id where bootstrap has found
    /// ours, else by name.
    pub fn strangers(&self, ours: &BridgeSettings, found: Option<&Found>) -> Vec<Stranger> {
        known::strangers(&self.assets, ours, found)
    }

    fn queue(&mut self, folder: &Path, take: Take) -> Result<(), ImportError> {
        for path in files_in(folder)? {
            if let Some(text) = text_of(&path)? {
                self.take_queued(&path, &text, take);
            }
        }
        Ok(())
    }

    fn take_queued(&mut self, path: &Path, text: &str, take: Take) {
        // Of litigations without attachments there is an empty file each time.
        if text.is_empty() && path.parent().is_none_or(|folder| !folder.ends_with("attachments")) {
            self.emptied.push(path.to_owned());
            return;
        }
        let whole = text.ends_with('\n');
        let lines: Vec<_> = text.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let is_last = index + 1 == lines.len();
            if let Err(why) = take(self, line) {
                let why = if is_last && !whole {
                    "it broke off while it was written, and whatever was to follow it is not there".to_owned()
                } else {
                    why
                };
                self.unread.push(format!("{}:{}: {why}", path.display(), index + 1));
            }
        }
    }

    fn log(&mut self, system: &'static str, path: &Path) -> Result<(), ImportError> {
        if let Some(text) = text_of(path)?.filter(|text| !text.trim().is_empty()) {
            self.take_log(system, path, text.trim());
        }
        Ok(())
    }

    fn take_log(&mut self, system: &'static str, path: &Path, text: &str) {
        match moment(text) {
            Some(at) => {
                self.last_pulls.insert(system, at);
            }
            None => self.unread.push(format!("{}: `{text}` is no moment", path.display())),
        }
    }

    fn assets_of(&mut self, kind: Kind, path: &Path) -> Result<(), ImportError> {
        if let Some(text) = text_of(path)? {
            self.take_assets(kind, path, &text);
        }
        Ok(())
    }

    fn take_assets(&mut self, kind: Kind, path: &Path, text: &str) {
        match known::read(kind, text) {
            Ok(assets) => self.assets.extend(assets),
            Err(why) => self.unread.push(format!("{}: {why}", path.display())),
        }
    }
}

/// Takes in a line.
type Take = fn(&mut DataFolder, &str) -> Result<(), String>;

/// A moment as the scripts wrote it: with an offset, or, after a migrate, without one and then in UTC.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let with_offset = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc));
    let naive = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc());
    with_offset.or_else(|_| naive()).ok()
}

/// The files of a folder in the order of their names, which are the moments of their pulls; none where it is not there.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: folder.to_owned(), source };
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn text_of(path: &Path) -> Result<Option<String>, ImportError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ImportError::Unreadable { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests;

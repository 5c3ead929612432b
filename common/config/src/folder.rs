//! Reading a config folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use databridge_model::{Name, SystemName};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::check::{check_route, check_system, line_of};
use crate::env::{self, ConfigEnv, EnvError};
use crate::{Collection, Finding, Route, Schedule, SideRef, SystemFile, schedule};

/// The config folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The setting that names it cannot be read.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// A file or folder cannot be read.
    #[error("{path}: cannot be read: {source}. DATABRIDGE_CONFIG names the folder (default: config).", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Files say what cannot be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Finding>),
    /// There is no file for a system.
    #[error("{folder}/systems/{system}.toml is missing", folder = folder.display())]
    NoSystem {
        /// The config folder.
        folder: PathBuf,
        /// The system.
        system: SystemName,
    },
}

/// A config folder, read and checked.
#[derive(Clone, Debug)]
pub struct ConfigFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The systems by name.
    pub systems: BTreeMap<SystemName, SystemFile>,
    /// The routes by name.
    pub routes: BTreeMap<Name, Route>,
    /// The schedules by name; none where there is no file of them.
    pub schedules: BTreeMap<Name, Schedule>,
}

/// The file of the schedules, in the config folder.
const SCHEDULES: &str = "schedules.toml";

impl ConfigFolder {
    /// Reads the folder that `DATABRIDGE_CONFIG` names.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::read(&env::read::<ConfigEnv>()?.databridge_config)
    }

    /// Reads `systems/*.toml`, `routes/*.toml` and `schedules.toml`, and checks that they fit together.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let (systems, routes) = (toml_files(&path.join("systems"))?, toml_files(&path.join("routes"))?);
        let file = path.join(SCHEDULES);
        let schedules = match fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(ConfigError::Unreadable { path: file, source }),
        };
        Self::of(path, systems, routes, schedules.as_deref())
    }

    /// The folder at this path whose files have these texts.
    pub(crate) fn of(
        path: &Path,
        system_files: Vec<(PathBuf, String)>,
        route_files: Vec<(PathBuf, String)>,
        schedules_text: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut findings = Vec::new();
        let mut systems = BTreeMap::new();
        for (file, text) in system_files {
            match parse::<SystemFile>(&file, &text) {
                Ok(system) if named_after(&file, &system.system) => {
                    findings.extend(check_system(&file, &text, &system));
                    systems.insert(system.system.clone(), system);
                }
                Ok(system) => findings.push(Finding::misnamed(&file, &text, "system", &system.system)),
                Err(finding) => findings.push(finding),
            }
        }
        let mut routes = BTreeMap::new();
        let mut texts = Vec::new();
        for (file, text) in route_files {
            match parse::<Route>(&file, &text) {
                Ok(route) if named_after(&file, &route.route) => {
                    texts.push((route.route.clone(), file, text));
                    routes.insert(route.route.clone(), route);
                }
                Ok(route) => findings.push(Finding::misnamed(&file, &text, "route", &route.route)),
                Err(finding) => findings.push(finding),
            }
        }
        for (name, file, text) in &texts {
            if let Some(route) = routes.get(name) {
                findings.extend(check_route(file, text, route, &systems, &routes));
            }
        }
        let mut schedules = BTreeMap::new();
        if let Some(text) = schedules_text {
            let (read, wrong) = schedule::read(&path.join(SCHEDULES), text, &systems);
            schedules = read;
            findings.extend(wrong);
        }
        if findings.is_empty() {
            Ok(Self { path: path.to_owned(), systems, routes, schedules })
        } else {
            Err(ConfigError::Wrong(findings))
        }
    }

    /// The file of the schedules, be it there or not.
    pub fn schedules_file(&self) -> PathBuf {
        self.path.join(SCHEDULES)
    }

    /// The file of a system.
    pub fn system(&self, name: &SystemName) -> Result<&SystemFile, ConfigError> {
        self.systems
            .get(name)
            .ok_or_else(|| ConfigError::NoSystem { folder: self.path.clone(), system: name.clone() })
    }

    /// What a system file says of a collection.
    pub fn collection(&self, side: &SideRef) -> Option<&Collection> {
        self.systems.get(&side.system)?.collections.get(&side.collection)
    }

    /// The bridge's own part of a system file.
    pub fn bridge_part<T: DeserializeOwned>(&self, name: &SystemName) -> Result<T, ConfigError> {
        let system = self.system(name)?;
        serde_path_to_error::deserialize(system.bridge.clone()).map_err(|error| {
            let (at, why) = (error.path().to_string(), error.inner().message().to_owned());
            let file = self.system_file(name);
            ConfigError::Wrong(vec![Finding {
                line: line_in_bridge_part::<T>(&file),
                file,
                problem: format!("[bridge] {at}: {why}"),
                mend: String::new(),
            }])
        })
    }

    /// Something wrong in a system's file that only its bridge can tell, at the first line that holds `anchor`.
    pub fn finding(&self, name: &SystemName, anchor: &str, problem: String, mend: String) -> Finding {
        let file = self.system_file(name);
        let line = fs::read_to_string(&file).ok().and_then(|text| line_of(&text, anchor, 0));
        Finding { file, line, problem, mend }
    }

    fn system_file(&self, name: &SystemName) -> PathBuf {
        self.path.join("systems").join(format!("{name}.toml"))
    }
}

/// The bridge's part as it stands in the file, for the line of what is wrong in it.
#[derive(Deserialize)]
struct OnlyBridge<T> {
    bridge: T,
}

fn line_in_bridge_part<T: DeserializeOwned>(file: &Path) -> Option<usize> {
    let text = fs::read_to_string(file).ok()?;
    let error = toml::from_str::<OnlyBridge<T>>(&text).map(|only| only.bridge).err()?;
    line_at(&text, &error)
}

fn line_at(text: &str, error: &toml::de::Error) -> Option<usize> {
    error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1)
}

fn named_after(file: &Path, name: &Name) -> bool {
    file.file_stem().is_some_and(|stem| stem == name.as_str())
}

fn toml_files(folder: &Path) -> Result<Vec<(PathBuf, String)>, ConfigError> {
    let unreadable = |path: &Path, source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
        let path = entry.map_err(|e| unreadable(folder, e))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
            files.push((path, text));
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Finding> {
    toml::from_str(text).map_err(|error| {
        let line = line_at(text, &error);
        Finding { file: file.to_owned(), line, problem: error.message().to_owned(), mend: String::new() }
    })
}

//! Counts of the calls that each system has answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One of the systems that the sandbox plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Clio Manage.
    Clio,
    /// The ArcGIS server.
    Gis,
    /// The storage behind the documents of Clio, which has its own addresses and limits.
    Storage,
}

/// What a request does to a system, whatever its verb: a query sent by POST is a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Reads records or metadata.
    Read,
    /// Creates, changes or deletes records.
    Write,
    /// Everything else: OAuth, tokens.
    Other,
}

/// The calls to one system since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that read.
    pub reads: u64,
    /// Requests that write.
    pub writes: u64,
    /// OAuth and token requests.
    pub other: u64,
    /// How many of all these were answered 429.
    pub limited: u64,
    /// Requests to the storage behind the documents, which are not among all these. ArcGIS has none.
    #[serde(default)]
    pub storage: StorageCounts,
    /// Requests by verb and path, ids replaced: `PATCH matters/{id}`.
    pub by_path: BTreeMap<String, u64>,
}

/// The requests to the storage behind Clio's documents since the start or the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageCounts {
    /// Downloads.
    pub reads: u64,
    /// Uploads.
    pub writes: u64,
}

impl StorageCounts {
    /// Counts one request.
    pub(crate) fn count(&mut self, effect: Effect) {
        match effect {
            Effect::Read => self.reads += 1,
            Effect::Write | Effect::Other => self.writes += 1,
        }
    }
}

impl Counts {
    /// Counts one request.
    pub(crate) fn count(&mut self, effect: Effect, verb_and_path: String) {
        let of_effect = match effect {
            Effect::Read => &mut self.reads,
            Effect::Write => &mut self.writes,
            Effect::Other => &mut self.other,
        };
        *of_effect += 1;
        *self.by_path.entry(verb_and_path).or_default() += 1;
    }
}

/// The calls to both systems. Requests to `/admin` are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls to Clio.
    pub clio: Counts,
    /// Calls to ArcGIS.
    pub gis: Counts,
}

impl Calls {
    /// The counts of one system; those of the storage are within those of Clio.
    pub fn of(&self, system: System) -> &Counts {
        match system {
            System::Clio | System::Storage => &self.clio,
            System::Gis => &self.gis,
        }
    }

    /// Counts one request.
    pub(crate) fn count(&mut self, system: System, effect: Effect, verb_and_path: String) {
        match system {
            System::Storage => self.clio.storage.count(effect),
            System::Clio | System::Gis => self.of_mut(system).count(effect, verb_and_path),
        }
    }

    /// The counts of one system, to be changed.
    pub(crate) fn of_mut(&mut self, system: System) -> &mut Counts {
        match system {
            System::Clio | System::Storage => &mut self.clio,
            System::Gis => &mut self.gis,
        }
    }
}

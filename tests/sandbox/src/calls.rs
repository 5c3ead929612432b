//! Counts of the calls that each system has answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One of the two systems that the sandbox plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Clio Manage.
    Clio,
    /// The ArcGIS server.
    Gis,
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
    /// Requests by verb and path, ids replaced: `PATCH matters/{id}`.
    pub by_path: BTreeMap<String, u64>,
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
    /// The counts of one system.
    pub fn of(&self, system: System) -> &Counts {
        match system {
            System::Clio => &self.clio,
            System::Gis => &self.gis,
        }
    }

    /// The counts of one system, to be changed.
    pub(crate) fn of_mut(&mut self, system: System) -> &mut Counts {
        match system {
            System::Clio => &mut self.clio,
            System::Gis => &mut self.gis,
        }
    }
}

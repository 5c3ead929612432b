//! Push requests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunId;
use crate::{CollectionName, Fields, PushId, SystemName};

/// What a push does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Make a record.
    Create,
    /// Set fields of a record.
    Update,
    /// Remove a record.
    Delete,
}

/// The record that a push aims at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The system's own id.
    pub id: String,
    /// What the bridge gave with the record when it last showed it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub handle: serde_json::Value,
}

/// A record of another system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The system.
    pub system: SystemName,
    /// The collection.
    pub collection: CollectionName,
    /// The system's own id.
    pub id: String,
}

/// Body of `push.<lane>.<system>.<collection>.<key>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// Its identity; a person's push leaves it out and goes by its sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// What to do.
    pub op: Op,
    /// The record; absent for a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The fields to set.
    #[serde(default)]
    pub set: Fields,
    /// The id, in the same system, of the parent of a record that is to be made below one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The record from whose change the push came: a bridge asks its system for contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What each field in `set` is believed to show now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: Fields,
    /// The run whose complete listing of this collection lacked the key: a create needs no look-up of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_in: Option<RunId>,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why, in a person's words.
    #[serde(default)]
    pub why: String,
}

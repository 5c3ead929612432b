//! What the scripts had found or made in Clio, beside what Data Bridge goes by.

use clio_bridge::{BridgeSettings, Found};
use serde_json::Value;

/// A kind of thing that the scripts had found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The group of the matters.
    Group,
    /// Their practice area.
    PracticeArea,
    /// Their client.
    Client,
    /// The calendar. The last version only.
    Calendar,
    /// A custom field of matters.
    CustomField,
}

/// A thing that the scripts had found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Which kind.
    pub kind: Kind,
    /// Its id in Clio.
    pub id: String,
    /// Its name, where the file has it. Of a custom field it is the one that was looked for, not the one that it has.
    pub name: Option<String>,
}

/// A thing of the scripts that is not the one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The scripts' thing.
    pub asset: Asset,
    /// The name, and where it is known the id, of ours.
    pub ours: String,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Group, Self::PracticeArea, Self::Client, Self::Calendar, Self::CustomField];

    /// The name of the file that holds it.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Group => "group.json",
            Self::PracticeArea => "practice_area.json",
            Self::Client => "client.json",
            Self::Calendar => "calendar.json",
            Self::CustomField => "custom_fields.json",
        }
    }

    /// The kind in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::PracticeArea => "practice area",
            Self::Client => "client",
            Self::Calendar => "calendar",
            Self::CustomField => "custom field",
        }
    }
}

impl Stranger {
    /// Whether it decides which matters are ours: then all of the scripts' would be made anew.
    pub fn hides_matters(&self) -> bool {
        matches!(self.asset.kind, Kind::Group | Kind::PracticeArea)
    }
}

/// Reads a file: a thing, or several.
pub(super) fn read(kind: Kind, text: &str) -> Result<Vec<Asset>, String> {
    let read: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let things = match read {
        Value::Array(things) => things,
        thing => vec![thing],
    };
    let asset = |thing: &Value| {
        let id = thing.get("id").filter(|id| id.is_number() || id.is_string()).map(plain);
        let name = thing.get("name").and_then(Value::as_str).map(str::to_owned);
        id.map(|id| Asset { kind, id, name }).ok_or_else(|| "something in it has no id".to_owned())
    };
    things.iter().map(asset).collect()
}

/// The things of the scripts that are not those of ours: by id where bootstrap has found ours, else by name.
pub(super) fn strangers(assets: &[Asset], ours: &BridgeSettings, found: Option<&Found>) -> Vec<Stranger> {
    let stranger = |asset: &Asset| {
        let (name, id) = ours_for(asset, ours, found)?;
        let differs = match (id, &asset.name) {
            (Some(id), _) => asset.id != id.to_string(),
            (None, Some(theirs)) => *theirs != name,
            (None, None) => false,
        };
        let ours = id.map_or_else(|| format!("\"{name}\""), |id| format!("\"{name}\" ({id})"));
        differs.then(|| Stranger { asset: asset.clone(), ours })
    };
    assets.iter().filter_map(stranger).collect()
}

/// Name and id of ours that stands for a thing of the scripts.
fn ours_for(asset: &Asset, ours: &BridgeSettings, found: Option<&Found>) -> Option<(String, Option<u64>)> {
    let matters = &ours.matters;
    Some(match asset.kind {
        Kind::Group => (matters.group.clone(), found.map(|it| it.group_id)),
        Kind::PracticeArea => (matters.practice_area.clone(), found.map(|it| it.practice_area_id)),
        Kind::Client => (matters.client.name.clone(), found.map(|it| it.client_id)),
        Kind::Calendar => (ours.calendar.as_ref()?.name.clone(), found.and_then(|it| it.calendar_id)),
        Kind::CustomField => {
            let name = asset.name.clone().filter(|name| ours.custom_fields.contains_key(name))?;
            let id = found.and_then(|it| it.custom_fields.get(&name)).map(|field| field.id);
            (name, id)
        }
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

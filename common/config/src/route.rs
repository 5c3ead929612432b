//! Route files.

use std::fmt;

use databridge_model::{CollectionName, Name, SystemName};
use serde::Deserialize;

use crate::Converter;

/// `config/routes/<route>.toml`: how a collection of one system and a collection of another belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The route's name; the file is named after it. It is part of the names of its links, so it stays.
    pub route: Name,
    /// Which kind of route.
    pub kind: RouteKind,
    /// The mirror route that joins the parents of these records: of all kinds but a mirror.
    #[serde(default)]
    pub parent: Option<Name>,
    /// One side.
    pub left: SideRule,
    /// The other side.
    pub right: SideRule,
    /// The fields that are kept in step.
    pub fields: Vec<FieldRule>,
    /// What else a created record gets.
    #[serde(default)]
    pub create: Vec<CreateRule>,
    /// Which of the records on the right stands for all of them: of a `latest` route.
    #[serde(default)]
    pub choose: Option<Choose>,
    /// What makes a new record on the right: of an `event` route.
    #[serde(default)]
    pub when: Option<When>,
}

/// The kinds of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    /// A record and a record.
    Mirror,
    /// A record below a parent and a record below the parent's partner.
    Child,
    /// A record's fields, and the chosen one of the records below it or its partner.
    Latest,
    /// One new record for each transition of another.
    Event,
}

impl RouteKind {
    /// Whether a link has several records on its right.
    pub fn has_several(self) -> bool {
        matches!(self, Self::Latest | Self::Event)
    }
}

/// Which of several records stands for them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// The one with the greatest values of these fields, compared in their order; then the one with the greatest id.
    Newest(Vec<String>),
    /// The one whose instant in this field comes next; where none is to come, the last that was.
    Next(String),
}

impl Choose {
    /// The fields by which it is chosen.
    pub fn fields(&self) -> &[String] {
        match self {
            Self::Newest(fields) => fields,
            Self::Next(field) => std::slice::from_ref(field),
        }
    }
}

/// What counts as an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The field on the left that is watched.
    pub field: String,
    /// The value that it must come to, as text; left out, every new value that is not empty is an event.
    #[serde(default)]
    pub becomes: Option<String>,
    /// The field on the right by which a row that is there already is known to tell the same event. Left out, the one
    /// that gets the watched field.
    #[serde(default)]
    pub same: Option<String>,
    /// Whether a record that shows the value when it is first seen, and has no row for it, counts too.
    #[serde(default)]
    pub first_seen: bool,
}

/// A side of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The left side.
    Left,
    /// The right side.
    Right,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The other side.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A collection of a system, as `gis.active_litigations`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SideRef {
    /// The system.
    pub system: SystemName,
    /// The collection.
    pub collection: CollectionName,
}

impl fmt::Display for SideRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.system, self.collection)
    }
}

impl TryFrom<String> for SideRef {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (system, collection) =
            text.split_once('.').ok_or_else(|| format!("`{text}` is not <system>.<collection>"))?;
        Ok(Self {
            system: system.parse().map_err(|e: databridge_model::NameError| e.to_string())?,
            collection: collection.parse().map_err(|e: databridge_model::NameError| e.to_string())?,
        })
    }
}

/// What a route says of one side.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideRule {
    /// The collection.
    pub collection: SideRef,
    /// The field that holds the match key; it is the collection's.
    #[serde(default)]
    pub key: Option<String>,
    /// Whether a record that only the other side has is made here.
    #[serde(default)]
    pub create: bool,
    /// Whether a record that is here may be changed; if not, a change is a new record.
    #[serde(default = "yes")]
    pub update: bool,
    /// The field that holds the parent's key, where records name their parent by it and not by its id.
    #[serde(default)]
    pub parent_key: Option<String>,
    /// What becomes of the partner when the record is not here any more.
    #[serde(default)]
    pub gone: GoneRule,
}

fn yes() -> bool {
    true
}

/// What becomes of the partner of a record that is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoneRule {
    /// It is left as it is; a person is told.
    #[default]
    Leave,
    /// It is marked, and a person is told. The mark is taken away when the record is back.
    Mark(Mark),
    /// It is deleted too.
    Delete,
}

/// A mark on the partner of a record that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The partner's field.
    pub field: String,
    /// What it says; `{date}` stands for the day.
    pub text: String,
}

/// Which way a field goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// From left to right.
    ToRight,
    /// From right to left.
    ToLeft,
}

impl Direction {
    /// Whether values go to this side.
    pub fn goes_to(self, side: Side) -> bool {
        match self {
            Self::Both => true,
            Self::ToRight => side == Side::Right,
            Self::ToLeft => side == Side::Left,
        }
    }
}

/// What an emptied field means for the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyRule {
    /// It is not carried over: an empty value never beats a full one.
    #[default]
    Keeps,
    /// It empties the other side.
    Clears,
    /// One that was emptied on the right empties the left; the other way it is not carried over.
    ClearsLeft,
    /// One that was emptied on the left empties the right; the other way it is not carried over.
    ClearsRight,
}

impl EmptyRule {
    /// Whether an empty value goes to this side.
    pub fn clears(self, side: Side) -> bool {
        match self {
            Self::Keeps => false,
            Self::Clears => true,
            Self::ClearsLeft => side == Side::Left,
            Self::ClearsRight => side == Side::Right,
        }
    }
}

/// What becomes of a text that is longer than the target takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthRule {
    /// The field waits for a person; the others are written.
    #[default]
    Park,
    /// It is cut to what the target takes. What was cut off never comes back as an edit.
    Truncate,
}

/// One field that is kept in step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRule {
    /// The field on the left.
    pub left: String,
    /// The field on the right.
    pub right: String,
    /// Whose field `left` is.
    #[serde(default)]
    pub of: FieldOwner,
    /// Which way it goes.
    #[serde(default)]
    pub direction: Direction,
    /// Who wins where both sides changed it.
    #[serde(default = "left_wins")]
    pub wins: Side,
    /// How a value of the left becomes one of the right; the way back is its inverse.
    #[serde(default)]
    pub convert: Converter,
    /// What an emptied field means.
    #[serde(default)]
    pub empty: EmptyRule,
    /// What becomes of a text that is too long.
    #[serde(default)]
    pub too_long: LengthRule,
}

/// Whose field a rule's `left` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldOwner {
    /// The record on the left.
    #[default]
    Record,
    /// Its partner in the parent route: of an `event` route.
    Partner,
}

fn left_wins() -> Side {
    Side::Left
}

impl FieldRule {
    /// The field's name on a side.
    pub fn on(&self, side: Side) -> &str {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

/// A field that only a create sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRule {
    /// The side on which the record is made.
    pub side: Side,
    /// The field there.
    pub field: String,
    /// The other side's field that gives the value.
    #[serde(default)]
    pub from: Option<String>,
    /// The value where that is empty; `{key}` stands for the match key.
    #[serde(default)]
    pub otherwise: Option<String>,
}

impl Route {
    /// What the route says of a side.
    pub fn side(&self, side: Side) -> &SideRule {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// The side that is this collection.
    pub fn side_of(&self, system: &SystemName, collection: &CollectionName) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| {
            let reference = &self.side(*side).collection;
            reference.system == *system && reference.collection == *collection
        })
    }
}

//! What is out of the ordinary in what both sides show, by what a dry run would push: no system is known here, only
//! what stands crosswise, is empty, is doubled or differs, and the types and converters of the config.

use std::collections::{BTreeMap, BTreeSet};

use databridge_config::{ConfigFolder, Converter, Route, Side};
use databridge_model::{Conflict, FieldType, Key, Op, Parked, SystemName, Value, WouldPush};
use serde::Serialize;

use crate::follow::Story;

/// Numbers that differ by less are one: a coordinate's digits beyond it are less than a metre.
const SAME: f64 = 1e-6;

/// What was found. Each record's field is in one of these at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// The values of two fields stand each in the other; each is put right.
    pub exchanged: Vec<Group>,
    /// Degrees of a place are wanted, and a number stands there that is none.
    pub no_degrees: Vec<Group>,
    /// A content that is not its source's.
    pub other_content: Vec<Group>,
    /// Records that have no content, as where an upload was never finished.
    pub no_content: Vec<Group>,
    /// Empty fields that get a value.
    pub filled: Vec<Group>,
    /// Fields that get another value.
    pub replaced: Vec<Group>,
    /// Fields that are emptied.
    pub emptied: Vec<Group>,
    /// Several records of one key.
    pub doubled: Vec<Doubled>,
    /// Fields that both sides show differently, and who wins, without those of the first four kinds.
    pub conflicts: Vec<ConflictGroup>,
}

/// Records of a collection in which the same was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The collection, as `clio.matters`.
    pub collection: String,
    /// The fields.
    pub fields: Vec<String>,
    /// The records, by their keys.
    pub records: BTreeSet<String>,
}

/// Several records of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubled {
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: Key,
    /// The records' ids.
    pub ids: BTreeSet<String>,
}

/// Conflicts of one field that one side wins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConflictGroup {
    /// The collection whose values lose, as `clio.matters`; of a route that is not in the config, the system.
    pub collection: String,
    /// Its field.
    pub field: String,
    /// The side that wins.
    pub won: SystemName,
    /// The conflicts.
    pub conflicts: Vec<Conflict>,
}

/// The content of a push.
pub(super) struct Content<'a> {
    pub(super) field: &'a str,
    pub(super) set: &'a Value,
    pub(super) expect: Option<&'a Value>,
}

/// The content that a push carries; none where it carries none.
pub(super) fn content_of<'a>(push: &'a WouldPush, config: &ConfigFolder) -> Option<Content<'a>> {
    let collection = config.systems.get(&push.system)?.collections.get(&push.collection)?;
    let (field, set) = push.set.iter().find(|(field, _)| collection.field_type(field) == FieldType::Ref)?;
    Some(Content { field, set, expect: push.expect.get(field) })
}

/// A finding's name in the sums: its kind, the collection and the fields.
type Sums<'a> = BTreeMap<(Kind, String, Vec<&'a str>), BTreeSet<String>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exchanged,
    NoDegrees,
    OtherContent,
    NoContent,
    Filled,
    Replaced,
    Emptied,
}

impl Findings {
    /// Sorts what a dry run told.
    pub(super) fn of(pushes: &[&WouldPush], story: &Story, config: &ConfigFolder) -> Self {
        let mut sums = Sums::new();
        let mut explained = BTreeSet::new();
        for push in pushes.iter().filter(|push| push.op == Op::Update) {
            let key = push.key.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
            let place = format!("{}.{}", push.system, push.collection);
            for (kind, fields) in kinds_of(push, config) {
                if kind <= Kind::NoContent {
                    let token = push.key.as_ref().map(|key| key.token().as_str().to_owned());
                    explained.extend(fields.iter().map(|field| (token.clone(), (*field).to_owned())));
                }
                sums.entry((kind, place.clone(), fields)).or_default().insert(key.clone());
            }
        }
        let mut findings = Self::default();
        for ((kind, collection, fields), records) in sums {
            let fields = fields.into_iter().map(str::to_owned).collect();
            findings.groups(kind).push(Group { collection, fields, records });
        }
        findings.doubled = doubled(&story.parked);
        let open = story.conflicts.iter().filter(|it| {
            let token = it.link.split_once('.').map(|(_, token)| token.to_owned());
            !explained.contains(&(token, it.field.clone()))
        });
        findings.conflicts = conflicts(open, config);
        findings
    }

    fn groups(&mut self, kind: Kind) -> &mut Vec<Group> {
        match kind {
            Kind::Exchanged => &mut self.exchanged,
            Kind::NoDegrees => &mut self.no_degrees,
            Kind::OtherContent => &mut self.other_content,
            Kind::NoContent => &mut self.no_content,
            Kind::Filled => &mut self.filled,
            Kind::Replaced => &mut self.replaced,
            Kind::Emptied => &mut self.emptied,
        }
    }
}

/// What an update comes to, each of its fields once.
fn kinds_of<'a>(push: &'a WouldPush, config: &ConfigFolder) -> Vec<(Kind, Vec<&'a str>)> {
    let mut kinds = Vec::new();
    let mut done = BTreeSet::new();
    if let Some(content) = content_of(push, config).filter(|content| !content.set.is_null()) {
        let is_empty = content.expect.is_none_or(Value::is_null);
        kinds.push((if is_empty { Kind::NoContent } else { Kind::OtherContent }, vec![content.field]));
        done.insert(content.field);
    }
    for (a, b) in exchanged(push) {
        if !done.contains(a) && !done.contains(b) {
            done.extend([a, b]);
            kinds.push((Kind::Exchanged, vec![a, b]));
        }
    }
    let no_degrees: Vec<_> = degrees(push, config)
        .into_iter()
        .filter(|(field, most)| !done.contains(field) && is_beyond(push.expect.get(*field), *most))
        .map(|(field, _)| field)
        .collect();
    if !no_degrees.is_empty() {
        done.extend(&no_degrees);
        kinds.push((Kind::NoDegrees, no_degrees));
    }
    for (field, value) in push.set.iter().filter(|(field, _)| !done.contains(field.as_str())) {
        let kind = match (push.expect.get(field).is_none_or(Value::is_null), value.is_null()) {
            (true, _) => Kind::Filled,
            (false, true) => Kind::Emptied,
            (false, false) => Kind::Replaced,
        };
        kinds.push((kind, vec![field.as_str()]));
    }
    kinds
}

/// The pairs of fields whose values stand each in the other.
fn exchanged(push: &WouldPush) -> Vec<(&str, &str)> {
    let fields: Vec<_> = push.set.iter().collect();
    let mut pairs = Vec::new();
    for (index, (a, value_a)) in fields.iter().enumerate() {
        for (b, value_b) in fields.iter().skip(index + 1) {
            let stands = |value: &Value, in_field: &str| {
                push.expect.get(in_field).is_some_and(|shown| are_same(value, shown))
            };
            if !are_same(value_a, value_b) && stands(value_a, b) && stands(value_b, a) {
                pairs.push((a.as_str(), b.as_str()));
            }
        }
    }
    pairs
}

fn are_same(a: &Value, b: &Value) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() < SAME,
        _ => a == b && !a.is_null(),
    }
}

/// The fields of a push that are degrees of a place, by the routes' converters, with the most that they can be.
fn degrees<'a>(push: &'a WouldPush, config: &ConfigFolder) -> Vec<(&'a str, f64)> {
    let limit = |field: &str| {
        let of_routes = config.routes.values().filter_map(|route| Some((route, side_of(route, push)?)));
        let mut rules = of_routes.flat_map(|(route, side)| {
            route.fields.iter().filter(move |rule| rule.on(side) == field).map(|rule| rule.convert)
        });
        rules.find_map(|convert| match convert {
            Converter::Longitude => Some(180.0),
            Converter::Latitude => Some(90.0),
            _ => None,
        })
    };
    push.set.keys().filter_map(|field| Some((field.as_str(), limit(field)?))).collect()
}

fn side_of(route: &Route, push: &WouldPush) -> Option<Side> {
    route.side_of(&push.system, &push.collection)
}

fn is_beyond(shown: Option<&Value>, most: f64) -> bool {
    shown.and_then(number).is_some_and(|number| number.abs() > most)
}

fn number(value: &Value) -> Option<f64> {
    value.to_plain().trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// What waits because several records have one key.
fn doubled(parked: &[Parked]) -> Vec<Doubled> {
    let mut ids: BTreeMap<(String, &Key), BTreeSet<String>> = BTreeMap::new();
    for it in parked.iter().filter(|it| it.field.is_none()) {
        if let (Some(key), Some(id)) = (&it.key, &it.id) {
            ids.entry((format!("{}.{}", it.system, it.collection), key)).or_default().insert(id.clone());
        }
    }
    ids.into_iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|((collection, key), ids)| Doubled { collection, key: key.clone(), ids })
        .collect()
}

fn conflicts<'a>(all: impl Iterator<Item = &'a Conflict>, config: &ConfigFolder) -> Vec<ConflictGroup> {
    let mut groups: BTreeMap<(String, &str, &SystemName), Vec<Conflict>> = BTreeMap::new();
    for it in all {
        let place = collection_of(it, config).unwrap_or_else(|| it.lost.to_string());
        groups.entry((place, it.field.as_str(), &it.won)).or_default().push(it.clone());
    }
    let group = |((collection, field, won), conflicts): ((String, &str, &SystemName), Vec<Conflict>)| {
        ConflictGroup { collection, field: field.to_owned(), won: won.clone(), conflicts }
    };
    groups.into_iter().map(group).collect()
}

/// The collection whose value has lost.
fn collection_of(conflict: &Conflict, config: &ConfigFolder) -> Option<String> {
    let (name, _) = conflict.link.split_once('.')?;
    let route = config.routes.iter().find(|(route, _)| route.as_str() == name).map(|(_, route)| route)?;
    let lost = Side::BOTH.into_iter().find(|side| route.side(*side).collection.system == conflict.lost)?;
    Some(route.side(lost).collection.to_string())
}

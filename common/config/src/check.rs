//! Checking that a route and the systems it names fit together.

mod kinds;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use databridge_model::{Name, SystemName};

use crate::{Collection, Converter, Direction, FieldOwner, Route, RouteKind, Side, SystemFile};

/// Something wrong in a config file: file, line, problem and mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to do; may be empty where the problem says it.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem.trim())?;
        if !self.mend.is_empty() {
            write!(f, ". {}", self.mend)?;
        }
        Ok(())
    }
}

impl Finding {
    pub(crate) fn misnamed(file: &Path, text: &str, what: &str, name: &Name) -> Self {
        Self {
            file: file.to_owned(),
            line: line_of(text, &format!("{what} ="), 0),
            problem: format!("the {what} calls itself `{name}`, which is not the file's name"),
            mend: format!("Name the file {name}.toml, or change the line"),
        }
    }
}

/// Everything wrong with a system file in itself.
pub(crate) fn check_system(file: &Path, text: &str, system: &SystemFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, collection) in &system.collections {
        let mut find = |problem: String, mend: String| {
            let line = line_of(text, &format!("[collections.{name}]"), 0);
            findings.push(Finding { file: file.to_owned(), line, problem, mend });
        };
        if collection.field(&collection.key).is_none() {
            find(
                format!("the key `{}` of {}.{name} is none of its fields", collection.key, system.system),
                format!("Fields: {}", list(collection.fields.keys())),
            );
        }
        if let Some(parent) = &collection.parent
            && (parent == name || !system.collections.contains_key(parent))
        {
            find(
                format!("the parent `{parent}` of {}.{name} is no other of its collections", system.system),
                format!("Collections: {}", list(system.collections.keys())),
            );
        }
    }
    findings
}

/// Everything wrong with a route, given the systems.
pub(crate) fn check_route(
    file: &Path,
    text: &str,
    route: &Route,
    systems: &BTreeMap<SystemName, SystemFile>,
    routes: &BTreeMap<Name, Route>,
) -> Vec<Finding> {
    let mut checker = Checker { file, text, findings: Vec::new() };
    let mut collections = BTreeMap::new();
    for side in Side::BOTH {
        if let Some(collection) = checker.collection(route, side, systems) {
            collections.insert(side, collection);
        }
    }
    if route.left.collection == route.right.collection {
        checker.find(
            line_of(text, "[right]", 0),
            format!("both sides are {}", route.left.collection),
            "A route joins two collections".to_owned(),
        );
    }
    if let (Some(left), Some(right)) = (collections.get(&Side::Left), collections.get(&Side::Right)) {
        let parent = checker.parent(route, routes);
        let partner = parent
            .and_then(|parent| {
                let side =
                    parent.side_of(&route.left.collection.system, &route.left.collection.collection)?;
                Some(&parent.side(side.other()).collection)
            })
            .and_then(|partner| systems.get(&partner.system)?.collections.get(&partner.collection));
        checker.fields(route, left, right, partner);
        checker.zone(route, systems);
        checker.creates(route, &collections);
        checker.kind(route, parent, left, right);
        checker.marks(route, &collections);
    }
    checker.findings
}

struct Checker<'a> {
    file: &'a Path,
    text: &'a str,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn find(&mut self, line: Option<usize>, problem: String, mend: String) {
        self.findings.push(Finding { file: self.file.to_owned(), line, problem, mend });
    }

    fn collection<'s>(
        &mut self,
        route: &Route,
        side: Side,
        systems: &'s BTreeMap<SystemName, SystemFile>,
    ) -> Option<&'s Collection> {
        let rule = route.side(side);
        let line = line_of(self.text, &format!("\"{}\"", rule.collection), 0);
        let Some(system) = systems.get(&rule.collection.system) else {
            let known = list(systems.keys());
            self.find(
                line,
                format!("there is no system `{}`", rule.collection.system),
                format!("Systems: {known}"),
            );
            return None;
        };
        let Some(collection) = system.collections.get(&rule.collection.collection) else {
            let known = list(system.collections.keys());
            self.find(
                line,
                format!("there is no collection `{}`", rule.collection),
                format!("Collections: {known}"),
            );
            return None;
        };
        if let Some(key) = rule.key.as_ref().filter(|key| **key != collection.key) {
            let line = line_of(self.text, &format!("\"{key}\""), 0);
            let mend = format!("Take `{}`, or change `key` in the system file", collection.key);
            self.find(line, format!("`{key}` is not the key of {}", rule.collection), mend);
        }
        Some(collection)
    }

    fn fields(&mut self, route: &Route, left: &Collection, right: &Collection, partner: Option<&Collection>) {
        let mut targets = BTreeSet::new();
        for (index, rule) in route.fields.iter().enumerate() {
            let line = line_of(self.text, "[[fields]]", index);
            let mut types = Vec::new();
            let of_partner = rule.of == FieldOwner::Partner;
            if of_partner && route.kind != RouteKind::Event {
                self.find(
                    line,
                    format!("`{}` is to be of the partner, which only an event route looks at", rule.left),
                    "Take `of` out".to_owned(),
                );
            }
            let left = if of_partner { partner.unwrap_or(left) } else { left };
            for (side, collection) in [(Side::Left, left), (Side::Right, right)] {
                let name = rule.on(side);
                match collection.field(name) {
                    Some(decl) => types.push(decl.kind.clone()),
                    None => self.find(
                        line,
                        format!(
                            "{} has no field `{name}`",
                            if of_partner && side == Side::Left {
                                "the partner".to_owned()
                            } else {
                                route.side(side).collection.to_string()
                            }
                        ),
                        format!("Fields: {}", list(collection.fields.keys())),
                    ),
                }
                if rule.direction.goes_to(side) && !targets.insert((side, name.to_owned())) {
                    let problem = format!("two rules write `{name}` of {}", route.side(side).collection);
                    self.find(line, problem, "Take one of them out, or give it one direction".to_owned());
                }
            }
            let [left_type, right_type] = types.as_slice() else { continue };
            if rule.direction != Direction::ToLeft
                && let Err(problem) = rule.convert.check(left_type, right_type)
            {
                self.find(line, problem, "Choose another converter or mend the types".to_owned());
            }
            if rule.direction != Direction::ToRight
                && route.kind != RouteKind::Event
                && let Err(problem) = rule.convert.check(right_type, left_type)
            {
                let mend = "Give the field direction = \"to_right\", or mend the types".to_owned();
                self.find(line, format!("on the way to the left, {problem}"), mend);
            }
        }
        if !matches!(route.kind, RouteKind::Mirror | RouteKind::Child) {
            return;
        }
        for (side, collection) in [(Side::Left, left), (Side::Right, right)] {
            let key = &collection.key;
            let carried =
                route.fields.iter().any(|rule| rule.on(side) == key && rule.direction.goes_to(side));
            if route.side(side).create && !carried {
                let problem = format!(
                    "records are made in {}, and no field rule carries the key `{key}` to it",
                    route.side(side).collection
                );
                self.find(
                    line_of(self.text, "create = true", 0),
                    problem,
                    format!("Add a [[fields]] rule for `{key}`"),
                );
            }
        }
    }

    /// A converter that speaks of local days needs a clock.
    fn zone(&mut self, route: &Route, systems: &BTreeMap<SystemName, SystemFile>) {
        let has_zone = |side: Side| {
            systems.get(&route.side(side).collection.system).is_some_and(|it| it.time_zone.is_some())
        };
        if Side::BOTH.into_iter().any(has_zone) {
            return;
        }
        if let Some(index) = route.fields.iter().position(|rule| rule.convert == Converter::LocalDate) {
            let problem = "`local_date` needs a local clock, and neither system's file names one".to_owned();
            let mend = "Add time_zone = \"America/Chicago\", or where you are, to a system file".to_owned();
            self.find(line_of(self.text, "[[fields]]", index), problem, mend);
        }
    }

    fn creates(&mut self, route: &Route, collections: &BTreeMap<Side, &Collection>) {
        let mut targets: BTreeSet<(Side, &str)> = Side::BOTH
            .into_iter()
            .flat_map(|side| {
                let written = route.fields.iter().filter(move |rule| rule.direction.goes_to(side));
                written.map(move |rule| (side, rule.on(side)))
            })
            .collect();
        for (index, rule) in route.create.iter().enumerate() {
            let line = line_of(self.text, "[[create]]", index);
            if !targets.insert((rule.side, rule.field.as_str())) {
                let collection = &route.side(rule.side).collection;
                let problem = format!("another rule writes `{}` of {collection} already", rule.field);
                self.find(line, problem, "Take one of them out".to_owned());
            }
            let names = [(rule.side, Some(&rule.field)), (rule.side.other(), rule.from.as_ref())];
            for (side, name) in names {
                let (Some(name), Some(collection)) = (name, collections.get(&side)) else { continue };
                if collection.field(name).is_none() {
                    let problem = format!("{} has no field `{name}`", route.side(side).collection);
                    self.find(line, problem, format!("Fields: {}", list(collection.fields.keys())));
                }
            }
        }
    }
}

fn list<T: fmt::Display>(names: impl Iterator<Item = T>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// The line (from 1) of the `nth` (from 0) occurrence of `what`.
pub(crate) fn line_of(text: &str, what: &str, nth: usize) -> Option<usize> {
    text.lines().enumerate().filter(|(_, line)| line.contains(what)).nth(nth).map(|(index, _)| index + 1)
}

//! What each kind of route needs, and what it has no use for.

use std::collections::BTreeMap;

use databridge_model::{FieldType, Name};

use super::{Checker, line_of, list};
use crate::{Choose, Collection, Direction, GoneRule, Route, RouteKind, Side};

impl Checker<'_> {
    /// The mirror route that joins the parents; told where one is needed and not there.
    pub(super) fn parent<'r>(
        &mut self,
        route: &Route,
        routes: &'r BTreeMap<Name, Route>,
    ) -> Option<&'r Route> {
        let line = line_of(self.text, "parent =", 0).or_else(|| line_of(self.text, "kind =", 0));
        let mirrors = || list(routes.values().filter(|it| it.kind == RouteKind::Mirror).map(|it| &it.route));
        match (&route.parent, route.kind) {
            (None, RouteKind::Mirror) => None,
            (Some(_), RouteKind::Mirror) => {
                self.find(line, "a mirror route has no parent".to_owned(), "Take `parent` out".to_owned());
                None
            }
            (None, _) => {
                let mend = format!("Add parent = \"<route>\". Mirror routes: {}", mirrors());
                self.find(line, "the route names no parent route".to_owned(), mend);
                None
            }
            (Some(name), _) => {
                let found = routes.get(name).filter(|parent| parent.kind == RouteKind::Mirror);
                if found.is_none() {
                    let mend = format!("Mirror routes: {}", mirrors());
                    self.find(line, format!("there is no mirror route `{name}`"), mend);
                }
                found
            }
        }
    }

    /// What the kind needs beside its fields.
    pub(super) fn kind(
        &mut self,
        route: &Route,
        parent: Option<&Route>,
        left: &Collection,
        right: &Collection,
    ) {
        self.only_where(route.choose.is_some(), route, RouteKind::Latest, "choose");
        self.only_where(route.when.is_some(), route, RouteKind::Event, "when");
        let Some(parent) = parent else { return };
        match route.kind {
            RouteKind::Mirror => {}
            RouteKind::Child => {
                self.below(route, Side::Left, left, parent);
                self.below(route, Side::Right, right, parent);
            }
            RouteKind::Latest => {
                self.is_parent(route, parent);
                self.below_or_named(route, right, parent);
                self.choice(route, right);
            }
            RouteKind::Event => {
                self.is_parent(route, parent);
                self.below_or_named(route, right, parent);
                self.event(route, left);
            }
        }
    }

    fn only_where(&mut self, is_there: bool, route: &Route, kind: RouteKind, word: &str) {
        let line = line_of(self.text, word, 0).or_else(|| line_of(self.text, "kind =", 0));
        let kind_name = if kind == RouteKind::Latest { "latest" } else { "event" };
        match (is_there, route.kind == kind) {
            (true, false) => {
                self.find(line, format!("`{word}` is of {kind_name} routes only"), "Take it out".to_owned());
            }
            (false, true) => {
                self.find(line, format!("the {kind_name} route has no `{word}`"), "Add it".to_owned());
            }
            _ => {}
        }
    }

    /// The left side is one of the two that the parent route joins.
    fn is_parent(&mut self, route: &Route, parent: &Route) {
        let left = &route.left.collection;
        if parent.side_of(&left.system, &left.collection).is_none() {
            let problem = format!("{left} is none of the two that `{}` joins", parent.route);
            let mend = format!("Take {} or {}", parent.left.collection, parent.right.collection);
            self.find(line_of(self.text, "[left]", 0), problem, mend);
        }
    }

    /// The records of a side are below those that the parent route joins.
    fn below(&mut self, route: &Route, side: Side, collection: &Collection, parent: &Route) {
        let reference = &route.side(side).collection;
        let is_below =
            collection.parent.as_ref().is_some_and(|it| parent.side_of(&reference.system, it).is_some());
        if !is_below {
            let problem = format!("{reference} has no parent collection that `{}` joins", parent.route);
            let mend = "Add `parent` to the collection in the system file".to_owned();
            self.find(line_of(self.text, &format!("\"{reference}\""), 0), problem, mend);
        }
    }

    fn below_or_named(&mut self, route: &Route, right: &Collection, parent: &Route) {
        match &route.right.parent_key {
            None => self.below(route, Side::Right, right, parent),
            Some(field) if right.field(field).is_none() => {
                let problem = format!("{} has no field `{field}`", route.right.collection);
                let mend = format!("Fields: {}", list(right.fields.keys()));
                self.find(line_of(self.text, "parent_key", 0), problem, mend);
            }
            Some(field) => {
                let carried = route.fields.iter().any(|rule| rule.right == *field);
                if route.right.create && !carried {
                    let problem = format!("records are made, and no field rule carries `{field}` to them");
                    let mend = format!("Add a [[fields]] rule for `{field}`");
                    self.find(line_of(self.text, "parent_key", 0), problem, mend);
                }
            }
        }
    }

    fn choice(&mut self, route: &Route, right: &Collection) {
        let Some(choose) = &route.choose else { return };
        for name in choose.fields() {
            let line = line_of(self.text, "choose", 0);
            match right.field(name) {
                None => {
                    let problem = format!("{} has no field `{name}`", route.right.collection);
                    self.find(line, problem, format!("Fields: {}", list(right.fields.keys())));
                }
                Some(decl) if matches!(choose, Choose::Next(_)) && decl.kind != FieldType::Instant => {
                    let problem = format!("`{name}` is {}; what comes next is told by an instant", decl.kind);
                    self.find(line, problem, "Choose by a field of type instant".to_owned());
                }
                Some(_) => {}
            }
        }
    }

    fn event(&mut self, route: &Route, left: &Collection) {
        let Some(when) = &route.when else { return };
        if let Some(same) =
            when.same.as_ref().filter(|it| !route.fields.iter().any(|rule| rule.right == **it))
        {
            let problem = format!("no field rule goes to `{same}`");
            let mend = format!("Add a [[fields]] rule for `{same}`, or take `same` out");
            self.find(line_of(self.text, "when", 0), problem, mend);
        }
        if left.field(&when.field).is_none() {
            let problem = format!("{} has no field `{}`", route.left.collection, when.field);
            let mend = format!("Fields: {}", list(left.fields.keys()));
            self.find(line_of(self.text, "when", 0), problem, mend);
        }
        for (index, rule) in route.fields.iter().enumerate() {
            if rule.direction == Direction::ToLeft {
                let problem =
                    format!("an event route makes records on the right, and `{}` goes left", rule.left);
                self.find(line_of(self.text, "[[fields]]", index), problem, "Turn it round".to_owned());
            }
        }
    }

    /// A mark goes to a text field of the other side.
    pub(super) fn marks(&mut self, route: &Route, collections: &BTreeMap<Side, &Collection>) {
        for side in Side::BOTH {
            let GoneRule::Mark(mark) = &route.side(side).gone else { continue };
            let Some(collection) = collections.get(&side.other()) else { continue };
            let line = line_of(self.text, &format!("\"{}\"", mark.field), 0);
            if collection.field(&mark.field).is_none_or(|decl| decl.kind != FieldType::Text) {
                let problem =
                    format!("{} has no text field `{}`", route.side(side.other()).collection, mark.field);
                self.find(line, problem, format!("Fields: {}", list(collection.fields.keys())));
            }
        }
    }
}

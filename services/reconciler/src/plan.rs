//! Routes made ready for use: with the types of their fields.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use databridge_config::{
    Collection, ConfigFolder, Converter, FieldDecl, FieldOwner, FieldRule, GoneRule, Route, RouteKind, Side,
    Surroundings,
};
use databridge_model::{CollectionName, Fields, Key, Name, PullResult, SystemName, Value, ValueError};
use serde::{Deserialize, Serialize};

/// A route and what it needs to know of its collections.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// The route.
    pub route: Route,
    /// Its fields with their declarations.
    pub fields: Vec<FieldPlan>,
    left: Collection,
    right: Collection,
    left_fields: BTreeSet<String>,
    right_fields: BTreeSet<String>,
    parent: Option<ParentPlan>,
    /// The local clock of its systems.
    pub zone: Tz,
}

/// How a route hangs on its parent route.
#[derive(Clone, Debug)]
struct ParentPlan {
    route: Name,
    /// The side of the parent route whose records are the parents of those on the left, or are those themselves.
    of_left: Option<Side>,
    /// The side whose records are the parents of those on the right; none where they name it by its key.
    of_right: Option<Side>,
}

/// What a record says of the link in the parent route to which it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentRef {
    /// The link that has the record of this id on this side.
    Id(Name, Side, String),
    /// The link of this key.
    Key(Name, Key),
}

/// One field of a route.
#[derive(Clone, Debug)]
pub struct FieldPlan {
    /// The rule.
    pub rule: FieldRule,
    /// The left field's declaration.
    pub left: FieldDecl,
    /// The right field's declaration.
    pub right: FieldDecl,
    /// The local clock.
    pub zone: Tz,
}

impl FieldPlan {
    /// A side's declaration.
    pub fn on(&self, side: Side) -> &FieldDecl {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// A value of the other side in the form of this one, which shows `current` now.
    pub fn convert(&self, value: &Value, to: Side, current: &Value) -> Result<Value, ValueError> {
        self.rule.convert.apply(value, &self.on(to).kind, Surroundings { zone: self.zone, current })
    }
}

impl RoutePlan {
    /// All routes of a config folder, parents before those that hang on them. Its check has seen to it that they
    /// are whole.
    pub fn all(config: &ConfigFolder) -> Vec<Self> {
        let mut plans: Vec<_> = config.routes.values().filter_map(|route| Self::new(config, route)).collect();
        plans.sort_by_key(|plan| plan.route.kind != RouteKind::Mirror);
        // What routes of several records look at beside their own link must be known of their parent's.
        let of_parents: Vec<_> = plans.iter().flat_map(Self::fields_of_parent).collect();
        for (parent, side, names) in of_parents {
            if let Some(plan) = plans.iter_mut().find(|plan| *plan.name() == parent) {
                plan.names_mut(side).extend(names);
            }
        }
        plans
    }

    fn new(config: &ConfigFolder, route: &Route) -> Option<Self> {
        let left = config.collection(&route.left.collection)?.clone();
        let right = config.collection(&route.right.collection)?.clone();
        let parent = match &route.parent {
            Some(name) => Some(ParentPlan::new(route, config.routes.get(name)?, &left, &right)),
            None => None,
        };
        let partner = || {
            let (parent, side) = (config.routes.get(route.parent.as_ref()?)?, parent.as_ref()?.of_left?);
            config.collection(&parent.side(side.other()).collection)
        };
        let zone_of = |side: Side| config.systems.get(&route.side(side).collection.system)?.time_zone;
        let zone = zone_of(Side::Right).or_else(|| zone_of(Side::Left)).unwrap_or(Tz::UTC);
        let fields = route
            .fields
            .iter()
            .filter_map(|rule| {
                let owner = if rule.of == FieldOwner::Partner { partner()? } else { &left };
                Some(FieldPlan {
                    rule: rule.clone(),
                    left: owner.field(&rule.left)?.clone(),
                    right: right.field(&rule.right)?.clone(),
                    zone,
                })
            })
            .collect();
        let (left_fields, right_fields) = (names_on(route, Side::Left), names_on(route, Side::Right));
        Some(Self { route: route.clone(), fields, left, right, left_fields, right_fields, parent, zone })
    }

    fn names_mut(&mut self, side: Side) -> &mut BTreeSet<String> {
        match side {
            Side::Left => &mut self.left_fields,
            Side::Right => &mut self.right_fields,
        }
    }

    /// The fields that this route looks at of its parent's link: of the record's partner, for what an event tells; and
    /// of the record itself, for there may be no link of this route while there is nothing to be linked.
    fn fields_of_parent(&self) -> Vec<(Name, Side, Vec<String>)> {
        let Some((parent, of_left)) = self.parent.as_ref().and_then(|it| Some((it, it.of_left?))) else {
            return Vec::new();
        };
        let of_partner = self.route.fields.iter().filter(|rule| rule.of == FieldOwner::Partner);
        let of_partner = of_partner.map(|rule| rule.left.clone()).collect();
        let own = match self.kind() {
            RouteKind::Latest => self.left_fields.iter().cloned().collect(),
            _ => Vec::new(),
        };
        vec![(parent.route.clone(), of_left.other(), of_partner), (parent.route.clone(), of_left, own)]
    }

    /// The kind of route.
    pub fn kind(&self) -> RouteKind {
        self.route.kind
    }

    /// The field that holds the match key on a side.
    pub fn key_field(&self, side: Side) -> &str {
        &self.collection(side).key
    }

    /// The parent route, for all kinds but a mirror.
    pub fn parent_route(&self) -> Option<&Name> {
        self.parent.as_ref().map(|parent| &parent.route)
    }

    /// The side of the parent route whose records are the parents of those on this side. For the left of a route that
    /// looks at the parents themselves, the side that they are.
    pub fn parent_side(&self, side: Side) -> Option<Side> {
        let parent = self.parent.as_ref()?;
        match side {
            Side::Left => parent.of_left,
            Side::Right => parent.of_right,
        }
    }

    /// The link of the parent route to which a record belongs; `None` if it does not say.
    pub fn parent_of(&self, side: Side, read: &PullResult) -> Option<ParentRef> {
        let parent = self.parent.as_ref()?;
        let is_parent = side == Side::Left && self.kind() != RouteKind::Child;
        if let Some(field) = self.route.side(side).parent_key.as_ref().filter(|_| !is_parent) {
            let key = Key::parse(&read.fields.get(field)?.to_plain())?;
            return Some(ParentRef::Key(parent.route.clone(), key));
        }
        let id = if is_parent { Some(&read.id) } else { read.parent.as_ref() }?;
        Some(ParentRef::Id(parent.route.clone(), self.parent_side(side)?, id.clone()))
    }

    /// The name of this route's link that hangs on a link of the parent route.
    pub fn name_below(&self, parent_link: &str) -> String {
        let first_key = parent_link.split_once('.').map_or(parent_link, |(_, key)| key);
        format!("{}.{first_key}", self.name())
    }

    /// The name of the parent route's link on which this route's link of this name hangs.
    pub(crate) fn parent_link_of(&self, name: &str) -> Option<String> {
        let (_, first_key) = name.split_once('.')?;
        Some(format!("{}.{first_key}", self.parent_route()?))
    }

    /// Whether values go over as they are.
    pub(crate) fn carries_whole_values(&self) -> bool {
        self.route.fields.iter().all(|rule| rule.convert == Converter::default())
    }

    /// The names of the fields that the route looks at on a side.
    pub(crate) fn names(&self, side: Side) -> &BTreeSet<String> {
        match side {
            Side::Left => &self.left_fields,
            Side::Right => &self.right_fields,
        }
    }

    /// The route's name.
    pub fn name(&self) -> &Name {
        &self.route.route
    }

    /// The side that is this collection.
    pub fn side_of(&self, system: &SystemName, collection: &CollectionName) -> Option<Side> {
        self.route.side_of(system, collection)
    }

    /// A side's collection, as its system file declares it.
    pub fn collection(&self, side: Side) -> &Collection {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// The declared type of a field on the right.
    pub fn right_type(&self, name: &str) -> databridge_model::FieldType {
        self.right.field_type(name)
    }

    /// A side's system.
    pub fn system(&self, side: Side) -> &SystemName {
        &self.route.side(side).collection.system
    }

    /// A side's collection name.
    pub fn collection_name(&self, side: Side) -> &CollectionName {
        &self.route.side(side).collection.collection
    }

    /// The fields of a side that the route looks at, of those given.
    pub fn routed(&self, side: Side, fields: &Fields) -> Fields {
        let names = self.names(side);
        fields
            .iter()
            .filter(|(name, _)| names.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// The name of the link of this key.
    pub fn link_name(&self, key: &Key) -> String {
        format!("{}.{}", self.name(), key.token())
    }

    /// What a new record on this side gets beside the routed fields, given what the other side shows.
    pub fn create_extras(
        &self,
        side: Side,
        other: &crate::link::SideState,
        key: &Key,
    ) -> BTreeMap<String, Value> {
        let rules = self.route.create.iter().filter(|rule| rule.side == side);
        rules
            .map(|rule| {
                let from = rule.from.as_ref().and_then(|field| other.shown(field)).filter(|v| !v.is_null());
                let otherwise =
                    || rule.otherwise.as_ref().map(|text| Value::text(text.replace("{key}", key.as_str())));
                (rule.field.clone(), from.cloned().or_else(otherwise).unwrap_or_default())
            })
            .collect()
    }
}

impl ParentPlan {
    fn new(route: &Route, parent: &Route, left: &Collection, right: &Collection) -> Self {
        let side_of = |side: Side, collection: &CollectionName| {
            parent.side_of(&route.side(side).collection.system, collection)
        };
        let below = |side: Side, collection: &Collection| side_of(side, collection.parent.as_ref()?);
        let of_left = match route.kind {
            RouteKind::Child => below(Side::Left, left),
            _ => side_of(Side::Left, &route.left.collection.collection),
        };
        let of_right = if route.right.parent_key.is_some() { None } else { below(Side::Right, right) };
        Self { route: parent.route.clone(), of_left, of_right }
    }
}

/// The names of the fields that a route looks at on a side.
fn names_on(route: &Route, side: Side) -> BTreeSet<String> {
    let ruled = route
        .fields
        .iter()
        .filter(|rule| side == Side::Right || rule.of == FieldOwner::Record)
        .map(|rule| rule.on(side).to_owned());
    let created = route.create.iter().filter(|rule| rule.side != side).filter_map(|rule| rule.from.clone());
    let mut names: BTreeSet<String> = ruled.chain(created).collect();
    match side {
        Side::Left => names.extend(route.when.iter().map(|when| when.field.clone())),
        Side::Right => {
            names.extend(route.choose.iter().flat_map(|choose| choose.fields().iter().cloned()));
            names.extend(route.right.parent_key.clone());
        }
    }
    if let GoneRule::Mark(mark) = &route.side(side.other()).gone {
        names.insert(mark.field.clone());
    }
    names
}

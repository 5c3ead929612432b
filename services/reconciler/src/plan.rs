//! Routes made ready for use: with the types of their fields.

use std::collections::{BTreeMap, BTreeSet};

use databridge_config::{Collection, ConfigFolder, FieldDecl, FieldRule, Route, Side};
use databridge_model::{CollectionName, Fields, Key, Name, SystemName, Value};

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
}

impl FieldPlan {
    /// A side's declaration.
    pub fn on(&self, side: Side) -> &FieldDecl {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

impl RoutePlan {
    /// All routes of a config folder. Its check has seen to it that they are whole.
    pub fn all(config: &ConfigFolder) -> Vec<Self> {
        config.routes.values().filter_map(|route| Self::new(config, route)).collect()
    }

    fn new(config: &ConfigFolder, route: &Route) -> Option<Self> {
        let left = config.collection(&route.left.collection)?.clone();
        let right = config.collection(&route.right.collection)?.clone();
        let fields = route
            .fields
            .iter()
            .filter_map(|rule| {
                Some(FieldPlan {
                    rule: rule.clone(),
                    left: left.field(&rule.left)?.clone(),
                    right: right.field(&rule.right)?.clone(),
                })
            })
            .collect();
        let names = |side: Side| {
            let ruled = route.fields.iter().map(|rule| rule.on(side).to_owned());
            let created =
                route.create.iter().filter(|rule| rule.side != side).filter_map(|rule| rule.from.clone());
            ruled.chain(created).collect()
        };
        let (left_fields, right_fields) = (names(Side::Left), names(Side::Right));
        Some(Self { route: route.clone(), fields, left, right, left_fields, right_fields })
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
        let names = match side {
            Side::Left => &self.left_fields,
            Side::Right => &self.right_fields,
        };
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

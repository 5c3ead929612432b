//! Several routes may choose among the same records below one parent: the map's court date and the matter's day both
//! look at the entries of a calendar. Where each may make one, they make it together: one route at a time, and not
//! before it knows what the others have made.
//!
//! Who makes one now stands in the parent's link, which is changed by compare-and-set, so it holds across processes.
//! Whoever stands there and has nothing under way has been overtaken by a crash, and the next takes its place.

use std::collections::btree_map::Entry;

use databridge_config::{RouteKind, Side};
use databridge_model::{Op, RunId};

use crate::engine::{Engine, Trouble};
use crate::latest;
use crate::link::{Child, Link};
use crate::links::Open;
use crate::plan::RoutePlan;

/// Whether a record may be made that other routes might make, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It may.
    Ours,
    /// Others had made some that were not known: it is to be decided again.
    Learned,
    /// Another route is at it, or what it made is to be read first.
    Wait,
}

impl Engine {
    /// The other routes that choose among the same records.
    fn siblings<'a>(&'a self, plan: &'a RoutePlan) -> impl Iterator<Item = &'a RoutePlan> {
        self.plans.iter().filter(|other| {
            plan.kind() == RouteKind::Latest
                && other.kind() == RouteKind::Latest
                && other.name() != plan.name()
                && other.parent_route() == plan.parent_route()
                && other.route.right.collection == plan.route.right.collection
        })
    }

    /// Whether other routes might make the same record.
    pub(crate) fn makes_with_others(&self, plan: &RoutePlan) -> bool {
        self.siblings(plan).any(|other| other.route.right.create)
    }

    /// Takes the turn to make a record, and learns what others have made.
    pub(crate) async fn take_turn(
        &self,
        plan: &RoutePlan,
        name: &str,
        link: &mut Link,
    ) -> Result<Turn, Trouble> {
        let Some(parent) = plan.parent_link_of(name) else { return Ok(Turn::Ours) };
        if self.knows_less(plan, &parent).await? || !self.is_first(plan, name, &parent).await? {
            return Ok(Turn::Wait);
        }
        let mut learned = false;
        for other in self.siblings(plan) {
            let Some(found) = self.links.get(&other.name_below(&parent)).await? else { continue };
            for (id, child) in found.value.children {
                if let Entry::Vacant(place) = link.children.entry(id) {
                    place.insert(told_to(plan, child));
                    learned = true;
                }
            }
        }
        if !learned {
            return Ok(Turn::Ours);
        }
        latest::choose(plan, link, self.broker.clock().now());
        let is_unread = link.children.values().any(|child| child.reread);
        Ok(if is_unread { Turn::Wait } else { Turn::Learned })
    }

    /// Whether another route wants to make the record, too, and has the whole value where this one has a part of it: a
    /// moment, and this one its day.
    async fn knows_less(&self, plan: &RoutePlan, parent_name: &str) -> Result<bool, Trouble> {
        if plan.carries_whole_values() {
            return Ok(false);
        }
        for other in self.siblings(plan).filter(|other| other.carries_whole_values()) {
            let name = other.name_below(parent_name);
            let Some(found) = self.links.get(&name).await? else { continue };
            let mut link = found.value;
            let pushes = Box::pin(self.decide(other, &mut link, &name, None)).await?.pushes;
            if pushes.iter().any(|wanted| wanted.side == Side::Right && wanted.op == Op::Create) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this link is the one that makes a record now; it is if nobody else is.
    async fn is_first(&self, plan: &RoutePlan, name: &str, parent_name: &str) -> Result<bool, Trouble> {
        let place = plan.route.right.collection.to_string();
        loop {
            let _lock = self.links.lock(parent_name).await;
            let Some(found) = self.links.get(parent_name).await? else { return Ok(true) };
            let mut parent = found.value;
            match parent.making.get(&place) {
                Some(maker) if maker == name => return Ok(true),
                Some(maker) if self.is_making(maker).await? => return Ok(false),
                _ => {}
            }
            parent.making.insert(place.clone(), name.to_owned());
            match self.links.save(parent_name, &parent, Some(found.revision)).await.map_err(Trouble::from) {
                Err(error) if error.is_moved() => {}
                saved => return saved.map(|()| true),
            }
        }
    }

    /// Whether a link has a new record under way, or does not know whether it was made: it looks in the next run.
    async fn is_making(&self, name: &str) -> Result<bool, Trouble> {
        let Some(link) = self.links.get(name).await?.map(|found| found.value) else { return Ok(false) };
        let under_way = link.right.outstanding.is_some_and(|it| it.push.op == Op::Create);
        Ok(under_way || link.due)
    }

    /// A record was made, or was not: the next may have its turn.
    pub(crate) async fn pass_turn(
        &self,
        plan: &RoutePlan,
        name: &str,
        run: Option<RunId>,
    ) -> Result<(), Trouble> {
        if !self.makes_with_others(plan) {
            return Ok(());
        }
        let Some(parent_name) = plan.parent_link_of(name) else { return Ok(()) };
        let place = plan.route.right.collection.to_string();
        loop {
            let _lock = self.links.lock(&parent_name).await;
            let Some(found) = self.links.get(&parent_name).await? else { break };
            let mut parent = found.value;
            if parent.making.get(&place).is_none_or(|maker| maker != name) {
                break;
            }
            parent.making.remove(&place);
            match self.links.save(&parent_name, &parent, Some(found.revision)).await.map_err(Trouble::from) {
                Err(error) if error.is_moved() => {}
                saved => break saved?,
            }
        }
        for other in self.siblings(plan) {
            loop {
                match Box::pin(self.decide_if_due(other, &other.name_below(&parent_name), run)).await {
                    Err(error) if error.is_moved() => {}
                    decided => break decided?,
                }
            }
        }
        Ok(())
    }

    /// Decides a link, if it waits for that.
    pub(crate) async fn decide_if_due(
        &self,
        plan: &RoutePlan,
        name: &str,
        run: Option<RunId>,
    ) -> Result<(), Trouble> {
        if !self.links.is_open(name, Open::Due) {
            return Ok(());
        }
        let _lock = self.links.lock(name).await;
        match self.links.get(name).await? {
            Some(found) if found.value.due => {
                self.decide_and_save(plan, name, found.value, Some(found.revision), run).await
            }
            _ => Ok(()),
        }
    }
}

/// A record as another route knows it. What that one does not look at is to be read.
fn told_to(plan: &RoutePlan, child: Child) -> Child {
    let fields = plan.routed(Side::Right, &child.fields);
    let is_whole = plan.names(Side::Right).iter().all(|name| fields.contains_key(name));
    Child { fields, cut: !is_whole, reread: !is_whole, paired: false, pulled: None, ..child }
}

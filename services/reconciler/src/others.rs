//! Several routes may look at one record. What the outcome of one link's push shows of it, the others learn too: they
//! would push what is there already, and hand back what the bridge no longer takes.

use chrono::{DateTime, Utc};
use databridge_config::{RouteKind, Side};
use databridge_model::{CollectionName, Fields, Op, Outcome, ReadAfter, RunId, SystemName};

use crate::engine::{Engine, Trouble};
use crate::latest;
use crate::link::{Link, Outstanding};
use crate::plan::RoutePlan;
use crate::read::{canonical, is_before, show_all};

/// An outcome, and the record that it shows.
pub(crate) struct Told<'a> {
    pub(crate) system: &'a SystemName,
    pub(crate) collection: &'a CollectionName,
    pub(crate) outcome: &'a Outcome,
    /// The push that it answers.
    pub(crate) answered: &'a Outstanding,
    /// When it was stored.
    pub(crate) at: ReadAfter,
}

impl Told<'_> {
    /// The record's id.
    fn id(&self) -> Option<&String> {
        let target = self.answered.push.target.as_ref().map(|target| &target.id);
        self.outcome.id.as_ref().or(target)
    }
}

impl Engine {
    /// The other links of a record, each with its route and its side.
    fn others_of<'a>(
        &'a self,
        of: &'a str,
        system: &'a SystemName,
        collection: &'a CollectionName,
        id: &'a str,
    ) -> impl Iterator<Item = (&'a RoutePlan, Side, String)> {
        self.plans.iter().filter_map(move |plan| {
            let side = plan.side_of(system, collection)?;
            let name = self.links.by_id(plan.name(), side, id).filter(|name| name != of)?;
            Some((plan, side, name))
        })
    }

    /// What other links have under way to a record.
    pub(crate) async fn under_way_to(
        &self,
        of: &str,
        system: &SystemName,
        collection: &CollectionName,
        id: &str,
    ) -> Result<Vec<Outstanding>, Trouble> {
        let mut under_way = Vec::new();
        for (_, side, name) in self.others_of(of, system, collection, id) {
            if self.links.under_way(&name).is_empty() {
                continue;
            }
            let found = self.links.get(&name).await?;
            let outstanding = found.and_then(|found| found.value.side(side).outstanding.clone());
            let is_to_it = |it: &Outstanding| it.push.target.as_ref().is_some_and(|it| it.id == id);
            under_way.extend(outstanding.filter(is_to_it));
        }
        Ok(under_way)
    }

    /// Takes in what the parent's link knows of the record on the left by now; true if that is news. The outcome of its
    /// push may be in its own link already, and on its way to this one.
    pub(crate) async fn learn_from_parent(&self, plan: &RoutePlan, link: &mut Link) -> Result<bool, Trouble> {
        let Some((_, _, parent)) = self.parent_of_holder(plan, link, None).await? else { return Ok(false) };
        Ok(learn_of_parent(plan, link, &parent))
    }

    /// Lets the other links of a record learn what an outcome shows of it; those that waited for it have their turn.
    pub(crate) async fn tell_others(
        &self,
        of: &str,
        told: &Told<'_>,
        run: Option<RunId>,
    ) -> Result<(), Trouble> {
        let Some(id) = told.id() else { return Ok(()) };
        for (plan, side, name) in self.others_of(of, told.system, told.collection, id) {
            loop {
                match Box::pin(self.show_to(plan, side, &name, told, run)).await {
                    Err(error) if error.is_moved() => {}
                    other => break other?,
                }
            }
        }
        self.decide_events_beside(told, id, run).await
    }

    /// Events that waited until both sides of their parent agree may be decided now.
    async fn decide_events_beside(
        &self,
        told: &Told<'_>,
        id: &str,
        run: Option<RunId>,
    ) -> Result<(), Trouble> {
        for (parent, _, parent_name) in self.others_of("", told.system, told.collection, id) {
            let is_below =
                |it: &&RoutePlan| it.kind() == RouteKind::Event && it.parent_route() == Some(parent.name());
            for plan in self.plans.iter().filter(is_below) {
                let name = plan.name_below(&parent_name);
                loop {
                    match Box::pin(self.decide_if_due(plan, &name, run)).await {
                        Err(error) if error.is_moved() => {}
                        decided => break decided?,
                    }
                }
            }
        }
        Ok(())
    }

    async fn show_to(
        &self,
        plan: &RoutePlan,
        side: Side,
        name: &str,
        told: &Told<'_>,
        run: Option<RunId>,
    ) -> Result<(), Trouble> {
        let _lock = self.links.lock(name).await;
        let Some(found) = self.links.get(name).await? else { return Ok(()) };
        let mut link = found.value;
        let changed = learn(plan, &mut link, side, told, self.broker.clock().now());
        let again = link.to_reread(side);
        if changed && !again.is_empty() {
            self.want_reread(plan, side, run, again);
        } else if link.due && run.is_some() {
            return self.decide_and_save(plan, name, link, Some(found.revision), run).await;
        }
        // Otherwise nothing is decided from it: the pushes of one change may go to several links, and what the others
        // are about to show is not known yet. The next read of either side decides.
        if changed { Ok(self.links.save(name, &link, Some(found.revision)).await?) } else { Ok(()) }
    }
}

/// Takes in what the parent's link knows of the record on the left; true if that is news.
pub(crate) fn learn_of_parent(plan: &RoutePlan, link: &mut Link, parent: &Link) -> bool {
    let Some(known) = plan.parent_side(Side::Left).map(|side| parent.side(side)) else { return false };
    if known.id != link.left.id || known.revision <= link.left.revision {
        return false;
    }
    let shown = known.base.iter().chain(&known.drift);
    let shown: Fields = shown.map(|(name, value)| (name.clone(), value.clone())).collect();
    link.left.revision = known.revision;
    link.left.handle = known.handle.clone();
    if link.left.last_outcome.is_none_or(|ours| is_before(&ours, known.last_outcome.as_ref())) {
        link.left.last_outcome = known.last_outcome;
    }
    show_all(plan, Side::Left, &mut link.left, plan.routed(Side::Left, &shown));
    true
}

/// Takes in what an outcome of another link tells of a record; false if that is nothing new.
fn learn(plan: &RoutePlan, link: &mut Link, side: Side, told: &Told<'_>, now: DateTime<Utc>) -> bool {
    let Some(id) = told.id() else { return false };
    // What is under way shows itself with its own outcome.
    if link.side(side).outstanding.is_some() {
        return false;
    }
    let before = link.clone();
    if told.outcome.revision.is_some() {
        learn_record(plan, link, side, id, told.outcome, now);
    } else if told.outcome.result.is_done() && told.answered.push.op == Op::Update {
        learn_fields(plan, link, side, id, told, now);
    }
    let changed = *link != before;
    if changed {
        link.side_mut(side).last_outcome = Some(told.at);
    }
    changed
}

/// The outcome shows the record as it is.
fn learn_record(
    plan: &RoutePlan,
    link: &mut Link,
    side: Side,
    id: &String,
    outcome: &Outcome,
    now: DateTime<Utc>,
) {
    let shown = canonical(plan, side, &outcome.shown);
    if shown.is_empty() {
        return;
    }
    if plan.kind().has_several() && side == Side::Right {
        let Some(child) = link.children.get_mut(id).filter(|_| plan.kind() == RouteKind::Latest) else {
            return;
        };
        if child.revision > outcome.revision {
            return;
        }
        child.fields.extend(shown);
        child.cut = false;
        child.written |= outcome.result.is_done();
        child.revision = outcome.revision;
        if !outcome.handle.is_null() {
            child.handle = outcome.handle.clone();
        }
        latest::choose(plan, link, now);
        return;
    }
    let state = link.side_mut(side);
    if state.id.as_ref() != Some(id) || state.revision > outcome.revision {
        return;
    }
    state.revision = outcome.revision;
    if !outcome.handle.is_null() {
        state.handle = outcome.handle.clone();
    }
    show_all(plan, side, state, shown);
}

/// The outcome tells no more than that the push is in. What was there before it is what it changed; where this link
/// knows of something else, only the record itself can tell.
fn learn_fields(
    plan: &RoutePlan,
    link: &mut Link,
    side: Side,
    id: &String,
    told: &Told<'_>,
    now: DateTime<Utc>,
) {
    let push = &told.answered.push;
    let set: Fields = plan.routed(side, &push.set);
    let set = set.into_iter().filter(|(name, _)| !told.outcome.parked.contains_key(name));
    let is_several = plan.kind().has_several() && side == Side::Right;
    if is_several {
        let Some(child) = link.children.get_mut(id).filter(|_| plan.kind() == RouteKind::Latest) else {
            return;
        };
        child.written = true;
        for (name, value) in set {
            match child.fields.get(&name) {
                Some(known) if *known == value => {}
                known if known == push.expect.get(&name) => drop(child.fields.insert(name, value)),
                _ => child.reread = true,
            }
        }
        latest::choose(plan, link, now);
        return;
    }
    let state = link.side_mut(side);
    if state.id.as_ref() != Some(id) {
        return;
    }
    for (name, value) in set {
        match state.shown(&name) {
            Some(known) if *known == value => {}
            known if known == push.expect.get(&name) => state.show(&name, value),
            _ => state.reread = true,
        }
    }
}

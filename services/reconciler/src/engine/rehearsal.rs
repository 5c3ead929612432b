//! Dry runs: links as they would be, written nowhere, and what would be done with them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;

use databridge_config::Side;
use databridge_model::{
    CollectionName, Fields, Key, Mode, Name, Op, PullResult, RunId, SystemName, WouldPush,
};

use super::{Engine, Trouble, parent_of_new};
use crate::decide::Wanted;
use crate::link::Link;
use crate::plan::{ParentRef, RoutePlan};
use crate::rivals::doubles;
use crate::runs::Count;

/// The links of dry runs, which are written nowhere.
pub(super) type Rehearsals = BTreeMap<RunId, Rehearsal>;

/// What a dry run has come to so far.
#[derive(Debug, Default)]
pub(super) struct Rehearsal {
    links: BTreeMap<String, Link>,
    by_id: HashMap<(Name, Side, String), String>,
    by_key: HashMap<(Name, Key), String>,
    /// Where a record would be made that several routes could make: by its parent's link and its collection.
    made: HashSet<(String, String)>,
    /// What was told of each record already: two routes may want the same of one.
    told: HashMap<Place, Fields>,
    /// Reads that came before their parent's.
    early: Vec<Early>,
}

/// A record: system, collection and id.
type Place = (SystemName, CollectionName, String);

/// A read that came before its parent's.
#[derive(Clone, Debug)]
pub(crate) struct Early {
    /// The route for which it waits.
    pub(crate) route: Name,
    /// What was read.
    pub(crate) read: PullResult,
    /// Its sequence in PULL.
    pub(crate) sequence: u64,
}

impl Engine {
    /// Goes on with a dry run: the link is kept until the listings are in, and then it is said what would be done.
    pub(crate) async fn rehearse(
        &self,
        plan: &RoutePlan,
        name: &str,
        link: Link,
        run_id: RunId,
    ) -> Result<(), Trouble> {
        let Some(run) = self.runs.get(run_id) else { return Ok(()) };
        if run.request.mode != Mode::Incremental && !run.listings_decided {
            let creates = self.decide(plan, &mut link.clone(), name, Some(run_id)).await?.pushes;
            for wanted in creates.iter().filter(|wanted| wanted.op == Op::Create) {
                self.ask_for_listing(run_id, plan.system(wanted.side), plan.collection_name(wanted.side))
                    .await?;
            }
        }
        self.put_rehearsed(run_id, name, link);
        Ok(())
    }

    /// The link as a dry run has it now.
    pub(crate) fn put_rehearsed(&self, run_id: RunId, name: &str, link: Link) {
        let mut rehearsals = self.rehearsals();
        let rehearsal = rehearsals.entry(run_id).or_default();
        for side in Side::BOTH {
            if let Some(id) = &link.side(side).id {
                rehearsal.by_id.insert((link.route.clone(), side, id.clone()), name.to_owned());
            }
        }
        rehearsal.by_key.insert((link.route.clone(), link.key.clone()), name.to_owned());
        rehearsal.links.insert(name.to_owned(), link);
    }

    /// Keeps a read of a dry run until its parent has been read.
    pub(crate) fn keep_early(&self, run: RunId, early: Early) {
        self.rehearsals().entry(run).or_default().early.push(early);
    }

    /// The links of a route that a dry run has come upon.
    pub(crate) fn rehearsed_of(&self, run: RunId, route: &Name) -> Vec<String> {
        let rehearsals = self.rehearsals();
        let links = rehearsals.get(&run).into_iter().flat_map(|it| &it.links);
        links.filter(|(_, link)| link.route == *route).map(|(name, _)| name.clone()).collect()
    }

    /// The link as a dry run would have it by now.
    pub(crate) fn rehearsed(&self, run: RunId, name: &str) -> Option<Link> {
        self.rehearsals().get(&run)?.links.get(name).cloned()
    }

    pub(super) fn rehearsed_parent(&self, run: RunId, parent: &ParentRef) -> Option<(String, Link)> {
        let rehearsals = self.rehearsals();
        let rehearsal = rehearsals.get(&run)?;
        let name = match parent {
            ParentRef::Id(route, side, id) => rehearsal.by_id.get(&(route.clone(), *side, id.clone())),
            ParentRef::Key(route, key) => rehearsal.by_key.get(&(route.clone(), key.clone())),
        }?;
        Some((name.clone(), rehearsal.links.get(name)?.clone()))
    }

    /// The listings of a dry run are in: says what would be done.
    pub(crate) async fn say_what_was_rehearsed(&self, run: RunId) -> Result<(), Trouble> {
        let early = std::mem::take(&mut self.rehearsals().entry(run).or_default().early);
        for Early { route, read, sequence } in early {
            if let Some(plan) = self.plan(&route) {
                self.decide_row(plan, &read, sequence, Some(run)).await?;
            }
        }
        let mut names: Vec<_> = {
            let rehearsals = self.rehearsals();
            let links = rehearsals.get(&run).into_iter().flat_map(|it| &it.links);
            links.map(|(name, _)| (self.turn_of(name), name.clone())).collect()
        };
        names.sort();
        for (_, name) in names {
            let Some(link) = self.rehearsed(run, &name) else { continue };
            if let Some(plan) = self.plan(&link.route) {
                self.say_what_would_be(plan, &name, link, run).await?;
            }
        }
        self.rehearsals().remove(&run);
        Ok(())
    }

    fn rehearsals(&self) -> std::sync::MutexGuard<'_, Rehearsals> {
        self.rehearsals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a push would set; `None` if it would not be sent.
    async fn would_set(
        &self,
        plan: &RoutePlan,
        name: &str,
        link: &Link,
        wanted: &Wanted,
        run: RunId,
    ) -> Result<Option<Fields>, Trouble> {
        if wanted.op == Op::Create {
            let (system, collection) = (plan.system(wanted.side), plan.collection_name(wanted.side));
            // Without the complete listing that was asked for, nothing would be made.
            let is_unlisted = self
                .runs
                .get(run)
                .is_some_and(|run| run.asks_whole(system, collection) && !run.has_whole(system, collection));
            let is_made = !is_unlisted
                && self.would_have_parent(plan, link, wanted.side, run).await?
                && self.would_be_first(plan, name, run);
            return Ok(is_made.then(|| wanted.set.clone()));
        }
        let Some(id) = link.side(wanted.side).id.clone() else { return Ok(Some(wanted.set.clone())) };
        let place = (plan.system(wanted.side).clone(), plan.collection_name(wanted.side).clone(), id);
        let mut rehearsals = self.rehearsals();
        let told = rehearsals.entry(run).or_default().told.entry(place).or_default();
        let mut set = wanted.set.clone();
        set.retain(|name, value| told.get(name) != Some(value));
        told.extend(set.clone());
        Ok((wanted.op == Op::Delete || !set.is_empty()).then_some(set))
    }

    /// Whether a new record would have its parent: one that is there, or would be made.
    async fn would_have_parent(
        &self,
        plan: &RoutePlan,
        link: &Link,
        side: Side,
        run: RunId,
    ) -> Result<bool, Trouble> {
        let (Some(parent), Some(parent_side)) = (parent_of_new(plan, link, side), plan.parent_side(side))
        else {
            return Ok(true);
        };
        let Some((name, mut parent)) = self.parent_link(&parent, Some(run)).await? else { return Ok(false) };
        let Some(of) = self.plan(&parent.route).filter(|_| !parent.is_doubled()) else { return Ok(false) };
        if parent.side(parent_side).is_there() {
            return Ok(true);
        }
        let pushes = Box::pin(self.decide(of, &mut parent, &name, Some(run))).await?.pushes;
        Ok(pushes.iter().any(|wanted| wanted.side == parent_side && wanted.op == Op::Create))
    }

    /// Whether no other route would make the same record.
    fn would_be_first(&self, plan: &RoutePlan, name: &str, run: RunId) -> bool {
        let Some(parent) = plan.parent_link_of(name).filter(|_| self.makes_with_others(plan)) else {
            return true;
        };
        let place = (parent, plan.route.right.collection.to_string());
        self.rehearsals().entry(run).or_default().made.insert(place)
    }

    /// What a dry run would do with this link; nothing is written.
    pub(crate) async fn say_what_would_be(
        &self,
        plan: &RoutePlan,
        name: &str,
        mut link: Link,
        run: RunId,
    ) -> Result<(), Trouble> {
        let decision = self.decide(plan, &mut link, name, Some(run)).await?;
        for parked in doubles(plan, &link) {
            self.tell_parked(Some(run), &parked).await?;
        }
        for wanted in &decision.pushes {
            let Some(set) = self.would_set(plan, name, &link, wanted, run).await? else { continue };
            let event = WouldPush {
                system: plan.system(wanted.side).clone(),
                collection: plan.collection_name(wanted.side).clone(),
                key: Some(link.key.clone()),
                op: wanted.op,
                expect: wanted
                    .expect
                    .clone()
                    .into_iter()
                    .filter(|(name, _)| set.contains_key(name))
                    .collect(),
                set,
            };
            self.publish_event(run, "would_push", &event).await?;
            self.runs.count(Some(run), Count::Push);
        }
        self.tell(plan, &link, decision, Some(run)).await
    }
}

//! Dry runs: links as they would be, written nowhere, and what would be done with them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;

use databridge_config::Side;
use databridge_model::{Key, Mode, Name, Op, RunId, WouldPush};

use super::{Engine, Trouble};
use crate::decide::Wanted;
use crate::link::Link;
use crate::plan::{ParentRef, RoutePlan};
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
        let mut rehearsals = self.rehearsals();
        let rehearsal = rehearsals.entry(run_id).or_default();
        for side in Side::BOTH {
            if let Some(id) = &link.side(side).id {
                rehearsal.by_id.insert((link.route.clone(), side, id.clone()), name.to_owned());
            }
        }
        rehearsal.by_key.insert((link.route.clone(), link.key.clone()), name.to_owned());
        rehearsal.links.insert(name.to_owned(), link);
        Ok(())
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
        let mut names: Vec<(bool, String)> = {
            let rehearsals = self.rehearsals();
            let links = rehearsals.get(&run).into_iter().flat_map(|it| &it.links);
            // As it would be: who has whole values goes before who has a part of them.
            let has_part = |link: &Link| self.plan(&link.route).is_some_and(|it| !it.carries_whole_values());
            links.map(|(name, link)| (has_part(link), name.clone())).collect()
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
        let open = self.runs.get(run);
        // Without the complete listing that was asked for, nothing would be made.
        let unlisted = |side: Side| {
            let (system, collection) = (plan.system(side), plan.collection_name(side));
            open.as_ref()
                .is_some_and(|run| run.asks_whole(system, collection) && !run.has_whole(system, collection))
        };
        let is_made = |wanted: &Wanted| {
            wanted.op != Op::Create || (!unlisted(wanted.side) && self.would_be_first(plan, name, run))
        };
        for wanted in decision.pushes.iter().filter(|wanted| is_made(wanted)) {
            let event = WouldPush {
                system: plan.system(wanted.side).clone(),
                collection: plan.collection_name(wanted.side).clone(),
                key: Some(link.key.clone()),
                op: wanted.op,
                set: wanted.set.clone(),
                expect: wanted.expect.clone(),
            };
            self.publish_event(run, "would_push", &event).await?;
            self.runs.count(Some(run), Count::Push);
        }
        self.tell(plan, &link, decision, Some(run)).await
    }
}

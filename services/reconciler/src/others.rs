//! Several routes may look at one record. What the outcome of one link's push shows of it, the others learn too: they
//! would push what is there already, and hand back what the bridge no longer takes.

use chrono::{DateTime, Utc};
use databridge_config::{RouteKind, Side};
use databridge_model::{CollectionName, Outcome, ReadAfter, SystemName};

use crate::engine::{Engine, Trouble};
use crate::latest;
use crate::link::Link;
use crate::plan::RoutePlan;
use crate::read::{canonical, show_all};

/// An outcome, and the record that it shows.
pub(crate) struct Told<'a> {
    pub(crate) system: &'a SystemName,
    pub(crate) collection: &'a CollectionName,
    pub(crate) outcome: &'a Outcome,
    /// When it was stored.
    pub(crate) at: ReadAfter,
}

impl Engine {
    /// Lets the other links of a record learn what an outcome shows of it. A system that does not tell a revision
    /// with it has not shown the record as it is; there the next read tells.
    pub(crate) async fn tell_others(&self, of: &str, told: &Told<'_>) -> Result<(), Trouble> {
        let outcome = told.outcome;
        let Some(id) =
            outcome.id.as_ref().filter(|_| outcome.revision.is_some() && !outcome.shown.is_empty())
        else {
            return Ok(());
        };
        for plan in &self.plans {
            let Some(side) = plan.side_of(told.system, told.collection) else { continue };
            let Some(name) = self.links.by_id(plan.name(), side, id).filter(|name| name != of) else {
                continue;
            };
            loop {
                match Box::pin(self.show_to(plan, side, &name, told)).await {
                    Err(error) if error.is_moved() => {}
                    other => break other?,
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
    ) -> Result<(), Trouble> {
        let _lock = self.links.lock(name).await;
        let Some(found) = self.links.get(name).await? else { return Ok(()) };
        let mut link = found.value;
        if !learn(plan, &mut link, side, told.outcome, told.at, self.broker.clock().now()) {
            return Ok(());
        }
        // Nothing is decided from it: the pushes of one change may go to several links, and what the others are about
        // to show is not known yet. The next read of either side decides.
        Ok(self.links.save(name, &link, Some(found.revision)).await?)
    }
}

/// Takes in what an outcome of another link shows; false if it tells nothing new.
fn learn(
    plan: &RoutePlan,
    link: &mut Link,
    side: Side,
    outcome: &Outcome,
    at: ReadAfter,
    now: DateTime<Utc>,
) -> bool {
    let before = link.clone();
    let Some(id) = &outcome.id else { return false };
    // What is under way shows itself with its own outcome.
    if link.side(side).outstanding.is_some() {
        return false;
    }
    let shown = canonical(plan, side, &outcome.shown);
    if plan.kind().has_several() && side == Side::Right {
        let Some(child) = link.children.get_mut(id).filter(|_| plan.kind() == RouteKind::Latest) else {
            return false;
        };
        if child.revision > outcome.revision {
            return false;
        }
        child.fields.extend(shown);
        child.cut = false;
        child.revision = outcome.revision;
        if !outcome.handle.is_null() {
            child.handle = outcome.handle.clone();
        }
        latest::choose(plan, link, now);
    } else {
        let state = link.side_mut(side);
        if state.id.as_ref() != Some(id) || state.revision > outcome.revision {
            return false;
        }
        state.revision = outcome.revision;
        if !outcome.handle.is_null() {
            state.handle = outcome.handle.clone();
        }
        show_all(plan, side, state, shown);
    }
    let changed = *link != before;
    link.side_mut(side).last_outcome = Some(at);
    changed
}

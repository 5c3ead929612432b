//! Deciding a link, with what its kind looks at beside it.

use databridge_config::{RouteKind, Side};
use databridge_model::{Fields, RunId};

use super::{Engine, Trouble};
use crate::decide::{Decision, Given, creates, decide_with};
use crate::event::{self, Standing};
use crate::latest;
use crate::link::Link;
use crate::others::learn_of_parent;
use crate::plan::{ParentRef, RoutePlan};

impl Engine {
    /// What must be pushed so that the link's sides agree, with what its kind looks at beside the link.
    pub(crate) async fn decide(
        &self,
        plan: &RoutePlan,
        link: &mut Link,
        name: &str,
        dry_run: Option<RunId>,
    ) -> Result<Decision, Trouble> {
        let mut decision = self.decide_by_its_kind(plan, link, name, dry_run).await?;
        if !decision.pushes.is_empty() && self.is_below_one_apart(plan, link, name).await? {
            decision.pushes.clear();
            link.due = true;
        }
        Ok(decision)
    }

    async fn decide_by_its_kind(
        &self,
        plan: &RoutePlan,
        link: &mut Link,
        name: &str,
        dry_run: Option<RunId>,
    ) -> Result<Decision, Trouble> {
        if plan.kind() != RouteKind::Event {
            let given = self.given_to_new(plan, link, name, dry_run).await?;
            return Ok(decide_with(plan, link, name, self.broker.clock().now(), &given));
        }
        if event::standing(plan, link) == Standing::Quiet {
            return Ok(Decision::default());
        }
        let Some((of_parent, parent_name, parent)) = self.parent_of_holder(plan, link, dry_run).await? else {
            return Ok(Decision::default());
        };
        if event::standing(plan, link) == Standing::First {
            // What the pair has just agreed on may not be told here yet: what was read before it would seem to be the
            // beginning, and the agreement an event.
            learn_of_parent(plan, link, &parent);
            event::begin(plan, link, &parent);
        }
        let is_first = event::standing(plan, link) == Standing::First;
        if is_first && Box::pin(self.is_in_motion(of_parent, &parent_name, &parent, dry_run)).await? {
            // What its pair is about to agree on is where it begins, and no event.
            link.due = true;
            return Ok(Decision::default());
        }
        let partner = self.partner_shows(plan, of_parent, &parent).await?;
        if !event::is_settled(plan, of_parent, link, &partner) {
            link.due = true;
            return Ok(Decision::default());
        }
        Ok(event::decide(plan, link, name, &partner))
    }

    /// Whether the parent of these records is a pair that a person has taken apart.
    async fn is_below_one_apart(&self, plan: &RoutePlan, link: &Link, name: &str) -> Result<bool, Trouble> {
        let parent = if plan.kind() == RouteKind::Child {
            let of = |side: Side| {
                let id = link.side(side).parent.clone()?;
                self.links.by_id(plan.parent_route()?, plan.parent_side(side)?, &id)
            };
            Side::BOTH.into_iter().find_map(of)
        } else {
            plan.parent_link_of(name)
        };
        let Some(parent) = parent else { return Ok(false) };
        Ok(self.links.get(&parent).await?.is_some_and(|found| found.value.apart.is_some()))
    }

    /// What the records that stand below a new record already say of it, by the routes that look at them: it gets that
    /// when it is made, and no second write.
    async fn given_to_new(
        &self,
        plan: &RoutePlan,
        link: &Link,
        name: &str,
        dry_run: Option<RunId>,
    ) -> Result<Given, Trouble> {
        let mut given = Given::new();
        if plan.kind() != RouteKind::Mirror {
            return Ok(given);
        }
        for side in Side::BOTH.into_iter().filter(|side| creates(plan, link, *side)) {
            let of_new = |below: &&RoutePlan| {
                below.kind() == RouteKind::Latest
                    && below.parent_route() == Some(plan.name())
                    && below.parent_side(Side::Left) == Some(side)
            };
            for below in self.plans.iter().filter(of_new) {
                let name = below.name_below(name);
                let rehearsed = dry_run.and_then(|run| self.rehearsed(run, &name));
                let known = match rehearsed {
                    Some(link) => Some(link),
                    None if self.links.has(&name) => self.links.get(&name).await?.map(|found| found.value),
                    None => None,
                };
                given
                    .entry(side)
                    .or_default()
                    .extend(known.iter().flat_map(|link| latest::says(below, link)));
            }
        }
        Ok(given)
    }

    /// The link of the parent route that has the record on the left, and that route.
    pub(crate) async fn parent_of_holder(
        &self,
        plan: &RoutePlan,
        link: &Link,
        dry_run: Option<RunId>,
    ) -> Result<Option<(&RoutePlan, String, Link)>, Trouble> {
        let (Some(route), Some(side), Some(id)) =
            (plan.parent_route(), plan.parent_side(Side::Left), link.left.id.clone())
        else {
            return Ok(None);
        };
        let Some(of_parent) = self.plan(route) else { return Ok(None) };
        let parent = self.parent_link(&ParentRef::Id(route.clone(), side, id), dry_run).await?;
        Ok(parent.map(|(name, parent)| (of_parent, name, parent)))
    }

    /// Whether a pair is about to change.
    async fn is_in_motion(
        &self,
        plan: &RoutePlan,
        name: &str,
        link: &Link,
        dry_run: Option<RunId>,
    ) -> Result<bool, Trouble> {
        if link.is_under_way() || link.awaits_listing.is_some() || link.due {
            return Ok(true);
        }
        Ok(!self.decide(plan, &mut link.clone(), name, dry_run).await?.pushes.is_empty())
    }

    /// What the partner, in the parent route, of the record on the left shows.
    async fn partner_shows(
        &self,
        plan: &RoutePlan,
        of_parent: &RoutePlan,
        parent: &Link,
    ) -> Result<Fields, Trouble> {
        let Some(side) = plan.parent_side(Side::Left).map(Side::other) else { return Ok(Fields::new()) };
        let partner = parent.side(side);
        let mut fields = partner.base.clone();
        fields.extend(partner.drift.clone());
        // What is on its way there counts: another route may have it from the very change that is the event.
        if let Some(id) = &partner.id {
            let (system, collection) = (of_parent.system(side), of_parent.collection_name(side));
            for outstanding in self.under_way_to("", system, collection, id).await? {
                fields.extend(outstanding.push.set);
            }
        }
        Ok(fields)
    }

    /// The link of the parent route to which a record belongs.
    pub(crate) async fn parent_link(
        &self,
        parent: &ParentRef,
        dry_run: Option<RunId>,
    ) -> Result<Option<(String, Link)>, Trouble> {
        if let Some(found) = dry_run.and_then(|run| self.rehearsed_parent(run, parent)) {
            return Ok(Some(found));
        }
        let Some(name) = self.links.by_parent(parent) else { return Ok(None) };
        Ok(self.links.get(&name).await?.map(|found| (name, found.value)))
    }
}

//! What comes before a decision, and before a new record is made: complete listings, a parent, another route's push.

use databridge_config::{RouteKind, Side};
use databridge_model::{Mode, Op, RunId};

use super::{Engine, Trouble};
use crate::decide::{Decision, Wanted};
use crate::event::{self, Standing};
use crate::link::Link;
use crate::making::Turn;
use crate::plan::{ParentRef, RoutePlan};
use crate::runs::Run;
use crate::twins;

/// Whether a record may be made now, and below which.
pub(super) enum Gate {
    /// It may, below the parent of this id where it has one.
    Open(Option<String>),
    /// The complete listing of this side's collection comes first.
    Listing(Side),
    /// Its parent comes first.
    Parent(ParentRef),
}

impl Engine {
    /// The parent of a new record on this side may have come between the look at it and the wait for it.
    pub(crate) async fn look_for_parent(
        &self,
        plan: &RoutePlan,
        name: &str,
        side: Side,
        run_id: Option<RunId>,
    ) -> Result<(), Trouble> {
        let Some(found) = self.links.get(name).await? else { return Ok(()) };
        let mut link = found.value;
        let run = run_id.and_then(|id| self.runs.get(id));
        if link.awaits_parent.is_none()
            || matches!(self.gate(plan, &link, side, run.as_ref()).await?, Gate::Parent(_))
        {
            return Ok(());
        }
        link.awaits_parent = None;
        self.decide_and_save(plan, name, link, Some(found.revision), run_id).await
    }

    /// Other routes may look at the same records: what they have under way is waited for, and what they have learned or
    /// made meanwhile is taken in before anything is pushed.
    pub(super) async fn give_way(
        &self,
        plan: &RoutePlan,
        name: &str,
        link: &mut Link,
        decision: &mut Decision,
        run_id: Option<RunId>,
    ) -> Result<(), Trouble> {
        let goes_to_holder = |wanted: &Wanted| wanted.side == Side::Left && plan.kind() == RouteKind::Latest;
        if let Some(wanted) = decision.pushes.iter().find(|wanted| goes_to_holder(wanted)) {
            // In this order: a push that is not under way any more has told the parent's link what came of it.
            if self.is_busy(plan, name, link, wanted).await? {
                decision.pushes.retain(|wanted| !goes_to_holder(wanted));
                link.due = true;
            } else if self.learn_from_parent(plan, link).await? {
                *decision = self.decide(plan, link, name, None).await?;
            }
        }
        let makes = |wanted: &Wanted| wanted.side == Side::Right && wanted.op == Op::Create;
        let run = run_id.and_then(|id| self.runs.get(id));
        if !self.makes_with_others(plan)
            || !decision.pushes.iter().any(makes)
            || !matches!(self.gate(plan, link, Side::Right, run.as_ref()).await?, Gate::Open(_))
        {
            return Ok(());
        }
        match self.take_turn(plan, name, link).await? {
            Turn::Ours => {}
            Turn::Learned => *decision = self.decide(plan, link, name, None).await?,
            Turn::Wait => {
                decision.pushes.retain(|wanted| !makes(wanted));
                link.due = true;
                self.want_reread(plan, Side::Right, run_id, link.to_reread(Side::Right));
            }
        }
        Ok(())
    }

    /// Whether another route has a push under way to the same record, which would change what this one goes by. Its
    /// outcome gives this one its turn.
    pub(super) async fn is_busy(
        &self,
        plan: &RoutePlan,
        name: &str,
        link: &Link,
        wanted: &Wanted,
    ) -> Result<bool, Trouble> {
        let Some(id) = link.side(wanted.side).id.as_ref().filter(|_| wanted.op != Op::Create) else {
            return Ok(false);
        };
        let (system, collection) = (plan.system(wanted.side), plan.collection_name(wanted.side));
        Ok(!self.under_way_to(name, system, collection, id).await?.is_empty())
    }

    /// The side whose complete listing comes before anything is decided: of an event, for the rows that are there must
    /// be known; of several records, while a listing is under way, for which of them stands for all is not known; and
    /// of a pair that has never agreed, for there may be two records of the key.
    pub(super) fn must_be_listed(&self, plan: &RoutePlan, link: &Link, run: Option<&Run>) -> Option<Side> {
        let is_being_listed = |side: &Side| {
            run.is_some_and(|run| {
                !run.listings_decided && run.asks_whole(plan.system(*side), plan.collection_name(*side))
            })
        };
        match plan.kind() {
            RouteKind::Event => {
                let is_quiet = event::standing(plan, link) == Standing::Quiet;
                (!is_quiet && !self.is_known_whole(plan, Side::Right, run)).then_some(Side::Right)
            }
            RouteKind::Latest => Some(Side::Right).filter(is_being_listed),
            RouteKind::Mirror | RouteKind::Child => {
                let is_pair = link.left.is_there() && link.right.is_there();
                let never_agreed = link.left.base.is_empty() || link.right.base.is_empty();
                Side::BOTH.into_iter().find(is_being_listed).filter(|_| is_pair && never_agreed)
            }
        }
    }

    /// Whether all records of a side are known, by this run's complete listing or an earlier one.
    fn is_known_whole(&self, plan: &RoutePlan, side: Side, run: Option<&Run>) -> bool {
        let (system, collection) = (plan.system(side), plan.collection_name(side));
        let now = run.is_some_and(|run| run.listings_decided && run.has_whole(system, collection));
        now || self.runs.last_whole(system, collection).is_some()
    }

    /// Whether a record may be made now. Where complete listings are at hand or asked for, it waits for them; an
    /// incremental run lets the bridge look the key up, or, of records without a match key, waits for the first
    /// complete listing. A record below another waits for that one.
    pub(super) async fn gate(
        &self,
        plan: &RoutePlan,
        link: &Link,
        side: Side,
        run: Option<&Run>,
    ) -> Result<Gate, Trouble> {
        let lists = run.is_some_and(|run| {
            run.request.mode != Mode::Incremental
                || run.asks_whole(plan.system(side), plan.collection_name(side))
        });
        if lists && run.is_some_and(|run| !run.listings_decided) {
            return Ok(Gate::Listing(side));
        }
        if plan.kind().has_several() && !self.is_known_whole(plan, side, run) {
            return Ok(Gate::Listing(side));
        }
        let Some(reference) = parent_of_new(plan, link, side) else { return Ok(Gate::Open(None)) };
        let Some(parent) = self.parent_link(&reference, None).await?.map(|(_, parent)| parent) else {
            return Ok(Gate::Parent(reference));
        };
        // A link is found by the ids of rivals, too.
        let is_its_own =
            matches!(&reference, ParentRef::Id(_, of, id) if parent.side(*of).id.as_ref() == Some(id));
        let Some(id) = twins::parent_id(plan, &parent, side).filter(|_| is_its_own) else {
            return Ok(Gate::Parent(reference));
        };
        if self.may_have_new_ids(plan, &parent, side.other(), run) {
            return Ok(Gate::Listing(side.other()));
        }
        Ok(Gate::Open(Some(id)))
    }
}

/// A test may hold a link between its look at the parent and its wait for it.
pub(super) fn is_held_before_it_waits() -> bool {
    fail::fail_point!("reconciler.before-awaits-parent", |_| true);
    false
}

/// What a link says of the parent below which its new record on this side belongs.
pub(crate) fn parent_of_new(plan: &RoutePlan, link: &Link, side: Side) -> Option<ParentRef> {
    let other = side.other();
    let (route, source_side) = (plan.parent_route()?, plan.parent_side(other)?);
    plan.parent_side(side)?;
    let source = link.side(other);
    let id = if plan.kind() == RouteKind::Child { source.parent.clone() } else { source.id.clone() };
    Some(ParentRef::Id(route.clone(), source_side, id?))
}

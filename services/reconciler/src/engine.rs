//! What the handlers share: deciding a link, sending its pushes, telling its run.

mod asking;
mod gate;
mod rehearsal;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use databridge_broker::{Broker, BucketError, Envelope, PublishError, ReadError};
use databridge_config::{ConfigFolder, RouteKind, Side};
use databridge_model::subject;
use databridge_model::{
    CollectionName, ConflictRecord, Fields, Key, Name, Op, Parked, PushId, PushRequest, RunId, Source,
    SystemName, Target,
};

use self::asking::Rereads;
pub(crate) use self::gate::parent_of_new;
use self::gate::{Gate, is_held_before_it_waits};
pub(crate) use self::rehearsal::Early;
use self::rehearsal::Rehearsals;
use crate::conflicts::{self, Conflicts};
use crate::decide::{Decision, Given, Wanted, creates, decide_with};
use crate::event::{self, Standing};
use crate::latest;
use crate::link::{Link, Outstanding, Purpose};
use crate::links::Links;
use crate::others::learn_of_parent;
use crate::plan::{ParentRef, RoutePlan};
use crate::runs::{Count, Run, Runs};
use crate::spent::{self, SpentRequests};
use crate::waiting::Waiting;

/// Something could not be done at the moment; the message comes again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A link or run could not be read or written.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A message could not be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A stream could not be looked through.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Trouble {
    /// Another process changed the link meanwhile: it is to be done again from the start.
    pub(crate) fn is_moved(&self) -> bool {
        matches!(self, Self::Bucket(BucketError::Moved(_)))
    }
}

/// The reconciler's state and means.
#[derive(Debug)]
pub(crate) struct Engine {
    /// The connection.
    pub(crate) broker: Broker,
    /// The routes.
    pub(crate) plans: Vec<RoutePlan>,
    /// The collections of each system, as its file declares them.
    pub(crate) systems: BTreeMap<SystemName, Vec<CollectionName>>,
    /// The links.
    pub(crate) links: Links,
    /// The records of conflicts.
    pub(crate) conflicts: Conflicts,
    /// The runs.
    pub(crate) runs: Runs,
    /// Reads whose parent is in no link yet.
    pub(crate) waiting: Waiting,
    /// The requests that are dealt with.
    pub(crate) spent: SpentRequests,
    /// Records to be read again by id, asked for many at a time.
    rereads: Mutex<Rereads>,
    rehearsals: Mutex<Rehearsals>,
}

impl Engine {
    /// Opens links and runs.
    pub(crate) async fn open(broker: Broker, config: &ConfigFolder) -> Result<Arc<Self>, BucketError> {
        let systems = config
            .systems
            .iter()
            .map(|(name, system)| (name.clone(), system.collections.keys().cloned().collect()))
            .collect();
        Ok(Arc::new(Self {
            plans: RoutePlan::all(config),
            systems,
            links: Links::open(&broker).await?,
            conflicts: Conflicts::open(&broker).await?,
            runs: Runs::open(&broker).await?,
            waiting: Waiting::open(&broker).await?,
            spent: SpentRequests::default(),
            rereads: Mutex::default(),
            rehearsals: Mutex::default(),
            broker,
        }))
    }

    /// Whose turn is first where several links are decided at once: parents, then those that have whole values, then
    /// those that have a part of them.
    pub(crate) fn turn_of(&self, link_name: &str) -> (bool, bool) {
        let route = link_name.split_once('.').map_or(link_name, |(route, _)| route);
        let plan = self.plans.iter().find(|plan| plan.name().as_str() == route);
        plan.map_or((true, true), |plan| (plan.kind() != RouteKind::Mirror, !plan.carries_whole_values()))
    }

    /// The plan of a route.
    pub(crate) fn plan(&self, route: &Name) -> Option<&RoutePlan> {
        self.plans.iter().find(|plan| plan.name() == route)
    }

    /// Decides a link that was read under its lock, writes it, and sends what came of it.
    pub(crate) async fn decide_and_save(
        &self,
        plan: &RoutePlan,
        name: &str,
        mut link: Link,
        revision: Option<u64>,
        run_id: Option<RunId>,
    ) -> Result<(), Trouble> {
        let run = run_id.and_then(|id| self.runs.get(id));
        self.conflicts.keep(name, &link).await?;
        link.untold.clear();
        link.due = false;
        let mut listings_wanted = Vec::new();
        let mut decision = if let Some(side) = self.must_be_listed(plan, &link, run.as_ref()) {
            listings_wanted.push(side);
            link.awaits_listing = run_id;
            link.due = run_id.is_none();
            Decision::default()
        } else {
            self.decide(plan, &mut link, name, None).await?
        };
        self.give_way(plan, name, &mut link, &mut decision, run_id).await?;
        let (mut to_send, mut waits_on) = (Vec::new(), None);
        for wanted in std::mem::take(&mut decision.pushes) {
            let mut parent = None;
            if self.is_busy(plan, name, &link, &wanted).await? {
                link.due = true;
                continue;
            }
            if wanted.op == Op::Create {
                match self.gate(plan, &link, wanted.side, run.as_ref()).await? {
                    Gate::Open(id) => {
                        (link.awaits_listing, link.awaits_parent) = (None, None);
                        parent = id;
                    }
                    Gate::Listing(side) => {
                        link.awaits_listing = run_id;
                        link.due |= run_id.is_none();
                        listings_wanted.push(side);
                        continue;
                    }
                    Gate::Parent(reference) => {
                        while is_held_before_it_waits() {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        link.awaits_parent = Some(reference);
                        waits_on = Some(wanted.side);
                        continue;
                    }
                }
            }
            link.counter += 1;
            let mut push = push_of(plan, name, &link, &wanted, run_id, run.as_ref());
            push.parent = parent;
            let outstanding = Outstanding {
                push,
                bulk: run.as_ref().is_some_and(Run::is_bulk),
                from: wanted.from,
                conflicts: wanted.conflicts,
                purpose: wanted.purpose,
            };
            to_send.push((wanted.side, outstanding.clone()));
            link.side_mut(wanted.side).outstanding = Some(outstanding);
        }
        conflicts::number(&mut link, &decision.conflicts, run_id);
        self.links.save(name, &link, revision).await?;
        fail::fail_point!("reconciler.after-link");
        // Before anything is overwritten.
        self.conflicts.keep(name, &link).await?;
        fail::fail_point!("reconciler.after-conflicts");
        for side in listings_wanted {
            if let Some(run_id) = run_id {
                self.ask_for_listing(run_id, plan.system(side), plan.collection_name(side)).await?;
            }
        }
        for (side, outstanding) in to_send {
            self.send(plan, side, &link.key, &outstanding).await?;
            fail::fail_point!("reconciler.after-push");
            self.runs.count(run_id, Count::Push);
        }
        self.tell(plan, &link, decision, run_id).await?;
        match waits_on {
            Some(side) => Box::pin(self.look_for_parent(plan, name, side, run_id)).await,
            None => Ok(()),
        }
    }

    /// What must be pushed so that the link's sides agree, with what its kind looks at beside the link.
    pub(crate) async fn decide(
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

    /// Sends a push. Sent twice it is done once: its id is the message's, and the bridge remembers it.
    pub(crate) async fn send(
        &self,
        plan: &RoutePlan,
        side: Side,
        key: &Key,
        outstanding: &Outstanding,
    ) -> Result<(), Trouble> {
        let subject =
            subject::push(outstanding.lane(), plan.system(side), plan.collection_name(side), &key.token());
        let id = outstanding.push.push.as_ref().map(ToString::to_string).unwrap_or_default();
        let envelope = Envelope::of_run(outstanding.push.run).with_id(format!("push-{id}"));
        self.broker.publish(subject, &outstanding.push, &envelope).await?;
        Ok(())
    }

    /// Tells of something that waits for a person.
    pub(crate) async fn tell_parked(&self, run: Option<RunId>, parked: &Parked) -> Result<(), Trouble> {
        tracing::warn!(
            system = %parked.system,
            key = parked.key.as_ref().map(Key::as_str),
            field = parked.field,
            reason = parked.reason,
            "Something waits for a person."
        );
        self.runs.count(run, Count::Parked);
        match run {
            Some(run) => self.publish_event(run, "parked", parked).await,
            None => Ok(()),
        }
    }

    /// Whether a run is still to be opened: its messages have overtaken its request, as after a crash, and must wait.
    pub(crate) async fn is_to_be_opened(&self, run: RunId) -> Result<bool, Trouble> {
        Ok(!self.runs.is_known(run).await? && spent::holds(&self.broker, run.0).await?)
    }

    /// Publishes `run.<id>.<event>`.
    pub(crate) async fn publish_event<T: serde::Serialize>(
        &self,
        run: RunId,
        event: &str,
        body: &T,
    ) -> Result<(), Trouble> {
        self.broker.publish(subject::run(run, event), body, &Envelope::of_run(Some(run))).await?;
        Ok(())
    }

    async fn tell(
        &self,
        plan: &RoutePlan,
        link: &Link,
        decision: Decision,
        run: Option<RunId>,
    ) -> Result<(), Trouble> {
        for ConflictRecord { conflict, .. } in decision.conflicts {
            tracing::warn!(
                link = conflict.link,
                field = conflict.field,
                won = %conflict.won,
                "Both sides changed one field; the loser is kept."
            );
            self.runs.count(run, Count::Conflict);
            if let Some(run) = run {
                self.publish_event(run, "conflict", &conflict).await?;
            }
        }
        for (side, field, reason) in decision.parked {
            let parked = Parked {
                system: plan.system(side).clone(),
                collection: plan.collection_name(side).clone(),
                id: link.side(side).id.clone(),
                key: Some(link.key.clone()),
                field: Some(field),
                reason,
            };
            self.tell_parked(run, &parked).await?;
        }
        Ok(())
    }
}

/// The record from whose change a push comes.
fn source_of(plan: &RoutePlan, link: &Link, side: Side) -> Option<Source> {
    Some(Source {
        system: plan.system(side).clone(),
        collection: plan.collection_name(side).clone(),
        id: link.side(side).id.clone()?,
    })
}

fn push_of(
    plan: &RoutePlan,
    name: &str,
    link: &Link,
    wanted: &Wanted,
    run_id: Option<RunId>,
    run: Option<&Run>,
) -> PushRequest {
    let state = link.side(wanted.side);
    let listed = run.is_some_and(|run| {
        run.listings_decided && run.has_whole(plan.system(wanted.side), plan.collection_name(wanted.side))
    });
    let other = plan.system(wanted.side.other());
    let why = match wanted.op {
        Op::Create => format!("{other} has {} and {} has not", link.key, plan.system(wanted.side)),
        Op::Delete => format!("it is not in {other} any more"),
        Op::Update if wanted.purpose == Purpose::Gone => format!("it is gone from {other}, or back there"),
        Op::Update if wanted.conflicts.is_empty() => format!("changed in {other}"),
        Op::Update => format!("changed on both sides; {other} wins"),
    };
    PushRequest {
        push: Some(PushId { link: name.to_owned(), counter: link.counter }),
        op: wanted.op,
        target: state
            .id
            .clone()
            .filter(|_| wanted.op != Op::Create)
            .map(|id| Target { id, handle: state.handle.clone() }),
        parent: None,
        source: source_of(plan, link, wanted.side.other()),
        set: wanted.set.clone(),
        expect: wanted.expect.clone(),
        absent_in: run_id.filter(|_| wanted.op == Op::Create && listed),
        run: run_id,
        why,
    }
}

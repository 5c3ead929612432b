//! What the handlers share: deciding a link, sending its pushes, telling its run.

mod asking;
mod deciding;
mod gate;
mod rehearsal;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use databridge_broker::{Broker, BucketError, Envelope, PublishError, ReadError};
use databridge_config::{ConfigFolder, RouteKind, Side};
use databridge_model::subject;
use databridge_model::{
    CollectionName, ConflictRecord, Key, Name, Op, Parked, PushId, PushRequest, RunId, Source, SystemName,
    Target,
};

use self::asking::Rereads;
pub(crate) use self::gate::parent_of_new;
use self::gate::{Gate, is_held_before_it_waits};
pub(crate) use self::rehearsal::Early;
use self::rehearsal::Rehearsals;
use crate::conflicts::{self, Conflicts};
use crate::decide::{Decision, Wanted};
use crate::link::{Link, Outstanding, Purpose};
use crate::links::Links;
use crate::plan::RoutePlan;
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

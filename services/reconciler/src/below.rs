//! Records that hang on a link of the parent route: the parents themselves, as routes of several records look at them,
//! and the records below them.

use std::collections::HashMap;

use databridge_config::{RouteKind, Side};
use databridge_model::{PullResult, RunId, Value};

use crate::engine::{Early, Engine, Trouble, parent_of_new};
use crate::event;
use crate::latest;
use crate::link::{Link, SideState};
use crate::links::Open;
use crate::plan::{ParentRef, RoutePlan};
use crate::read::{Worth, take_in};
use crate::waiting::Waiter;

/// The links of parent routes that the routes of one read look at.
pub(crate) type ParentsOfRead = HashMap<ParentRef, Option<(String, Link)>>;

impl Engine {
    /// Decides a read of a record that the parent route joins itself: the left side of this one.
    pub(crate) async fn decide_holder(
        &self,
        plan: &RoutePlan,
        read: &PullResult,
        sequence: u64,
        dry_run: Option<RunId>,
        parents: &mut ParentsOfRead,
    ) -> Result<(), Trouble> {
        let Some(parent) = plan.parent_of(Side::Left, read) else { return Ok(()) };
        let found = match parents.get(&parent) {
            Some(found) => found.clone(),
            None => {
                let found = self.parent_link(&parent, dry_run).await?;
                parents.insert(parent, found.clone());
                found
            }
        };
        let Some((parent_name, parent)) = found else { return Ok(()) };
        let is_its_own =
            plan.parent_side(Side::Left).is_some_and(|side| parent.side(side).id.as_ref() == Some(&read.id));
        if parent.is_doubled() || !is_its_own {
            return Ok(());
        }
        let name = plan.name_below(&parent_name);
        let from = From { read, sequence, dry_run };
        loop {
            match Box::pin(self.decide_holder_of(plan, &name, &parent, from)).await {
                Err(error) if error.is_moved() => {}
                other => return other,
            }
        }
    }

    async fn decide_holder_of(
        &self,
        plan: &RoutePlan,
        name: &str,
        parent: &Link,
        from: From<'_>,
    ) -> Result<(), Trouble> {
        let read = from.read;
        let _lock = self.links.lock(name).await;
        let (mut link, revision) = self.link_below(plan, name, parent, from.dry_run).await?;
        let before = link.clone();
        if read.deleted {
            link.left.gone = true;
            let changed = link != before && revision.is_some() && from.dry_run.is_none();
            return if changed { Ok(self.links.save(name, &link, revision).await?) } else { Ok(()) };
        }
        if revision.is_none() {
            event::begin(plan, &mut link, parent);
            // A read from before the last push to the record is as stale here as in its parent's link.
            link.left.last_outcome =
                plan.parent_side(Side::Left).and_then(|side| parent.side(side).last_outcome);
        } else if link.left.id.as_ref() != Some(&read.id) {
            // The parent route has another record in its place.
            (link.left.revision, link.left.pulled, link.left.last_outcome) = (None, None, None);
        }
        let mut worth = take_in(plan, &mut link, Side::Left, read, from.sequence);
        if from.dry_run.is_some() && worth == Worth::ReadAgain {
            link.left.reread = true;
            worth = take_in(plan, &mut link, Side::Left, read, from.sequence);
        }
        let says_nothing = plan.kind() == RouteKind::Latest
            && revision.is_none()
            && link.children.is_empty()
            && link.left.drift.values().all(Value::is_null);
        if says_nothing && worth == Worth::Taken {
            return Ok(());
        }
        Box::pin(self.after_read(plan, Side::Left, from, name, Weighed { worth, before, link, revision }))
            .await
    }

    /// Decides a read of one of the records on the right.
    pub(crate) async fn decide_row(
        &self,
        plan: &RoutePlan,
        read: &PullResult,
        sequence: u64,
        dry_run: Option<RunId>,
    ) -> Result<(), Trouble> {
        let known = self.links.by_id(plan.name(), Side::Right, &read.id);
        let parent = plan.parent_of(Side::Right, read);
        let found = match &parent {
            Some(parent) => self.parent_link(parent, dry_run).await?,
            None => None,
        };
        let name = found.as_ref().map(|(parent, _)| plan.name_below(parent));
        if let Some(known) = known.filter(|known| name.as_ref() != Some(known)) {
            // It is gone, or stands below another parent now.
            let gone = PullResult { deleted: true, ..read.clone() };
            self.decide_row_below(plan, &known, None, From { read: &gone, sequence, dry_run }).await?;
        }
        match (found, name, parent) {
            (Some((_, parent)), Some(name), _) => {
                if parent.is_doubled() {
                    return Ok(());
                }
                self.decide_row_below(plan, &name, Some(&parent), From { read, sequence, dry_run }).await
            }
            (_, _, Some(parent)) if !read.deleted && dry_run.is_none() => {
                let waiter = Waiter {
                    route: plan.name().clone(),
                    parent: parent.clone(),
                    read: read.clone(),
                    sequence,
                };
                self.waiting.add(&waiter).await?;
                // The parent may have come between the look and the wait.
                match self.links.by_parent(&parent) {
                    Some(_) => self.release_waiting(&parent).await,
                    None => Ok(()),
                }
            }
            (_, _, Some(_)) if !read.deleted => {
                if let Some(run) = dry_run {
                    let (route, read) = (plan.name().clone(), read.clone());
                    self.keep_early(run, Early { route, read, sequence });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn decide_row_below(
        &self,
        plan: &RoutePlan,
        name: &str,
        parent: Option<&Link>,
        from: From<'_>,
    ) -> Result<(), Trouble> {
        loop {
            match Box::pin(self.decide_row_of(plan, name, parent, from)).await {
                Err(error) if error.is_moved() => {}
                other => return other,
            }
        }
    }

    async fn decide_row_of(
        &self,
        plan: &RoutePlan,
        name: &str,
        parent: Option<&Link>,
        from: From<'_>,
    ) -> Result<(), Trouble> {
        let _lock = self.links.lock(name).await;
        let (mut link, revision) = match parent {
            Some(parent) => {
                let (mut link, revision) = self.link_below(plan, name, parent, from.dry_run).await?;
                if link.left.id.is_none() {
                    know_holder(plan, &mut link, parent);
                }
                (link, revision)
            }
            None => match self.links.get(name).await? {
                Some(found) => {
                    let rehearsed = from.dry_run.and_then(|run| self.rehearsed(run, name));
                    (rehearsed.unwrap_or(found.value), Some(found.revision))
                }
                None => return Ok(()),
            },
        };
        let before = link.clone();
        let now = self.broker.clock().now();
        let take_in = |link: &mut Link| match plan.kind() {
            RouteKind::Event => event::take_in_row(plan, link, from.read, from.sequence),
            _ => latest::take_in_child(plan, link, from.read, from.sequence, now),
        };
        let mut worth = take_in(&mut link);
        if from.dry_run.is_some()
            && worth == Worth::ReadAgain
            && let Some(child) = link.children.get_mut(&from.read.id)
        {
            // Nothing is written by it, so it may be believed.
            child.reread = true;
            worth = take_in(&mut link);
        }
        Box::pin(self.after_read(plan, Side::Right, from, name, Weighed { worth, before, link, revision }))
            .await
    }

    /// The link of this name, or a new one with the key of its parent.
    async fn link_below(
        &self,
        plan: &RoutePlan,
        name: &str,
        parent: &Link,
        dry_run: Option<RunId>,
    ) -> Result<(Link, Option<u64>), Trouble> {
        let (mut link, revision) = match self.links.get(name).await? {
            Some(found) => (found.value, Some(found.revision)),
            None => (Link::new(plan.name().clone(), parent.key.clone()), None),
        };
        if let Some(rehearsed) = dry_run.and_then(|run| self.rehearsed(run, name)) {
            link = rehearsed;
        }
        link.key = parent.key.clone();
        Ok((link, revision))
    }

    /// Goes on after a read was weighed.
    async fn after_read(
        &self,
        plan: &RoutePlan,
        side: Side,
        from: From<'_>,
        name: &str,
        weighed: Weighed,
    ) -> Result<(), Trouble> {
        let Weighed { worth, before, mut link, revision } = weighed;
        let read = from.read;
        if let Some(run) = from.dry_run {
            return self.rehearse(plan, name, link, run).await;
        }
        match worth {
            Worth::Nothing => {
                // A crash may have come between the link and its pushes: they are sent again, which is safe.
                self.send_again(plan, &before).await?;
                let mut probe = before.clone();
                let decision = self.decide(plan, &mut probe, name, None).await?;
                if before.due || probe != before || !decision.pushes.is_empty() {
                    return self.decide_and_save(plan, name, before, revision, read.run).await;
                }
                Ok(())
            }
            Worth::ReadAgain => {
                match link.children.get_mut(&read.id).filter(|_| side == Side::Right) {
                    Some(child) => child.reread = true,
                    None if side == Side::Left => link.left.reread = true,
                    None => {}
                }
                self.links.save(name, &link, revision).await?;
                if link.side(side).outstanding.is_none() {
                    self.want_reread(plan, side, read.run, [read.id.clone()]);
                }
                Ok(())
            }
            Worth::Taken => {
                let again = link.to_reread(Side::Right);
                if !again.is_empty() && link.right.outstanding.is_none() {
                    self.want_reread(plan, Side::Right, read.run, again);
                }
                if link == before && !link.due {
                    return Ok(());
                }
                self.decide_and_save(plan, name, link, revision, read.run).await
            }
        }
    }

    /// Sends what is under way once more.
    pub(crate) async fn send_again(&self, plan: &RoutePlan, link: &Link) -> Result<(), Trouble> {
        for side in Side::BOTH {
            if let Some(outstanding) = &link.side(side).outstanding {
                self.send(plan, side, &link.key, outstanding).await?;
            }
        }
        Ok(())
    }

    /// What waited for this link of a parent route has its turn, as far as it now can.
    pub(crate) async fn release_below(&self, link_name: &str, run: Option<RunId>) -> Result<(), Trouble> {
        if self.waiting.is_empty() && !self.links.any_open(Open::Parent) {
            return Ok(());
        }
        let Some(found) = self.links.get(link_name).await? else { return Ok(()) };
        let link = found.value;
        let by_id = Side::BOTH.into_iter().filter_map(|side| {
            let id = link.side(side).id.clone()?;
            Some((ParentRef::Id(link.route.clone(), side, id), link.side(side.other()).is_there()))
        });
        let by_key = (ParentRef::Key(link.route.clone(), link.key.clone()), false);
        for (parent, has_partner) in by_id.chain([by_key]) {
            self.release_waiting(&parent).await?;
            if has_partner {
                self.release_awaiting(&parent, run).await?;
            }
        }
        Ok(())
    }

    /// Decides, as a part of this run, what still waits for parents that are there: a crash may have come between a
    /// parent's outcome and what it releases.
    pub(crate) async fn release_late(&self, run: RunId) -> Result<(), Trouble> {
        for link in self.links.open_ones(|why| why == Open::Parent) {
            let Some(name) = self.links.name(link) else { continue };
            Box::pin(self.release_if_there(&name, run)).await?;
        }
        for parent in self.waiting.parents() {
            if self.links.by_parent(&parent).is_some() {
                self.release_waiting(&parent).await?;
            }
        }
        Ok(())
    }

    async fn release_if_there(&self, name: &str, run: RunId) -> Result<(), Trouble> {
        let _lock = self.links.lock(name).await;
        let Some(found) = self.links.get(name).await? else { return Ok(()) };
        let Some(plan) = self.plan(&found.value.route) else { return Ok(()) };
        let awaited = found.value.awaits_parent.as_ref();
        let waits =
            |side: &Side| awaited.is_some() && parent_of_new(plan, &found.value, *side).as_ref() == awaited;
        match Side::BOTH.into_iter().find(waits) {
            Some(side) => self.look_for_parent(plan, name, side, Some(run)).await,
            None => Ok(()),
        }
    }

    async fn release_waiting(&self, parent: &ParentRef) -> Result<(), Trouble> {
        for (name, revision, waiter) in self.waiting.of(parent).await? {
            if let Some(plan) = self.plan(&waiter.route) {
                Box::pin(self.decide_row(plan, &waiter.read, waiter.sequence, None)).await?;
            }
            self.waiting.done(parent, &name, revision).await?;
        }
        Ok(())
    }

    async fn release_awaiting(&self, parent: &ParentRef, run: Option<RunId>) -> Result<(), Trouble> {
        for name in self.links.awaiting(parent) {
            loop {
                match Box::pin(self.release_link(&name, run)).await {
                    Err(error) if error.is_moved() => {}
                    other => break other?,
                }
            }
        }
        Ok(())
    }

    async fn release_link(&self, name: &str, run: Option<RunId>) -> Result<(), Trouble> {
        let _lock = self.links.lock(name).await;
        let Some(found) = self.links.get(name).await? else { return Ok(()) };
        let mut link = found.value;
        let Some(plan) = self.plan(&link.route) else { return Ok(()) };
        if link.awaits_parent.take().is_none() {
            return self.send_again(plan, &link).await;
        }
        self.decide_and_save(plan, name, link, Some(found.revision), run).await
    }
}

/// A link that was not needed until now learns of its left side what the parent's link knows.
fn know_holder(plan: &RoutePlan, link: &mut Link, parent: &Link) {
    let Some(known) = plan.parent_side(Side::Left).map(|side| parent.side(side)) else { return };
    let shown = known.base.iter().chain(&known.drift);
    let shown = shown.map(|(name, value)| (name.clone(), value.clone())).collect();
    link.left = SideState {
        id: known.id.clone(),
        parent: known.parent.clone(),
        handle: known.handle.clone(),
        revision: known.revision,
        last_outcome: known.last_outcome,
        gone: known.gone,
        drift: plan.routed(Side::Left, &shown),
        ..SideState::default()
    };
}

/// A read that is decided.
#[derive(Clone, Copy)]
struct From<'a> {
    read: &'a PullResult,
    /// Its sequence in PULL.
    sequence: u64,
    /// The dry run that it is part of.
    dry_run: Option<RunId>,
}

/// A read that was weighed, and what the link was before and is after.
struct Weighed {
    worth: Worth,
    before: Link,
    link: Link,
    revision: Option<u64>,
}

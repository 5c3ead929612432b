//! Deciding pull results.

use std::sync::Arc;
use std::time::Duration;

use databridge_broker::{BucketError, Handler, Job, Verdict};
use databridge_config::{RouteKind, Side};
use databridge_model::{Key, Mode, Parked, PullResult, RunId};

use crate::below::ParentsOfRead;
use crate::engine::{Engine, Trouble};
use crate::gone;
use crate::link::{Link, SideState};
use crate::plan::RoutePlan;
use crate::read::{Worth, take_in};
use crate::rivals::{doubles, is_still_double};
use crate::runs::Count;

/// Deals with `pull.>`.
#[derive(Debug)]
pub(crate) struct Pulls(pub(crate) Arc<Engine>);

impl Handler for Pulls {
    fn stage(&self) -> &'static str {
        "pull"
    }

    fn lane(&self, job: &Job) -> String {
        // The key: both sides of a link have it in their subjects.
        job.subject().rsplit('.').next().unwrap_or_default().to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        let read: PullResult = match job.read("a pull result") {
            Ok(read) => read,
            Err(error) => return Verdict::Dead(error.to_string()),
        };
        match self.may_be_decided(&read).await {
            Ok(true) => {}
            Ok(false) => return Verdict::Later(RUN_OPENS),
            Err(error) => return Verdict::Retry(error.to_string()),
        }
        match self.decide(&read, job.sequence()).await {
            Ok(()) => Verdict::Done,
            Err(error) => Verdict::Retry(error.to_string()),
        }
    }

    async fn rested(&self) {
        self.0.ask_for_rereads().await;
        self.0.runs.moved.notify_one();
    }
}

/// A message that has overtaken its run's request waits so long.
pub(crate) const RUN_OPENS: Duration = Duration::from_millis(100);

impl Pulls {
    /// Not before its run is open: what the run asks for (nothing written, complete listings first) is not known.
    async fn may_be_decided(&self, read: &PullResult) -> Result<bool, Trouble> {
        match read.run {
            Some(run) => Ok(!self.0.is_to_be_opened(run).await?),
            None => Ok(true),
        }
    }

    async fn decide(&self, read: &PullResult, sequence: u64) -> Result<(), Trouble> {
        let engine = &self.0;
        let dry_run = read.run.filter(|id| engine.runs.get(*id).is_some_and(|run| run.request.dry_run));
        let mut parents = ParentsOfRead::new();
        for plan in &engine.plans {
            let Some(side) = plan.side_of(&read.system, &read.collection) else { continue };
            match (plan.kind(), side) {
                (RouteKind::Mirror | RouteKind::Child, _) => {
                    Box::pin(self.decide_for(plan, side, read, sequence)).await?;
                }
                (_, Side::Left) => {
                    engine.decide_holder(plan, read, sequence, dry_run, &mut parents).await?;
                }
                (_, Side::Right) => engine.decide_row(plan, read, sequence, dry_run).await?,
            }
            self.count_under_way(plan, side, read);
            if plan.kind() == RouteKind::Mirror
                && dry_run.is_none()
                && let Some(name) = engine.links.by_id(plan.name(), side, &read.id)
            {
                engine.release_below(&name, read.run).await?;
            }
        }
        // That an id names nothing (any more) is no record that was read.
        if !read.deleted {
            engine.runs.count(read.run, Count::Record);
        }
        Ok(())
    }

    /// What is to be written of this record is written for another run already: its own would seem to have nothing to
    /// write.
    fn count_under_way(&self, plan: &RoutePlan, side: Side, read: &PullResult) {
        let (links, Some(run)) = (&self.0.links, read.run) else { return };
        let by_key = || read.key.as_ref().and_then(|key| links.by_key(plan.name(), key));
        let Some(name) = links.by_id(plan.name(), side, &read.id).or_else(by_key) else { return };
        for other in links.under_way(&name) {
            self.0.runs.count_under_way(run, &name, other);
        }
    }

    async fn decide_for(
        &self,
        plan: &RoutePlan,
        side: Side,
        read: &PullResult,
        sequence: u64,
    ) -> Result<(), Trouble> {
        let engine = &self.0;
        loop {
            let by_id = engine.links.by_id(plan.name(), side, &read.id);
            let name = match (&by_id, &read.key) {
                (Some(name), _) => name.clone(),
                (None, Some(key)) => engine
                    .links
                    .by_key(plan.name(), key)
                    .unwrap_or_else(|| engine.links.free_name(plan.link_name(key))),
                (None, None) if read.deleted => return Ok(()),
                // A key that cannot be read is absent, and its bridge has told why.
                (None, None) if !read.fields.contains_key(plan.key_field(side)) => return Ok(()),
                (None, None) => return engine.tell_parked(read.run, &keyless(plan, side, read)).await,
            };
            match Box::pin(self.decide_link(plan, side, read, sequence, &name)).await {
                Err(Trouble::Bucket(BucketError::Moved(_))) => {}
                // It shared the key of that link until now; its own link is next.
                Ok(())
                    if by_id.is_some()
                        && !read.deleted
                        && engine.links.by_id(plan.name(), side, &read.id).is_none() => {}
                other => return other,
            }
        }
    }

    async fn decide_link(
        &self,
        plan: &RoutePlan,
        side: Side,
        read: &PullResult,
        sequence: u64,
        name: &str,
    ) -> Result<(), Trouble> {
        let engine = &self.0;
        let _lock = engine.links.lock(name).await;
        let found = engine.links.get(name).await?;
        let revision = found.as_ref().map(|found| found.revision);
        let mut link = match (found, &read.key) {
            (Some(found), _) => found.value,
            (None, Some(key)) => Link::new(plan.name().clone(), key.clone()),
            (None, None) => return Ok(()),
        };
        let run = read.run.and_then(|id| engine.runs.get(id));
        let dry_run = read.run.filter(|_| run.as_ref().is_some_and(|run| run.request.dry_run));
        if let Some(rehearsed) = dry_run.and_then(|run| engine.rehearsed(run, name)) {
            link = rehearsed;
        }
        if dry_run.is_none() && run.is_some_and(|run| run.request.mode != Mode::Incremental) {
            // What the other side could not take may have been mended there.
            link.side_mut(side.other()).parked.clear();
        }
        let state = link.side(side);
        if state.set_aside.contains(&read.id) {
            return Ok(());
        }
        let is_rival = state.rivals.contains_key(&read.id);
        let is_other = state.id.as_ref().is_some_and(|id| *id != read.id) && !state.gone;
        if let Some(run) = dry_run.filter(|_| is_rival || is_other)
            && !read.deleted
            && read.key.as_ref() == Some(&link.key)
            && (state.doubled || state.seen_in == read.run)
        {
            let state = link.side_mut(side);
            state.rivals.insert(read.id.clone(), read.run);
            state.doubled = true;
            engine.put_rehearsed(run, name, link);
            return Ok(());
        }
        if dry_run.is_none() && (is_rival || is_other) {
            return engine.rival(plan, side, read, name, link, revision).await;
        }
        if read.deleted {
            if let Some(run) = dry_run {
                return self.would_be_gone(plan, side, read, name, link, run).await;
            }
            return self.gone(plan, side, read, name, link, revision).await;
        }
        let Some(key) = &read.key else {
            return engine.tell_parked(read.run, &key_lost(plan, side, read, &link)).await;
        };
        if let Some(parked) = self.key_taken(plan, side, read, key, name, &link) {
            return engine.tell_parked(read.run, &parked).await;
        }
        let before = link.clone();
        let mut worth = take_in(plan, &mut link, side, read, sequence);
        if dry_run.is_some() && worth == Worth::ReadAgain {
            // Nothing is written by it, so it may be believed.
            link.side_mut(side).reread = true;
            worth = take_in(plan, &mut link, side, read, sequence);
        }
        match worth {
            Worth::Nothing if dry_run.is_none() => {
                // A crash may have come between the link and its pushes: they are sent again, which is safe.
                engine.send_again(plan, &link).await?;
                if is_still_double(side, read, &mut link) {
                    return self.park_double(plan, read, name, &link, revision).await;
                }
                // What waited (a create for its listing, a push that failed) has its turn again.
                let mut probe = before.clone();
                let decision = engine.decide(plan, &mut probe, name, None).await?;
                if link.due || probe != before || !decision.pushes.is_empty() {
                    return engine.decide_and_save(plan, name, before, revision, read.run).await;
                }
                Ok(())
            }
            Worth::ReadAgain if dry_run.is_none() => {
                link.side_mut(side).reread = true;
                engine.links.save(name, &link, revision).await?;
                if link.side(side).outstanding.is_none() {
                    engine.want_reread(plan, side, read.run, [read.id.clone()]);
                }
                Ok(())
            }
            _ => {
                let released = adopt_key(plan, side, key, &mut link);
                if dry_run.is_none() && is_still_double(side, read, &mut link) {
                    return self.park_double(plan, read, name, &link, revision).await;
                }
                if !released.is_empty() {
                    engine.want_reread(plan, side, read.run, released);
                }
                match dry_run {
                    Some(run) => engine.rehearse(plan, name, link, run).await,
                    None if link == before && !link.due => Ok(()),
                    None => engine.decide_and_save(plan, name, link, revision, read.run).await,
                }
            }
        }
    }

    async fn park_double(
        &self,
        plan: &RoutePlan,
        read: &PullResult,
        name: &str,
        link: &Link,
        revision: Option<u64>,
    ) -> Result<(), Trouble> {
        self.0.links.save(name, link, revision).await?;
        for parked in doubles(plan, link) {
            self.0.tell_parked(read.run, &parked).await?;
        }
        Ok(())
    }

    /// The same in a dry run.
    async fn would_be_gone(
        &self,
        plan: &RoutePlan,
        side: Side,
        read: &PullResult,
        name: &str,
        mut link: Link,
        run: RunId,
    ) -> Result<(), Trouble> {
        let state = link.side_mut(side);
        if state.id.as_ref() != Some(&read.id) || !state.is_there() {
            return Ok(());
        }
        state.gone = true;
        let parked = gone_parked(plan, side, read, &link);
        self.0.put_rehearsed(run, name, link);
        self.0.tell_parked(Some(run), &parked).await
    }

    /// A record was asked for by its id and is not there.
    async fn gone(
        &self,
        plan: &RoutePlan,
        side: Side,
        read: &PullResult,
        name: &str,
        mut link: Link,
        revision: Option<u64>,
    ) -> Result<(), Trouble> {
        let state = link.side_mut(side);
        state.reread = false;
        if state.outstanding.is_some() || state.gone {
            return Ok(self.0.links.save(name, &link, revision).await?);
        }
        if !state.rivals.is_empty() {
            // The key has a record still, under another id: that one takes its place.
            let rivals: Vec<_> = std::mem::take(&mut state.rivals).into_keys().collect();
            (state.id, state.doubled, state.replaced_in) = (None, false, read.run);
            (state.revision, state.pulled) = (None, None);
            self.0.links.save(name, &link, revision).await?;
            self.0.want_reread(plan, side, read.run, rivals);
            return Ok(());
        }
        state.gone = true;
        let parked = gone_parked(plan, side, read, &link);
        self.0.decide_and_save(plan, name, link, revision, read.run).await?;
        self.0.tell_parked(read.run, &parked).await
    }

    /// The record's key now is the key of another link.
    fn key_taken(
        &self,
        plan: &RoutePlan,
        side: Side,
        read: &PullResult,
        key: &Key,
        name: &str,
        link: &Link,
    ) -> Option<Parked> {
        let holder = self.0.links.by_key(plan.name(), key)?;
        if holder == name || link.key == *key {
            return None;
        }
        Some(Parked {
            system: read.system.clone(),
            collection: read.collection.clone(),
            id: Some(read.id.clone()),
            key: Some(key.clone()),
            field: Some(plan.key_field(side).to_owned()),
            reason: format!(
                "its key was changed from {} to {key}, which another record has already; give each its own",
                link.key
            ),
        })
    }
}

/// After an edit of the key on the side that owns it, the link goes by the new one. Gives the ids of the records
/// that shared the old key: it is theirs now.
fn adopt_key(plan: &RoutePlan, side: Side, key: &Key, link: &mut Link) -> Vec<String> {
    let field = plan.key_field(side);
    let owns = plan
        .fields
        .iter()
        .any(|rule| rule.rule.on(side) == field && rule.rule.direction.goes_to(side.other()));
    let other: &SideState = link.side(side.other());
    if link.key == *key || (!owns && other.is_there()) {
        return Vec::new();
    }
    link.key = key.clone();
    let state = link.side_mut(side);
    state.doubled = false;
    std::mem::take(&mut state.rivals).into_keys().collect()
}

fn gone_parked(plan: &RoutePlan, side: Side, read: &PullResult, link: &Link) -> Parked {
    Parked {
        system: read.system.clone(),
        collection: read.collection.clone(),
        id: Some(read.id.clone()),
        key: Some(link.key.clone()),
        field: None,
        reason: gone::told(plan, side),
    }
}

fn keyless(plan: &RoutePlan, side: Side, read: &PullResult) -> Parked {
    let field = plan.key_field(side).to_owned();
    Parked {
        system: read.system.clone(),
        collection: read.collection.clone(),
        id: Some(read.id.clone()),
        key: None,
        reason: format!(
            "the record has no {field}, so it cannot be matched; fill in {field} in {}",
            read.system
        ),
        field: Some(field),
    }
}

fn key_lost(plan: &RoutePlan, side: Side, read: &PullResult, link: &Link) -> Parked {
    Parked {
        key: Some(link.key.clone()),
        reason: format!(
            "its {} was emptied; it was {}, and nothing of the record is carried over until it has one again",
            plan.key_field(side),
            link.key
        ),
        ..keyless(plan, side, read)
    }
}

//! Records below another have no key but their own id. When a layer is published anew they all have new ids, and are
//! the same pictures and papers: one that is not there any more and a new one beside it that shows the same are twins,
//! and the new one takes over the partner of the other.

use std::collections::{HashMap, HashSet};

use databridge_config::{RouteKind, Side};
use databridge_model::{Fields, RunId};

use crate::engine::{Engine, Trouble, parent_of_new};
use crate::link::{Link, SideState};
use crate::links::Open;
use crate::plan::RoutePlan;
use crate::runs::Run;

/// By what twins are known: the parent of their partner, and what they show beside their key.
type Likeness = (String, String);

/// The id of the record below which a new one of this side would stand, if it is there.
pub(crate) fn parent_id(plan: &RoutePlan, parent: &Link, side: Side) -> Option<String> {
    let state = parent.side(plan.parent_side(side)?);
    state.id.clone().filter(|_| state.is_there() && !parent.waits_for_a_word())
}

impl Engine {
    /// Whether the records below a parent may have got new ids since they were last listed: its own place was taken by
    /// another one.
    pub(crate) fn may_have_new_ids(
        &self,
        plan: &RoutePlan,
        parent: &Link,
        side: Side,
        run: Option<&Run>,
    ) -> bool {
        let Some(parent_side) = plan.parent_side(side).filter(|_| plan.kind() == RouteKind::Child) else {
            return false;
        };
        let Some(replaced) = parent.side(parent_side).replaced_in else { return false };
        let (system, collection) = (plan.system(side), plan.collection_name(side));
        let is_listed = run.is_some_and(|run| run.listings_decided && run.has_whole(system, collection));
        !is_listed && self.runs.last_whole(system, collection).is_none_or(|last| last < replaced)
    }
}

/// Pairs the records of a complete listing that wait to be given a partner with the partners of those that it lacks.
pub(crate) async fn pair(
    engine: &Engine,
    id: RunId,
    run: &Run,
    plan: &RoutePlan,
    side: Side,
    seen: &HashSet<String>,
) -> Result<(), Trouble> {
    let dry_run = run.request.dry_run.then_some(id);
    if dry_run.is_none() {
        finish(engine).await?;
    }
    let waiting = match dry_run {
        Some(run) => engine.rehearsed_of(run, plan.name()),
        None => waiting_for(engine, id, plan),
    };
    if waiting.is_empty() {
        return Ok(());
    }
    let mut orphans = orphans(engine, plan, side, seen).await?;
    for name in waiting {
        if orphans.is_empty() {
            break;
        }
        let _lock = engine.links.lock(&name).await;
        let found = engine.links.get(&name).await?;
        let revision = found.as_ref().map(|found| found.revision);
        let rehearsed = dry_run.and_then(|run| engine.rehearsed(run, &name));
        let Some(mut link) = rehearsed.or(found.map(|found| found.value)) else { continue };
        if link.side(side.other()).is_there() {
            continue;
        }
        let Some(parent) = parent_of_new(plan, &link, side.other()) else { continue };
        let Some((_, parent)) = engine.parent_link(&parent, dry_run).await? else { continue };
        let Some(parent) = parent_id(plan, &parent, side.other()) else { continue };
        let Some(twins) = orphans.get_mut(&likeness(plan, &link, side, parent)) else { continue };
        let Some((twin_name, mut twin)) = twins.pop() else { continue };
        take_over(&mut link, &twin, &twin_name, side);
        if let Some(run) = dry_run {
            give_up(&mut twin, &link);
            link.takes_over = None;
            engine.put_rehearsed(run, &twin_name, twin);
            engine.put_rehearsed(run, &name, link);
            continue;
        }
        engine.links.save(&name, &link, revision).await?;
        fail::fail_point!("reconciler.after-take-over");
    }
    if dry_run.is_none() { finish(engine).await } else { Ok(()) }
}

/// The links of a route that wait for this run's listings.
fn waiting_for(engine: &Engine, run: RunId, plan: &RoutePlan) -> Vec<String> {
    let prefix = format!("{}.", plan.name());
    let waiting = engine.links.open_ones(|why| why == Open::Listings(run)).into_iter();
    waiting.filter_map(|link| engine.links.name(link)).filter(|name| name.starts_with(&prefix)).collect()
}

/// The links whose record a listing lacks while its partner is there, by their likeness.
async fn orphans(
    engine: &Engine,
    plan: &RoutePlan,
    side: Side,
    seen: &HashSet<String>,
) -> Result<HashMap<Likeness, Vec<(String, Link)>>, Trouble> {
    let (mut names, _) = engine.links.without(plan.name(), side, seen);
    // Taken from the end, in the order of their names.
    names.sort_by(|a, b| b.cmp(a));
    let mut orphans: HashMap<Likeness, Vec<(String, Link)>> = HashMap::new();
    for name in names {
        let Some(link) = engine.links.get(&name).await?.map(|found| found.value) else { continue };
        let partner = link.side(side.other());
        let Some(parent) = partner.parent.clone() else { continue };
        if partner.is_there() && !link.is_under_way() && !link.waits_for_a_word() {
            orphans.entry(likeness(plan, &link, side, parent)).or_default().push((name, link));
        }
    }
    Ok(orphans)
}

fn likeness(plan: &RoutePlan, link: &Link, side: Side, parent: String) -> Likeness {
    let state = link.side(side);
    let names = plan.names(side).iter().filter(|name| *name != plan.key_field(side));
    let shown: Fields = names.filter_map(|name| Some((name.clone(), state.shown(name)?.clone()))).collect();
    (parent, serde_json::to_string(&shown).unwrap_or_default())
}

/// What both had agreed on stands: only the key has changed.
fn take_over(link: &mut Link, twin: &Link, twin_name: &str, side: Side) {
    *link.side_mut(side.other()) = twin.side(side.other()).clone();
    let state = link.side_mut(side);
    let shown: Vec<_> = std::mem::take(&mut state.drift).into_iter().collect();
    state.base = twin.side(side).base.clone();
    for (name, value) in shown {
        state.show(&name, value);
    }
    link.takes_over = Some(twin_name.to_owned());
}

/// Lets those whose partners were taken over give them up. A crash may come before it: then it is done at the next
/// start, before anything is taken as gone.
pub(crate) async fn finish(engine: &Engine) -> Result<(), Trouble> {
    for link in engine.links.open_ones(|why| why == Open::TakesOver) {
        let Some(name) = engine.links.name(link) else { continue };
        let _lock = engine.links.lock(&name).await;
        let Some(found) = engine.links.get(&name).await? else { continue };
        let mut link = found.value;
        let Some(twin) = link.takes_over.take() else { continue };
        let twin_lock = engine.links.lock(&twin).await;
        if let Some(found) = engine.links.get(&twin).await? {
            let mut poorer = found.value;
            give_up(&mut poorer, &link);
            engine.links.save(&twin, &poorer, Some(found.revision)).await?;
            tracing::info!(link = name, from = twin, "A record has a new id; its partner goes with it.");
        }
        drop(twin_lock);
        engine.links.save(&name, &link, Some(found.revision)).await?;
    }
    Ok(())
}

/// The partner is the heir's now.
fn give_up(twin: &mut Link, heir: &Link) {
    for side in Side::BOTH {
        if twin.side(side).id.is_none() || twin.side(side).id != heir.side(side).id {
            continue;
        }
        let last_outcome = twin.side(side).last_outcome;
        *twin.side_mut(side) = SideState { last_outcome, ..SideState::default() };
        let source = twin.side_mut(side.other());
        (source.gone, source.gone_told) = (true, true);
    }
}

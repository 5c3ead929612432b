//! Records below another have no key but their own id. When a layer is published anew they all have new ids, and are
//! the same pictures and papers: one that is not there any more and a new one beside it that shows the same are twins,
//! and the new one takes over the partner of the other.

use std::collections::{HashMap, HashSet};

use databridge_config::{RouteKind, Side};
use databridge_model::{Fields, RunId};

use crate::engine::{Engine, Trouble, parent_of_new};
use crate::link::{Link, SideState};
use crate::plan::RoutePlan;
use crate::runs::Run;

/// By what twins are known: the parent of their partner, and what they show beside their key.
type Likeness = (String, String);

/// The id of the record below which a new one of this side would stand, if it is there.
pub(crate) fn parent_id(plan: &RoutePlan, parent: &Link, side: Side) -> Option<String> {
    let state = parent.side(plan.parent_side(side)?);
    state.id.clone().filter(|_| state.is_there() && !parent.is_doubled())
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
    run: RunId,
    plan: &RoutePlan,
    side: Side,
    seen: &HashSet<String>,
) -> Result<(), Trouble> {
    finish(engine).await?;
    let prefix = format!("{}.", plan.name());
    let mut waiting: Vec<_> = engine
        .links
        .open_ones()
        .into_iter()
        .filter(|(name, facts)| facts.awaits == Some(run) && name.starts_with(&prefix))
        .map(|(name, _)| name)
        .collect();
    waiting.sort();
    if waiting.is_empty() {
        return Ok(());
    }
    let mut orphans = orphans(engine, plan, side, seen).await?;
    for name in waiting {
        if orphans.is_empty() {
            break;
        }
        let _lock = engine.links.lock(&name).await;
        let Some(found) = engine.links.get(&name).await? else { continue };
        let mut link = found.value;
        if link.side(side.other()).is_there() {
            continue;
        }
        let Some(parent) = parent_of_new(plan, &link, side.other()) else { continue };
        let Some((_, parent)) = engine.parent_link(&parent, None).await? else { continue };
        let Some(parent) = parent_id(plan, &parent, side.other()) else { continue };
        let Some(twins) = orphans.get_mut(&likeness(plan, &link, side, parent)) else { continue };
        let Some((twin_name, twin)) = twins.pop() else { continue };
        take_over(&mut link, &twin, &twin_name, side);
        engine.links.save(&name, &link, Some(found.revision)).await?;
        fail::fail_point!("reconciler.after-take-over");
    }
    finish(engine).await
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
        if partner.is_there() && !link.is_under_way() && !link.is_doubled() {
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
    for (name, facts) in engine.links.open_ones() {
        if !facts.takes_over {
            continue;
        }
        let _lock = engine.links.lock(&name).await;
        let Some(found) = engine.links.get(&name).await? else { continue };
        let mut link = found.value;
        let Some(twin) = link.takes_over.take() else { continue };
        give_up(engine, &twin, &link).await?;
        engine.links.save(&name, &link, Some(found.revision)).await?;
    }
    Ok(())
}

async fn give_up(engine: &Engine, twin: &str, heir: &Link) -> Result<(), Trouble> {
    let Some(plan) = engine.plan(&heir.route) else { return Ok(()) };
    let _lock = engine.links.lock(twin).await;
    let Some(found) = engine.links.get(twin).await? else { return Ok(()) };
    let mut link = found.value;
    for side in Side::BOTH {
        let is_inherited = link.side(side).id.is_some() && link.side(side).id == heir.side(side).id;
        if is_inherited {
            let last_outcome = link.side(side).last_outcome;
            *link.side_mut(side) = SideState { last_outcome, ..SideState::default() };
            let gone = link.side_mut(side.other());
            (gone.gone, gone.gone_told) = (true, true);
        }
    }
    tracing::info!(link = twin, route = %plan.name(), "A record has a new id; its partner goes with it.");
    engine.links.save(twin, &link, Some(found.revision)).await?;
    Ok(())
}

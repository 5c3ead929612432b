//! Records that a complete listing does not show any more.

use std::collections::HashSet;

use chrono::TimeDelta;
use databridge_broker::names;
use databridge_config::{RouteKind, Side};
use databridge_model::{CollectionName, Parked, ReadAfter, RunId, SystemName};
use serde::Deserialize;

use crate::engine::{Engine, Trouble};
use crate::link::Link;
use crate::plan::RoutePlan;
use crate::runs::{Part, Run};
use crate::twins;

/// So many may be missing at once without a person's word.
const FEW: usize = 10;

/// Above [`FEW`], this share of the known ones may be missing, in percent.
const SHARE_PERCENT: usize = 10;

/// The pulls of a run are looked for from so long before it was opened: clocks differ.
const BEFORE: TimeDelta = TimeDelta::minutes(10);

/// So many pulls are looked at at once: the largest of so many are less than the broker lets a client owe.
const READ_AT_ONCE: usize = 64;

/// Asks for what the complete listings of a run lack: one look by id tells whether it is really gone. Where very much is
/// missing nothing is asked, and a person is told.
pub(crate) async fn look_for(engine: &Engine, id: RunId, run: &Run) -> Result<(), Trouble> {
    for part in run.parts.iter().filter(|part| run.has_whole(&part.system, &part.collection)) {
        let looks = |plan: &&RoutePlan| side_to_look_at(plan, &part.system, &part.collection).is_some();
        if !engine.plans.iter().any(|plan| looks(&plan)) {
            continue;
        }
        let Some(seen) = seen(engine, id, run, part).await? else {
            tracing::warn!(
                run = %id,
                collection = %part.collection,
                "What the complete listing showed is not in its stream any more; nothing is taken as gone."
            );
            continue;
        };
        for plan in engine.plans.iter().filter(looks) {
            if let Some(side) = side_to_look_at(plan, &part.system, &part.collection) {
                if plan.kind() == RouteKind::Child && plan.route.side(side.other()).create {
                    twins::pair(engine, id, run, plan, side, &seen.ids).await?;
                }
                ask(engine, id, run, plan, side, &seen).await?;
            }
        }
    }
    Ok(())
}

/// The side of a route whose records are looked for when they are missing. Those that the parent route joins itself are
/// looked for by that one, and rows of events may go as they like.
fn side_to_look_at(plan: &RoutePlan, system: &SystemName, collection: &CollectionName) -> Option<Side> {
    let side = plan.side_of(system, collection)?;
    match (plan.kind(), side) {
        (RouteKind::Mirror | RouteKind::Child, _) | (RouteKind::Latest, Side::Right) => Some(side),
        _ => None,
    }
}

async fn ask(
    engine: &Engine,
    id: RunId,
    run: &Run,
    plan: &RoutePlan,
    side: Side,
    seen: &Seen,
) -> Result<(), Trouble> {
    let (names, known) = engine.links.without(plan.name(), side, &seen.ids);
    let mut missing = Vec::new();
    for name in names {
        let Some(found) = engine.links.get(&name).await? else { continue };
        let rehearsed = engine.rehearsed(id, &name).filter(|_| run.request.dry_run);
        missing.extend(not_in(plan, side, &rehearsed.unwrap_or(found.value), seen));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let most = FEW.max(known * SHARE_PERCENT / 100);
    if missing.len() > most && !run.request.accept_missing {
        let parked = Parked {
            system: plan.system(side).clone(),
            collection: plan.collection_name(side).clone(),
            id: None,
            key: None,
            field: None,
            reason: format!(
                "{} of {known} known records are not in the complete listing, which is more than is believed \
                 without a person's word ({most}); nothing is taken as gone. If they are gone indeed, say so with \
                 `databridge sync {} --full --accept-missing`",
                missing.len(),
                plan.system(side)
            ),
        };
        return engine.tell_parked(Some(id), &parked).await;
    }
    engine.want_reread(plan, side, Some(id), missing);
    Ok(())
}

/// The ids of a link's records that a listing lacks. What was written since the listing began may have been made since.
fn not_in(plan: &RoutePlan, side: Side, link: &Link, seen: &Seen) -> Vec<String> {
    let state = link.side(side);
    let is_newer = match (state.last_outcome, seen.begun_after) {
        (Some(written), Some(begun)) => {
            written.stream_created != begun.stream_created || written.sequence > begun.sequence
        }
        _ => false,
    };
    if is_newer {
        return Vec::new();
    }
    if plan.kind().has_several() {
        return link.children.keys().filter(|id| !seen.ids.contains(*id)).cloned().collect();
    }
    state.id.iter().filter(|id| state.is_there() && !seen.ids.contains(*id)).cloned().collect()
}

/// What is needed of a pull result here.
#[derive(Deserialize)]
struct Shown {
    id: String,
    run: Option<RunId>,
    read_after: ReadAfter,
}

/// What a complete listing has shown.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    /// How far the outcomes had come when its first page was asked for.
    begun_after: Option<ReadAfter>,
}

/// The ids that a part of a run has shown; `None` if they are not all in the stream any more.
async fn seen(engine: &Engine, id: RunId, run: &Run, part: &Part) -> Result<Option<Seen>, Trouble> {
    let Some(listed) = &part.listed else { return Ok(None) };
    let mut seen = Seen::default();
    if listed.records == 0 {
        return Ok(Some(seen));
    }
    let mut reading = engine
        .broker
        .read_since(
            names::PULL,
            Some(format!("pull.{}.{}.>", part.system, part.collection)),
            run.opened_at - BEFORE,
        )
        .await?;
    let mut shown = 0;
    loop {
        let messages = reading.next(READ_AT_ONCE).await?;
        for (_, message) in &messages {
            if let Ok(read) = serde_json::from_slice::<Shown>(&message.payload)
                && read.run == Some(id)
            {
                shown += 1;
                seen.ids.insert(read.id);
                seen.begun_after.get_or_insert(read.read_after);
            }
        }
        if messages.last().is_none_or(|(last, _)| *last >= listed.pull_last) {
            break;
        }
    }
    reading.done().await;
    Ok((shown >= listed.records).then_some(seen))
}

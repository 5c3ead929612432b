//! Several records of one side with one key: rivals until it is known whether the record has a new id or there are two.

use databridge_config::Side;
use databridge_model::{Key, Name, Parked, PullResult, RunId};

use crate::engine::{Engine, Trouble};
use crate::link::Link;
use crate::links::Open;
use crate::plan::RoutePlan;

impl Engine {
    /// Another record of this side has, or had, the link's key. Either the record has a new id now, or there are
    /// two: both are read again by their ids, which tells.
    pub(crate) async fn rival(
        &self,
        plan: &RoutePlan,
        side: Side,
        read: &PullResult,
        name: &str,
        mut link: Link,
        revision: Option<u64>,
    ) -> Result<(), Trouble> {
        let key = link.key.clone();
        let was_doubled = link.side(side).doubled;
        let has_key = read.key.as_ref() == Some(&key) && !read.deleted;
        let state = link.side_mut(side);
        let newcomer = !state.rivals.contains_key(&read.id);
        if has_key {
            state.rivals.insert(read.id.clone(), read.run);
        } else {
            state.rivals.remove(&read.id);
        }
        let both_seen = read.run.is_some() && state.seen_in == read.run && !state.gone;
        state.doubled = !state.rivals.is_empty() && (state.doubled || both_seen);
        let now_doubled = state.doubled;
        if newcomer && has_key && !now_doubled {
            state.reread = true;
            let ids: Vec<_> = state.id.iter().chain(state.rivals.keys()).cloned().collect();
            self.links.save(name, &link, revision).await?;
            self.want_reread(plan, side, read.run, ids);
            return Ok(());
        }
        if state.rivals.is_empty() {
            return self.decide_and_save(plan, name, link, revision, read.run).await;
        }
        self.links.save(name, &link, revision).await?;
        if now_doubled && (!was_doubled || newcomer) {
            for parked in doubles(plan, &link) {
                self.tell_parked(read.run, &parked).await?;
            }
        }
        Ok(())
    }
}

/// The link's own record has the key, and so have rivals.
pub(crate) fn is_still_double(side: Side, read: &PullResult, link: &mut Link) -> bool {
    let has_key = read.key.as_ref() == Some(&link.key);
    let state = link.side_mut(side);
    let newly = has_key && !state.rivals.is_empty() && !state.doubled;
    state.doubled |= newly;
    newly
}

/// What a person is told of the records that share a key, one by one.
pub(crate) fn doubles(plan: &RoutePlan, link: &Link) -> Vec<Parked> {
    let doubled = Side::BOTH.into_iter().filter(|side| link.side(*side).doubled);
    doubled
        .flat_map(|side| {
            let state = link.side(side);
            let mut ids: Vec<_> = state.id.iter().chain(state.rivals.keys()).cloned().collect();
            // Which of them was read first says nothing; numbers stand in their order.
            ids.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
            let told = |id: &String| doubled_one(plan, side, &link.key, id, &ids);
            ids.iter().map(told).collect::<Vec<_>>()
        })
        .collect()
}

fn doubled_one(plan: &RoutePlan, side: Side, key: &Key, id: &str, ids: &[String]) -> Parked {
    let system = plan.system(side);
    Parked {
        system: system.clone(),
        collection: plan.collection_name(side).clone(),
        id: Some(id.to_owned()),
        key: Some(key.clone()),
        field: None,
        reason: format!(
            "{} records of {system} have the key {key} (ids {}); nothing is carried over until only one has it",
            ids.len(),
            ids.join(", ")
        ),
    }
}

/// The rivals that a complete listing did not show are there no more.
pub(crate) async fn drop_unseen_rivals(
    engine: &Engine,
    route: &Name,
    side: Side,
    run: RunId,
) -> Result<(), Trouble> {
    for link in engine.links.open_ones(|why| why == Open::Rivals) {
        let Some(name) = engine.links.name(link) else { continue };
        let Some(plan) = engine.plans.iter().find(|plan| plan.name() == route) else { continue };
        let _lock = engine.links.lock(&name).await;
        let Some(found) = engine.links.get(&name).await? else { continue };
        let mut link = found.value;
        if link.route != *route {
            continue;
        }
        let state = link.side_mut(side);
        let before = state.rivals.len();
        state.rivals.retain(|_, seen| *seen == Some(run));
        if state.rivals.len() == before {
            continue;
        }
        state.doubled &= !state.rivals.is_empty();
        engine.decide_and_save(plan, &name, link, Some(found.revision), Some(run)).await?;
    }
    Ok(())
}

//! Asking bridges to read: records again by their ids, collections whole; each request a part of its run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use databridge_broker::Envelope;
use databridge_config::Side;
use databridge_model::{CollectionName, Mode, RunId, SyncRequest, SystemName, subject};

use super::{Engine, Trouble};
use crate::plan::RoutePlan;
use crate::runs::Part;

/// What is to be read again.
#[derive(Debug, Default)]
pub(super) struct Rereads {
    wanted: BTreeMap<RereadPlace, BTreeSet<String>>,
    /// Taken out of `wanted` and not yet a part of their runs: a run must not end meanwhile.
    being_asked: Vec<RereadPlace>,
}

/// Where records are to be read again, and for which run.
pub(crate) type RereadPlace = (Option<RunId>, SystemName, CollectionName);

impl Engine {
    /// Notes that a record is to be read again; [`Engine::ask_for_rereads`] asks for all of them.
    pub(crate) fn want_reread(
        &self,
        plan: &RoutePlan,
        side: Side,
        run: Option<RunId>,
        ids: impl IntoIterator<Item = String>,
    ) {
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_none() {
            return;
        }
        let run = run.filter(|run| self.runs.get(*run).is_some());
        let place = (run, plan.system(side).clone(), plan.collection_name(side).clone());
        self.rereads().wanted.entry(place).or_default().extend(ids);
    }

    /// Whether records of a run are still to be asked for.
    pub(crate) fn has_rereads(&self, run: RunId) -> bool {
        let rereads = self.rereads();
        rereads.wanted.keys().chain(&rereads.being_asked).any(|(of, _, _)| *of == Some(run))
    }

    /// Asks the bridges for all records that are to be read again, in as few requests as may be.
    pub(crate) async fn ask_for_rereads(&self) {
        let wanted = {
            let mut rereads = self.rereads();
            let wanted = std::mem::take(&mut rereads.wanted);
            rereads.being_asked.extend(wanted.keys().cloned());
            wanted
        };
        for (place, ids) in wanted {
            let asked = self.ask_for_reread(&place, &ids).await;
            let mut rereads = self.rereads();
            if let Err(error) = asked {
                tracing::warn!(%error, "Records could not be asked for again; trying once more soon.");
                rereads.wanted.entry(place.clone()).or_default().extend(ids);
            }
            if let Some(at) = rereads.being_asked.iter().position(|asked| *asked == place) {
                rereads.being_asked.swap_remove(at);
            }
        }
    }

    fn rereads(&self) -> std::sync::MutexGuard<'_, Rereads> {
        self.rereads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_for_reread(&self, place: &RereadPlace, ids: &BTreeSet<String>) -> Result<(), Trouble> {
        let (run, system, collection) = place;
        let request = SyncRequest {
            ids: ids.iter().cloned().collect(),
            within: *run,
            reason: Some("what was read of these records may be older than what is known of them".to_owned()),
            ..SyncRequest::default()
        };
        self.ask(system, collection, &request, None).await
    }

    /// Asks once a run for the complete listing of a collection.
    pub(crate) async fn ask_for_listing(
        &self,
        run_id: RunId,
        system: &SystemName,
        collection: &CollectionName,
    ) -> Result<(), Trouble> {
        let Some(run) = self.runs.get(run_id).filter(|run| !run.asks_whole(system, collection)) else {
            return Ok(());
        };
        let request = SyncRequest {
            mode: Mode::Full,
            within: Some(run_id),
            dry_run: run.request.dry_run,
            reason: Some("to see which records are missing before any is made".to_owned()),
            ..SyncRequest::default()
        };
        self.ask(system, collection, &request, Some(format!("listing-{run_id}-{system}-{collection}"))).await
    }

    async fn ask(
        &self,
        system: &SystemName,
        collection: &CollectionName,
        request: &SyncRequest,
        id: Option<String>,
    ) -> Result<(), Trouble> {
        let envelope = Envelope { run: request.within, message_id: id };
        let subject = subject::sync_request(system, Some(collection));
        let sequence = self.broker.publish(subject, request, &envelope).await?;
        if let Some(run_id) = request.within {
            fail::fail_point!("reconciler.before-part");
            self.add_part(run_id, sequence, system, collection, request).await?;
        }
        Ok(())
    }

    /// Makes a request a part of its run. Doing so twice does no harm.
    pub(crate) async fn add_part(
        &self,
        run_id: RunId,
        sequence: u64,
        system: &SystemName,
        collection: &CollectionName,
        request: &SyncRequest,
    ) -> Result<(), Trouble> {
        let part = Part {
            request: sequence,
            system: system.clone(),
            collection: collection.clone(),
            whole: request.mode != Mode::Incremental
                && request.ids.is_empty()
                && request.max_records.is_none(),
            listed: None,
        };
        let same = |known: &Part| {
            known.request == part.request
                && known.system == part.system
                && known.collection == part.collection
        };
        self.runs
            .change(run_id, |run| {
                if !run.parts.iter().any(same) {
                    // What it lacks is to be looked for before anything is decided by it.
                    run.listings_decided &= !part.whole;
                    run.parts.push(part.clone());
                }
            })
            .await?;
        Ok(())
    }
}

//! Opening runs for sync requests.

use std::sync::Arc;

use databridge_broker::{BucketError, Handler, Job, Verdict};
use databridge_config::Side;
use databridge_model::{CollectionName, Mode, RunId, SyncRequest, SystemName};

use crate::engine::{Engine, Trouble};
use crate::latest;
use crate::links::Open;
use crate::runs::{Part, Run};

/// Deals with `sync.request.>`.
#[derive(Debug)]
pub(crate) struct Requests(pub(crate) Arc<Engine>);

impl Handler for Requests {
    fn stage(&self) -> &'static str {
        "sync"
    }

    fn lane(&self, _job: &Job) -> String {
        "requests".to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        let (system, collections) = match self.aim(job.subject()) {
            Ok(aim) => aim,
            Err(error) => return Verdict::Dead(error),
        };
        let request: SyncRequest = match job.read("a sync request") {
            Ok(request) => request,
            Err(error) => return Verdict::Dead(error.to_string()),
        };
        match self.open(job, &system, collections, request).await {
            Ok(()) => Verdict::Done,
            Err(error) => Verdict::Retry(error.to_string()),
        }
    }

    /// A request that cannot be read opens no run, so nobody else takes it away.
    async fn buried(&self, job: &Job, _error: &str) {
        self.0.spent.add(job.sequence());
    }
}

impl Requests {
    fn aim(&self, subject: &str) -> Result<(SystemName, Vec<CollectionName>), String> {
        let mut tokens = subject.split('.').skip(2);
        let (system, collection) = (tokens.next().unwrap_or_default(), tokens.next());
        let Some((system, collections)) = self.0.systems.iter().find(|(name, _)| name.as_str() == system)
        else {
            let known = self.0.systems.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(format!("there is no system `{system}`; the systems are: {known}"));
        };
        let Some(wanted) = collection else { return Ok((system.clone(), collections.clone())) };
        match collections.iter().find(|name| name.as_str() == wanted) {
            Some(collection) => Ok((system.clone(), vec![collection.clone()])),
            None => {
                let known = collections.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(format!("{system} has no collection `{wanted}`; it has: {known}"))
            }
        }
    }

    async fn open(
        &self,
        job: &Job,
        system: &SystemName,
        collections: Vec<CollectionName>,
        request: SyncRequest,
    ) -> Result<(), Trouble> {
        let engine = &self.0;
        if let Some(run) = request.within {
            for collection in &collections {
                engine.add_part(run, job.sequence(), system, collection, &request).await?;
            }
            return Ok(());
        }
        let id = RunId(job.sequence());
        let whole =
            request.mode != Mode::Incremental && request.ids.is_empty() && request.max_records.is_none();
        let parts = collections
            .iter()
            .map(|collection| Part {
                request: job.sequence(),
                system: system.clone(),
                collection: collection.clone(),
                whole,
                listed: None,
            })
            .collect();
        let run = Run {
            subject: job.subject().to_owned(),
            request: request.clone(),
            opened_at: engine.broker.clock().now(),
            parts,
            listings_decided: false,
            summary: databridge_model::RunSummary::default(),
            ended_at: None,
        };
        fail::fail_point!("reconciler.before-run-opened");
        if engine.runs.start(id, run.clone()).await? {
            fail::fail_point!("reconciler.after-run-opened");
            tracing::info!(run = %id, subject = job.subject(), mode = ?request.mode, "A run is opened.");
            engine.publish_event(id, "opened", &run.summary).await?;
        }
        if engine.runs.get(id).is_none() {
            // It ended before; this is a redelivery.
            engine.spent.add(job.sequence());
            return Ok(());
        }
        if request.mode == Mode::Migrate && whole {
            self.ask_for_partners(id, system, &collections).await?;
        }
        if request.ids.is_empty() && !request.dry_run {
            self.decide_due(id, system).await?;
            self.look_again(id).await?;
        }
        Ok(())
    }

    /// A migrate lists both sides.
    async fn ask_for_partners(
        &self,
        run: RunId,
        system: &SystemName,
        collections: &[CollectionName],
    ) -> Result<(), Trouble> {
        for plan in &self.0.plans {
            for side in Side::BOTH {
                if plan.system(side) == system && collections.contains(plan.collection_name(side)) {
                    let other = side.other();
                    self.0.ask_for_listing(run, plan.system(other), plan.collection_name(other)).await?;
                }
            }
        }
        Ok(())
    }

    /// What an earlier run had to leave is looked at again.
    async fn decide_due(&self, run: RunId, system: &SystemName) -> Result<(), Trouble> {
        let engine = &self.0;
        for link in engine.links.open_ones(|why| matches!(why, Open::Due | Open::Reread)) {
            let Some(name) = engine.links.name(link) else { continue };
            let _lock = engine.links.lock(&name).await;
            let Some(found) = engine.links.get(&name).await? else { continue };
            let Some(plan) = engine.plan(&found.value.route) else { continue };
            // A record that was to be read again, while its system did not answer.
            for side in Side::BOTH.into_iter().filter(|side| plan.system(*side) == system) {
                let again = found.value.to_reread(side);
                if !again.is_empty() && found.value.side(side).outstanding.is_none() {
                    engine.want_reread(plan, side, Some(run), again);
                }
            }
            if found.value.due && Side::BOTH.iter().any(|side| plan.system(*side) == system) {
                match engine.decide_and_save(plan, &name, found.value, Some(found.revision), Some(run)).await
                {
                    Ok(()) | Err(Trouble::Bucket(BucketError::Moved(_))) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Time has passed: what stood for several records may be over, and the next has its turn.
    async fn look_again(&self, run: RunId) -> Result<(), Trouble> {
        let engine = &self.0;
        for name in engine.links.to_look_at(engine.broker.clock().now()) {
            loop {
                match self.look_again_at(&name, run).await {
                    Err(error) if error.is_moved() => {}
                    other => break other?,
                }
            }
        }
        Ok(())
    }

    async fn look_again_at(&self, name: &str, run: RunId) -> Result<(), Trouble> {
        let engine = &self.0;
        let _lock = engine.links.lock(name).await;
        let Some(found) = engine.links.get(name).await? else { return Ok(()) };
        let mut link = found.value;
        let Some(plan) = engine.plan(&link.route) else { return Ok(()) };
        latest::choose(plan, &mut link, engine.broker.clock().now());
        engine.decide_and_save(plan, name, link, Some(found.revision), Some(run)).await
    }
}

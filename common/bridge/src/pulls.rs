//! Answering sync requests: pages of records into PULL, each with its cursor.

mod listing;
mod rest;
mod shared;
mod too_large;
mod trouble;

use std::sync::Arc;

use databridge_broker::{
    Broker, Cursor, Envelope, Handler, Inbox, Job, PublishError, TopologyError, Verdict, Worker, consumers,
    names,
};
use databridge_http::{Budget, CallError};
use databridge_model::subject;
use databridge_model::{
    CollectionName, Failure, FailureClass, KeyToken, Listed, Mode, Parked, PullResult, ReadAfter, RunId,
    SyncRequest,
};
use databridge_runtime::CancellationToken;

use self::rest::{ASKED_APART, Told};
use self::shared::{Ask, SharedListings};
use self::trouble::Trouble;
use crate::{OutsideSystem, Page, Shown, Span};

/// Answers a system's sync requests.
#[derive(Debug)]
pub struct Pulls<S> {
    broker: Broker,
    system: Arc<S>,
    budget: Budget,
    shared: SharedListings,
    told: Told,
}

/// The most records asked of a system at once: a batch of JetStream takes 1,000 messages, one is the cursor.
const LARGEST_PAGE: usize = 999;

impl<S: OutsideSystem> Pulls<S> {
    /// Over this connection, for this system and within its budget.
    pub fn new(broker: Broker, system: Arc<S>, budget: Budget) -> Self {
        Self { broker, system, budget, shared: SharedListings::default(), told: Told::default() }
    }

    /// Works until told to stop.
    pub async fn run(self, stop: CancellationToken) -> Result<(), TopologyError> {
        let inbox = Inbox::open(&self.broker, consumers::sync_of(self.system.name())).await?;
        Worker::new(inbox, Arc::new(self)).taking(8, 8).run(stop).await;
        Ok(())
    }

    async fn answer(&self, job: &Job) -> Result<(), Trouble> {
        let request: SyncRequest =
            job.read("a sync request").map_err(|error| Trouble::Never(error.to_string()))?;
        if request.max_records == Some(0) {
            return Err(Trouble::Never("`max_records` is 0; ask for 1 at least, or leave it out".to_owned()));
        }
        let collections = self.collections_of(job.subject())?;
        let Some(ask) = Ask::of(job.subject(), &request) else {
            for collection in collections {
                self.part(&request, job, collection).answer().await?;
            }
            return Ok(());
        };
        let began = self.broker.position_of(names::SYNC).await?;
        if let Some(ends) = self.shared.answer_to(&ask, job.sequence(), began) {
            for (collection, pull_last) in ends {
                let tally = Tally { pull_last, is_anothers: true, ..Tally::default() };
                self.part(&request, job, collection).tell_listed(&tally, None).await?;
            }
            return Ok(());
        }
        let mut ends = Some(Vec::new());
        for collection in collections {
            let tally = self.part(&request, job, collection.clone()).answer().await?;
            match (tally, &mut ends) {
                (Some(tally), Some(ends)) if !tally.goes_on => ends.push((collection, tally.pull_last)),
                _ => ends = None,
            }
        }
        if let Some(ends) = ends {
            self.shared.note(ask, job.sequence(), began, ends);
        }
        Ok(())
    }

    fn part<'a>(&'a self, request: &'a SyncRequest, job: &Job, collection: CollectionName) -> Part<'a, S> {
        let run = request.within.unwrap_or(RunId(job.sequence()));
        Part { pulls: self, request, sequence: job.sequence(), run, collection }
    }

    /// The collections that a request's subject names: one, or all.
    fn collections_of(&self, subject: &str) -> Result<Vec<CollectionName>, Trouble> {
        let all = self.system.collections();
        let Some(name) = subject.split('.').nth(3) else { return Ok(all) };
        match all.iter().find(|collection| collection.as_str() == name) {
            Some(collection) => Ok(vec![collection.clone()]),
            None => {
                let known = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let system = self.system.name();
                Err(Trouble::Never(format!("{system} has no collection `{name}`; it has: {known}")))
            }
        }
    }
}

impl<S: OutsideSystem> Handler for Pulls<S> {
    fn stage(&self) -> &'static str {
        "sync"
    }

    fn lane(&self, _job: &Job) -> String {
        // One listing at a time: two of a collection would fight over its cursor.
        "listings".to_owned()
    }

    async fn handle(&self, job: &Job) -> Verdict {
        match self.answer(job).await {
            Ok(()) => Verdict::Done,
            Err(Trouble::Never(error)) => Verdict::Dead(error),
            Err(Trouble::Again(error)) => Verdict::Retry(error),
            Err(Trouble::Resting) => Verdict::Later(ASKED_APART),
        }
    }

    /// A dead request has its listings ended too, as broken off, so that no run waits for them.
    async fn buried(&self, job: &Job, error: &str) {
        let Ok(request) = job.read::<SyncRequest>("a sync request") else { return };
        let Ok(collections) = self.collections_of(job.subject()) else { return };
        for collection in collections {
            let part = self.part(&request, job, collection);
            let failure = Failure { class: FailureClass::Unknown, message: error.to_owned(), field: None };
            if let Err(trouble) = part.tell_listed(&Tally::default(), Some(failure)).await {
                tracing::error!(
                    %trouble,
                    subject = job.subject(),
                    "The end of a dead request's listing could not be told."
                );
            }
        }
    }
}

/// One collection's part of a request.
struct Part<'a, S> {
    pulls: &'a Pulls<S>,
    request: &'a SyncRequest,
    sequence: u64,
    run: RunId,
    collection: CollectionName,
}

/// What a part came to.
#[derive(Default)]
struct Tally {
    records: u64,
    pull_last: u64,
    pages: u64,
    /// Some of it was read for an earlier request, or before this attempt.
    goes_on: bool,
    /// It was all read for another request.
    is_anothers: bool,
}

impl Tally {
    /// What is committed with a cursor.
    fn come_to<P>(&mut self, cursor: &Cursor<P>) {
        self.records = cursor.records;
        self.pull_last = cursor.pull_last.unwrap_or_default();
    }
}

impl<S: OutsideSystem> Part<'_, S> {
    /// Whether its pages are committed with a cursor, from which it can go on.
    fn moves_a_cursor(&self) -> bool {
        self.request.since.is_none() && self.request.ids.is_empty() && !self.request.dry_run
    }

    /// What the part came to, unless it broke off.
    async fn answer(&self) -> Result<Option<Tally>, Trouble> {
        let mut tally = Tally::default();
        let listed = if !self.request.ids.is_empty() {
            self.by_ids(&mut tally).await?
        } else if self.moves_a_cursor() {
            self.with_cursor(&mut tally).await?
        } else {
            self.without_cursor(&mut tally).await?
        };
        let failure = listed.err().map(|error| error.failure());
        let is_whole = failure.is_none();
        self.tell_listed(&tally, failure).await?;
        Ok(is_whole.then_some(tally))
    }

    /// Tells the end of this part: all of it is pulled, or it broke off.
    async fn tell_listed(&self, tally: &Tally, error: Option<Failure>) -> Result<(), Trouble> {
        // What another's listing lacks is looked for in that one's run, which its records name.
        let whole = self.request.mode != Mode::Incremental
            && self.request.max_records.is_none()
            && !tally.is_anothers;
        let event = Listed {
            system: self.pulls.system.name().clone(),
            collection: self.collection.clone(),
            request: self.sequence,
            complete: error.is_none(),
            whole: whole && error.is_none() && self.request.ids.is_empty(),
            records: tally.records,
            pull_last: tally.pull_last,
            pages: tally.pages,
            calls_per_minute: self.pulls.system.calls_per_minute(),
            error,
        };
        fail::fail_point!("pull.before-listed");
        let envelope = Envelope::of_run(Some(self.run))
            .with_id(format!("listed-{}-{}-{}", self.sequence, event.system, event.collection));
        self.pulls.broker.publish(subject::run(self.run, "listed"), &event, &envelope).await?;
        fail::fail_point!("pull.after-listed");
        Ok(())
    }

    fn span(&self) -> Span {
        match self.request.mode {
            Mode::Incremental => Span::Changed(self.request.since),
            Mode::Full | Mode::Migrate => Span::Whole,
        }
    }

    async fn by_ids(&self, tally: &mut Tally) -> Result<Result<(), CallError>, Trouble> {
        for ids in self.request.ids.chunks(200) {
            let read_after = self.pulls.broker.read_after().await?;
            tally.pages += 1;
            match self.unless_resting(self.pulls.system.by_ids(&self.collection, ids)).await? {
                Ok(page) => self.publish_page(&page, read_after, tally).await?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }

    async fn publish_page<P>(
        &self,
        page: &Page<P>,
        read_after: ReadAfter,
        tally: &mut Tally,
    ) -> Result<(), Trouble> {
        self.tell(&page.notices).await?;
        for result in self.results(&page.records, read_after) {
            let token = KeyToken::of(result.key.as_ref(), &result.id);
            let subject = subject::pull(&result.system, &result.collection, &token);
            match self.pulls.broker.publish(subject, &result, &Envelope::of_run(Some(self.run))).await {
                Ok(sequence) => {
                    tally.records += 1;
                    tally.pull_last = sequence;
                }
                Err(PublishError::TooLarge { .. }) => self.bury_too_large(vec![result]).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn results(&self, records: &[Shown], read_after: ReadAfter) -> Vec<PullResult> {
        records
            .iter()
            .map(|record| PullResult {
                system: self.pulls.system.name().clone(),
                collection: self.collection.clone(),
                id: record.id.clone(),
                key: record.key.clone(),
                parent: record.parent.clone(),
                revision: record.revision,
                deleted: record.deleted,
                fields: record.fields.clone(),
                made_by: record.made_by.clone(),
                handle: record.handle.clone(),
                run: Some(self.run),
                read_after,
            })
            .collect()
    }

    async fn tell(&self, notices: &[Parked]) -> Result<(), Trouble> {
        for notice in notices {
            tracing::warn!(reason = notice.reason, run = %self.run, "Something waits for a person.");
            let envelope = Envelope::of_run(Some(self.run));
            self.pulls.broker.publish(subject::run(self.run, "parked"), notice, &envelope).await?;
        }
        Ok(())
    }

    /// How many more records the request wants.
    fn left(&self, records: u64) -> usize {
        self.request
            .max_records
            .map_or(usize::MAX, |most| usize::try_from(most.saturating_sub(records)).unwrap_or(usize::MAX))
    }
}

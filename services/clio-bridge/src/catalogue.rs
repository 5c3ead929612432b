//! The ids behind the names, kept at hand and kept fresh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_broker::{Broker, Bucket, BucketError, Versioned, names};
use databridge_http::{CallError, ErrorClass};
use databridge_runtime::Clock;
use tokio::sync::Mutex;

use crate::client::ClioClient;
use crate::definitions;
use crate::errand::Errand;
use crate::found::Found;
use crate::settings::{BridgeSettings, CustomFieldSettings};

/// The key in the bucket `found`.
const KEY: &str = "clio";

/// Another replica may have written meanwhile, so the bucket is looked at again this often.
const LOOK_APART: TimeDelta = TimeDelta::seconds(30);

/// What a reading did not explain is not read for again before this; nor is a reading that failed repeated.
const READ_APART: TimeDelta = TimeDelta::seconds(60);

/// Knows what bootstrap found, and reads the custom fields again when it is time or something is not known.
#[derive(Debug)]
pub struct Catalogue {
    bucket: Bucket<Found>,
    client: ClioClient,
    wanted: BTreeMap<String, CustomFieldSettings>,
    read_every: TimeDelta,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// What was not known, and when the custom fields were read for it.
    unexplained: BTreeMap<String, DateTime<Utc>>,
    failed_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
struct Held {
    found: Arc<Found>,
    revision: u64,
    looked_at: DateTime<Utc>,
}

impl Catalogue {
    /// Opens the bucket.
    pub async fn open(
        broker: &Broker,
        client: ClioClient,
        settings: &BridgeSettings,
        clock: Clock,
    ) -> Result<Self, BucketError> {
        Ok(Self {
            bucket: broker.bucket(names::FOUND).await?,
            client,
            wanted: settings.custom_fields.clone(),
            read_every: TimeDelta::minutes(settings.custom_fields_minutes.into()),
            clock,
            state: Mutex::default(),
        })
    }

    /// What is known now. Costs a call only when the custom fields are due to be read again.
    pub async fn current(&self, errand: &Errand) -> Result<Arc<Found>, CallError> {
        self.of_age(self.read_every, errand).await
    }

    /// What is known, read just now: before a listing of everything, because a field that was deleted in Clio would show
    /// as empty on every matter.
    pub async fn fresh(&self, errand: &Errand) -> Result<Arc<Found>, CallError> {
        self.of_age(TimeDelta::zero(), errand).await
    }

    /// What is known, from a reading of the last minute: to tell fields that are empty from one that was deleted.
    pub async fn of_last_minute(&self, errand: &Errand) -> Result<Arc<Found>, CallError> {
        self.of_age(READ_APART, errand).await
    }

    async fn of_age(&self, age: TimeDelta, errand: &Errand) -> Result<Arc<Found>, CallError> {
        let mut state = self.state.lock().await;
        let held = self.look(&mut state).await?;
        let now = self.clock.now();
        let is_due = now >= held.found.read_at + age;
        let failed_lately = state.failed_at.is_some_and(|at| now < at + READ_APART);
        if !is_due || failed_lately {
            return Ok(held.found);
        }
        match self.read_again(&mut state, held.clone(), errand).await {
            Ok(found) => Ok(found),
            Err(error) => {
                tracing::warn!(%error, "Clio's custom fields cannot be read again; those known are used.");
                state.failed_at = Some(now);
                Ok(held.found)
            }
        }
    }

    /// Reads the custom fields again because these things are not known; `None` if that was done lately and did not
    /// help.
    pub async fn explain(
        &self,
        unknown: &BTreeSet<String>,
        errand: &Errand,
    ) -> Result<Option<Arc<Found>>, CallError> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        state.unexplained.retain(|_, asked_at| now < *asked_at + READ_APART);
        if unknown.iter().all(|thing| state.unexplained.contains_key(thing)) {
            return Ok(None);
        }
        tracing::info!(unknown = ?unknown, "Reading Clio's custom fields again.");
        let held = self.look(&mut state).await?;
        let found = self.read_again(&mut state, held, errand).await?;
        state.unexplained.extend(unknown.iter().map(|thing| (thing.clone(), now)));
        Ok(Some(found))
    }

    /// Keeps what a bootstrap found.
    pub async fn keep(&self, found: Found) -> Result<(), BucketError> {
        let mut state = self.state.lock().await;
        let revision = loop {
            let written = match self.bucket.get(KEY).await? {
                Some(Versioned { revision, .. }) => self.bucket.update(KEY, &found, revision).await,
                None => self.bucket.create(KEY, &found).await,
            };
            match written {
                Ok(revision) => break revision,
                Err(BucketError::Moved(_)) => {}
                Err(error) => return Err(error),
            }
        };
        *state = State {
            held: Some(Held { found: Arc::new(found), revision, looked_at: self.clock.now() }),
            ..State::default()
        };
        drop(state);
        Ok(())
    }

    async fn look(&self, state: &mut State) -> Result<Held, CallError> {
        let now = self.clock.now();
        if let Some(held) = &state.held
            && now < held.looked_at + LOOK_APART
        {
            return Ok(held.clone());
        }
        let held = match (self.bucket.get(KEY).await, &state.held) {
            (Ok(Some(Versioned { value, revision })), _) => {
                Held { found: Arc::new(value), revision, looked_at: now }
            }
            (Ok(None), _) => {
                state.held = None;
                return Err(not_ready(
                    "it is not known where our matters are in Clio; run `databridge connect`, unless Clio is \
                     connected, and then run `databridge bootstrap` once, which finds or makes what is needed",
                ));
            }
            (Err(error), Some(held)) => {
                tracing::warn!(%error, "What bootstrap found cannot be looked up; what is known is used.");
                Held { looked_at: now, ..held.clone() }
            }
            (Err(error), None) => return Err(not_ready(&error.to_string())),
        };
        state.held = Some(held.clone());
        Ok(held)
    }

    async fn read_again(
        &self,
        state: &mut State,
        held: Held,
        errand: &Errand,
    ) -> Result<Arc<Found>, CallError> {
        let all = definitions::read(&self.client, errand).await?;
        let now = self.clock.now();
        let custom_fields = definitions::ours(&all, &self.wanted, &held.found.custom_fields);
        let found = Found { custom_fields, read_at: now, ..held.found.as_ref().clone() };
        let fresh = match self.bucket.update(KEY, &found, held.revision).await {
            Ok(revision) => Held { found: Arc::new(found), revision, looked_at: now },
            Err(error) => {
                // Another replica was faster, or the broker is away; the next look goes to the bucket.
                tracing::debug!(%error, "The custom fields just read are not kept.");
                Held { found: Arc::new(found), revision: held.revision, looked_at: now - LOOK_APART }
            }
        };
        state.failed_at = None;
        Ok(Arc::clone(&state.held.insert(fresh).found))
    }
}

/// Nothing can be done with Clio yet, which is no fault of a record: whoever waits tries again.
pub(crate) fn not_ready(why: &str) -> CallError {
    CallError { class: ErrorClass::Unauthorised, call: "clio".to_owned(), message: why.to_owned() }
}

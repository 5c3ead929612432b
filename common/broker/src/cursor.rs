//! Cursors, committed together with the page that they stand for.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use chrono::{DateTime, Utc};
use databridge_model::subject::{self, CursorLane};
use databridge_model::{CollectionName, KeyToken, PullResult, RunId, SystemName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::batch::LARGEST_BATCH;
use crate::publish::{LARGEST_BODY, body_of};
use crate::{BatchError, BatchMessage, Broker, Envelope, names};

/// Where a pull stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor<P> {
    /// The sync request that is being answered, or was answered last.
    pub request: u64,
    /// Whether it is answered whole.
    pub done: bool,
    /// Records published for it so far.
    pub records: u64,
    /// The sequence of the last record published for it; 0 if there were none. Absent in a stored cursor whose batch
    /// had records: there it is the cursor's own sequence less one, which [`CursorStore::open`] fills in.
    pub pull_last: Option<u64>,
    /// From when the next incremental listing reads, where the bridge can say: for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_from: Option<DateTime<Utc>>,
    /// A person's word: the next incremental listing begins there, and not at `place`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_at: Option<BeginAt>,
    /// The bridge's own: the watermark, the place in the listing.
    pub place: P,
}

/// Where a person wants an incremental listing to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeginAt {
    /// It reads all.
    Start,
    /// It reads what has changed since.
    Moment(DateTime<Utc>),
}

/// One cursor subject in PULL, written by compare-and-set.
#[derive(Clone, Debug)]
pub struct CursorStore {
    broker: Broker,
    system: SystemName,
    collection: CollectionName,
    subject: String,
    sequence: u64,
}

/// The most bytes in one batch: far below what the server takes, so that memory stays small.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

impl CursorStore {
    /// Opens a collection's cursor and reads it. One that cannot be read counts as none, and is logged.
    pub async fn open<P: DeserializeOwned>(
        broker: &Broker,
        system: &SystemName,
        collection: &CollectionName,
        lane: CursorLane,
    ) -> Result<(Self, Option<Cursor<P>>), BatchError> {
        let subject = subject::cursor(system, collection, lane);
        let mut store = Self {
            broker: broker.clone(),
            system: system.clone(),
            collection: collection.clone(),
            subject: subject.clone(),
            sequence: 0,
        };
        let Some((sequence, payload)) = store.last().await? else { return Ok((store, None)) };
        store.sequence = sequence;
        match serde_json::from_slice::<Cursor<P>>(&payload) {
            Ok(mut cursor) => {
                cursor.pull_last.get_or_insert(sequence - 1);
                Ok((store, Some(cursor)))
            }
            Err(error) => {
                tracing::error!(%error, subject, "The cursor cannot be read; everything is pulled anew.");
                Ok((store, None))
            }
        }
    }

    /// Commits records and the cursor after them, all or nothing, in as few batches as their size allows; each
    /// batch has a cursor, whose place `place_after` gives for the records up to that index.
    ///
    /// A record that is too large is left out and given back, to be dead-lettered by the caller.
    pub async fn commit<P: Serialize + Clone>(
        &mut self,
        records: Vec<PullResult>,
        cursor: &mut Cursor<P>,
        run: Option<RunId>,
        place_after: impl Fn(usize) -> P,
        last: P,
    ) -> Result<Vec<PullResult>, BatchError> {
        let mut too_large = Vec::new();
        let mut batch = Vec::new();
        let mut bytes = 0;
        let count = records.len();
        for (index, record) in records.into_iter().enumerate() {
            let token = KeyToken::of(record.key.as_ref(), &record.id);
            let subject = subject::pull(&self.system, &self.collection, &token);
            let Ok(payload) = body_of(&subject, &record) else {
                too_large.push(record);
                continue;
            };
            bytes += payload.len();
            let headers = self.headers(&subject, run);
            batch.push(BatchMessage { subject, payload, headers });
            if (batch.len() == LARGEST_BATCH - 1 || bytes > LARGEST_PAGE - LARGEST_BODY) && index + 1 < count
            {
                cursor.place = place_after(index);
                let done = std::mem::replace(&mut cursor.done, false);
                self.store(std::mem::take(&mut batch), cursor, run).await?;
                cursor.done = done;
                bytes = 0;
            }
        }
        cursor.place = last;
        self.store(batch, cursor, run).await?;
        Ok(too_large)
    }

    /// Where it stands in its stream.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    async fn store<P: Serialize>(
        &mut self,
        mut batch: Vec<BatchMessage>,
        cursor: &mut Cursor<P>,
        run: Option<RunId>,
    ) -> Result<(), BatchError> {
        let records = batch.len() as u64;
        cursor.records += records;
        let expected = self.sequence;
        let mut headers = self.headers(&self.subject, run);
        headers.insert(async_nats::header::NATS_ROLLUP, "sub");
        headers
            .insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string().as_str());
        if records > 0 {
            cursor.pull_last = None;
        }
        let payload = body_of(&self.subject, cursor).map_err(|e| BatchError::Refused(e.to_string()))?;
        batch.push(BatchMessage { subject: self.subject.clone(), payload: payload.clone(), headers });
        self.sequence = match self.broker.publish_batch(batch).await {
            Ok(sequence) => sequence,
            // The answer may be lost though all is stored; the cursor tells.
            Err(BatchError::Unanswered(why)) => match self.last().await? {
                Some((sequence, stored)) if sequence > expected && stored == payload => sequence,
                Some((sequence, _)) if sequence > expected => return Err(BatchError::Moved),
                _ => return Err(BatchError::Unanswered(why)),
            },
            Err(error) => return Err(error),
        };
        cursor.pull_last.get_or_insert(self.sequence - 1);
        Ok(())
    }

    async fn last(&self) -> Result<Option<(u64, bytes::Bytes)>, BatchError> {
        let unanswered = |e: &dyn std::error::Error| BatchError::Unanswered(e.to_string());
        let stream =
            self.broker.jetstream.get_stream_no_info(names::PULL).await.map_err(|e| unanswered(&e))?;
        match stream.get_last_raw_message_by_subject(&self.subject).await {
            Ok(message) => Ok(Some((message.sequence, message.payload))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unanswered(&error)),
        }
    }

    fn headers(&self, subject: &str, run: Option<RunId>) -> HeaderMap {
        self.broker.headers(subject, &Envelope::of_run(run))
    }
}

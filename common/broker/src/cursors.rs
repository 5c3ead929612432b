//! Cursors, for a person who looks at them, or has records read again.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use databridge_model::subject::CursorLane;
use databridge_model::{CollectionName, SystemName};

use crate::{Auditor, BatchError, BeginAt, Broker, Cursor, CursorStore, PublishError, ReadError, names};

/// The cursors.
#[derive(Clone, Debug)]
pub struct CursorDesk {
    broker: Broker,
    auditor: Auditor,
}

/// A cursor as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCursor {
    /// Of which system.
    pub system: SystemName,
    /// Of which collection.
    pub collection: CollectionName,
    /// `live`: what changed; `full`: all.
    pub lane: String,
    /// When it moved last.
    pub at: DateTime<Utc>,
    /// The cursor, with the bridge's own place as it is; or why it cannot be read.
    pub cursor: Result<Cursor<serde_json::Value>, String>,
}

/// A cursor cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// There is none.
    #[error("there is no cursor of {0}.{1}: nothing of it was read yet, so the next sync reads all")]
    None(SystemName, CollectionName),
    /// A listing is under way.
    #[error("a listing of {0}.{1} is under way (request {2}); set its cursor when that has ended")]
    UnderWay(SystemName, CollectionName, u64),
    /// It would go forward.
    #[error(
        "{system}.{collection} is read from {from} on the next time, and {to} is later: what changed in between would not \
         be read. If that is what you want, `databridge cursors set {system}.{collection} {to}`"
    )]
    Forward {
        /// The system.
        system: SystemName,
        /// The collection.
        collection: CollectionName,
        /// From when on it is read.
        from: String,
        /// What was asked for.
        to: String,
    },
    /// It would go far beyond now.
    #[error(
        "{0} lies more than a day ahead, and nothing that changes until then would be read; write an earlier moment"
    )]
    Ahead(String),
    /// A listing has moved it at this very moment.
    #[error("a listing has moved the cursor of {0}.{1} at this very moment; look again")]
    Moved(SystemName, CollectionName),
    /// It cannot be read or written.
    #[error(transparent)]
    Batch(BatchError),
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was done cannot be noted.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl CursorDesk {
    /// Opens them for somebody, whose name the audit keeps.
    pub fn new(broker: &Broker, by: &str) -> Self {
        Self { broker: broker.clone(), auditor: Auditor::new(broker, by) }
    }

    /// All cursors, by system, collection and lane.
    pub async fn all(&self) -> Result<Vec<StoredCursor>, CursorError> {
        let (mut found, mut from) = (Vec::new(), 1);
        while let Some(message) = self.broker.next_stored(names::PULL, "cursor.>", from).await? {
            from = message.sequence + 1;
            let mut tokens = message.subject.split('.').skip(1);
            let (system, collection) = (tokens.next().unwrap_or_default(), tokens.next().unwrap_or_default());
            let (Ok(system), Ok(collection)) = (system.parse(), collection.parse()) else { continue };
            let nanoseconds = i64::try_from(message.time.unix_timestamp_nanos());
            found.push(StoredCursor {
                system,
                collection,
                lane: tokens.next().unwrap_or_default().to_owned(),
                at: nanoseconds.map(DateTime::from_timestamp_nanos).unwrap_or_default(),
                cursor: serde_json::from_slice(&message.payload).map_err(|error| error.to_string()),
            });
        }
        let place = |it: &StoredCursor| (it.system.clone(), it.collection.clone(), it.lane.clone());
        found.sort_by_key(place);
        Ok(found)
    }

    /// Has the next incremental listing of a collection begin earlier than where its cursor stands: records are read
    /// again, and nothing is written of what is carried over already.
    pub async fn rewind(
        &self,
        system: &SystemName,
        collection: &CollectionName,
        to: BeginAt,
    ) -> Result<(), CursorError> {
        self.change(system, collection, to, false).await
    }

    /// The same, but it may go forward, too: what changed in between is then not read before the next full sync.
    pub async fn set(
        &self,
        system: &SystemName,
        collection: &CollectionName,
        to: BeginAt,
    ) -> Result<(), CursorError> {
        self.change(system, collection, to, true).await
    }

    async fn change(
        &self,
        system: &SystemName,
        collection: &CollectionName,
        to: BeginAt,
        may_go_forward: bool,
    ) -> Result<(), CursorError> {
        // A day, for clocks that differ.
        let now = self.broker.clock().now();
        if let BeginAt::Moment(to) = to
            && to - now > TimeDelta::days(1)
        {
            return Err(CursorError::Ahead(moment(to)));
        }
        let names = || (system.clone(), collection.clone());
        let failed = |error| match error {
            BatchError::Moved => CursorError::Moved(system.clone(), collection.clone()),
            other => CursorError::Batch(other),
        };
        let opened =
            CursorStore::open::<serde_json::Value>(&self.broker, system, collection, CursorLane::Live).await;
        let (mut store, found) = opened.map_err(failed)?;
        let Some(mut cursor) = found else {
            let (system, collection) = names();
            return Err(CursorError::None(system, collection));
        };
        if !cursor.done {
            let (system, collection) = names();
            return Err(CursorError::UnderWay(system, collection, cursor.request));
        }
        if let (BeginAt::Moment(to), Some(from), false) = (to, cursor.reads_from, may_go_forward)
            && to > from
        {
            let (system, collection) = names();
            return Err(CursorError::Forward { system, collection, from: moment(from), to: moment(to) });
        }
        let stood = match (cursor.begin_at, cursor.reads_from) {
            (Some(begin_at), _) => format!("it was set to {}", begin_at.told()),
            (None, Some(from)) => format!("it was read from {} on", moment(from)),
            (None, None) => "from when on it was read is not known".to_owned(),
        };
        cursor.begin_at = Some(to);
        let place = cursor.place.clone();
        store
            .commit(Vec::new(), &mut cursor, None, |_| place.clone(), place.clone())
            .await
            .map_err(failed)?;
        let about = format!("cursor of {system}.{collection}, to {}", to.told());
        let id = format!("cursor-{system}-{collection}-{}", store.sequence());
        Ok(self.auditor.note("cursor", "set", about, Some(stood), &id).await?)
    }
}

impl BeginAt {
    /// In words.
    pub fn told(&self) -> String {
        match self {
            Self::Start => "the start".to_owned(),
            Self::Moment(at) => moment(*at),
        }
    }
}

/// As it is typed.
fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

//! What a person does with conflicts: look, choose the other value, let the winner stand.

use std::time::Duration;

use databridge_broker::{
    Auditor, Broker, Bucket, BucketError, Envelope, PublishError, ReadError, Versioned, names,
};
use databridge_model::{
    CollectionName, ConflictRecord, Key, OtherValue, Outcome, OutcomeResult, PushId, PushRequest, Settled,
    SystemName, Value, decode, subject,
};

/// The conflicts, for a person.
#[derive(Debug)]
pub struct ConflictDesk {
    broker: Broker,
    bucket: Bucket<ConflictRecord>,
    auditor: Auditor,
}

/// A conflict and the number by which it is named. The number changes when it is settled.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptConflict {
    /// Its number.
    pub number: u64,
    /// The conflict.
    pub record: ConflictRecord,
    name: String,
}

/// Which conflicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConflictFilter {
    /// A system that won or lost.
    pub system: Option<String>,
    /// The key of the records.
    pub key: Option<Key>,
    /// The losing side's field.
    pub field: Option<String>,
    /// Those that are settled, too.
    pub settled: bool,
}

/// The other value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The system where it was typed: a sync of this record carries it to the other side.
    pub system: SystemName,
    /// The collection.
    pub collection: CollectionName,
    /// The record's id.
    pub id: String,
}

/// Something cannot be done with a conflict.
#[derive(Debug, thiserror::Error)]
pub enum ConflictError {
    /// There is none of this number.
    #[error("there is no conflict {0}; `databridge conflicts` lists those that there are")]
    NotThere(u64),
    /// Somebody has decided it already.
    #[error("conflict {0} was settled by {1}")]
    Settled(u64, String),
    /// The other value cannot be brought back by us.
    #[error("the other value of conflict {0} cannot be brought back from here: {1}")]
    Impossible(u64, String),
    /// The record has changed since.
    #[error(
        "nothing is written: {system} shows `{shown}` now and not `{expected}`, the value that won; change it there, or \
         `databridge conflicts settle {number}`"
    )]
    Changed {
        /// Its number.
        number: u64,
        /// The system that was to be written.
        system: SystemName,
        /// What it shows.
        shown: String,
        /// What had won.
        expected: String,
    },
    /// The system did not take it.
    #[error("nothing is written: {0}")]
    NotTaken(String),
    /// The bridge has not answered.
    #[error(
        "the {0}-bridge has not answered in {1} seconds; is it running? The value is written once it does: look again then"
    )]
    Unanswered(SystemName, u64),
    /// They cannot be read or written.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Something cannot be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The outcome cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ConflictFilter {
    /// Whether it takes every conflict that is not settled.
    pub fn is_all(&self) -> bool {
        Self { settled: false, ..self.clone() } == Self::default()
    }

    fn takes(&self, record: &ConflictRecord) -> bool {
        let conflict = &record.conflict;
        let is_of = |system: &String| [&conflict.won, &conflict.lost].iter().any(|it| it.as_str() == *system);
        (self.settled || record.settled.is_none())
            && self.system.as_ref().is_none_or(is_of)
            && self.key.as_ref().is_none_or(|key| record.key == *key)
            && self.field.as_ref().is_none_or(|field| conflict.field == *field)
    }
}

/// How long a bridge may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked for the answer.
const LOOKED_APART: Duration = Duration::from_millis(100);

/// How long a settled conflict is known: as long as the audit tells of it.
const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

impl ConflictDesk {
    /// Opens them for somebody, whose name the audit keeps.
    pub async fn open(broker: &Broker, by: &str) -> Result<Self, ConflictError> {
        let bucket = broker.bucket(names::CONFLICTS).await?;
        Ok(Self { broker: broker.clone(), bucket, auditor: Auditor::new(broker, by) })
    }

    /// Those that a filter takes, the oldest first.
    pub async fn all(&self, filter: &ConflictFilter) -> Result<Vec<KeptConflict>, ConflictError> {
        let mut found = Vec::new();
        self.bucket
            .each(|name, Versioned { value: record, revision: number }| {
                if filter.takes(&record) {
                    found.push(KeptConflict { number, record, name });
                }
            })
            .await?;
        found.sort_by_key(|kept| kept.number);
        Ok(found)
    }

    /// The one of this number.
    pub async fn get(&self, number: u64) -> Result<KeptConflict, ConflictError> {
        let all = self.all(&ConflictFilter { settled: true, ..ConflictFilter::default() }).await?;
        all.into_iter().find(|kept| kept.number == number).ok_or(ConflictError::NotThere(number))
    }

    /// Lets the winner stand.
    pub async fn settle(&self, number: u64) -> Result<(), ConflictError> {
        let kept = self.open_one(number).await?;
        self.close(&kept, false).await
    }

    /// Brings the other value back, over the one that won, if that still stands there. Done twice it is done once.
    pub async fn choose_other(&self, number: u64) -> Result<Chosen, ConflictError> {
        let kept = self.open_one(number).await?;
        let (on, push) = match &kept.record.other {
            OtherValue::Push { subject, push } => (subject, push),
            OtherValue::Impossible(why) => return Err(ConflictError::Impossible(number, why.clone())),
        };
        let parts = subject::record_parts(on, 2).and_then(|(system, collection, _)| {
            Some((system.parse::<SystemName>().ok()?, collection.parse::<CollectionName>().ok()?))
        });
        let (Some((system, collection)), Some(target)) = (parts, &push.target) else {
            return Err(ConflictError::Impossible(number, format!("`{on}` is no subject of a push")));
        };
        let from = self.broker.position_of(names::OUTCOME).await?.sequence + 1;
        let sequence = self.broker.publish(on.clone(), push.as_ref(), &Envelope::default()).await?;
        let outcome = self.outcome_of(&PushId::of_person(sequence), &system, on, from).await?;
        if !outcome.result.is_done() {
            return Err(not_done(number, &system, push, &outcome));
        }
        self.close(&kept, true).await?;
        Ok(Chosen { system, collection, id: target.id.clone() })
    }

    async fn open_one(&self, number: u64) -> Result<KeptConflict, ConflictError> {
        let kept = self.get(number).await?;
        match &kept.record.settled {
            Some(settled) => Err(ConflictError::Settled(number, settled.by.clone())),
            None => Ok(kept),
        }
    }

    /// The answer to a push that was published on this subject.
    async fn outcome_of(
        &self,
        push: &PushId,
        system: &SystemName,
        on: &str,
        mut from: u64,
    ) -> Result<Outcome, ConflictError> {
        let record = on.splitn(3, '.').last().unwrap_or_default();
        let filter = format!("outcome.{record}");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            while let Some(message) = self.broker.next_stored(names::OUTCOME, &filter, from).await? {
                from = message.sequence + 1;
                match decode::<Outcome>("an outcome", &message.payload) {
                    Ok(outcome) if outcome.push == *push => return Ok(outcome),
                    _ => {}
                }
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(ConflictError::Unanswered(system.clone(), PATIENCE.as_secs()));
            }
            tokio::time::sleep(LOOKED_APART).await;
        }
    }

    async fn close(&self, kept: &KeptConflict, other_chosen: bool) -> Result<(), ConflictError> {
        let conflict = &kept.record.conflict;
        let action = if other_chosen { "other_chosen" } else { "settled" };
        let about = format!("conflict {}, {} {}", kept.number, conflict.link, conflict.field);
        let (winner, loser) = (conflict.winner.to_plain(), conflict.loser.to_plain());
        let more = format!("{} had won with `{winner}` over `{loser}`", conflict.won);
        self.auditor
            .note("conflict", action, about, Some(more), &format!("{}-{}", names::CONFLICTS, kept.number))
            .await?;
        let settled =
            Settled { at: self.broker.clock().now(), by: self.auditor.by().to_owned(), other_chosen };
        let record = ConflictRecord { settled: Some(settled), ..kept.record.clone() };
        self.bucket.update_for(&kept.name, &record, kept.number, KEPT).await?;
        Ok(())
    }
}

/// Why the other value was not written.
fn not_done(number: u64, system: &SystemName, push: &PushRequest, outcome: &Outcome) -> ConflictError {
    if outcome.result == OutcomeResult::Stale {
        let expected = push.expect.iter().next();
        let shown = expected.and_then(|(field, _)| outcome.shown.get(field)).map(Value::to_plain);
        return ConflictError::Changed {
            number,
            system: system.clone(),
            shown: shown.unwrap_or_else(|| "another value".to_owned()),
            expected: expected.map(|(_, value)| value.to_plain()).unwrap_or_default(),
        };
    }
    let parked = outcome.parked.values().next().cloned();
    let reason = outcome.error.as_ref().map(|error| error.message.clone()).or(parked);
    ConflictError::NotTaken(reason.unwrap_or_else(|| match outcome.result {
        OutcomeResult::Gone => format!("{system} has the record no more"),
        _ => format!("{system} gave no reason"),
    }))
}

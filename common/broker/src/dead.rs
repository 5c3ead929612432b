//! Dead letters, for a person who looks through them, mends them, and has them dealt with again.

use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use base64::Engine;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use databridge_model::{
    BodyError, DeadAttempt, DeadLetter, Key, Listed, Outcome, PullResult, PushId, PushRequest, SyncRequest,
    decode,
};

use crate::{Auditor, Broker, Envelope, PublishError, ReadError, names};

/// The dead letters.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    broker: Broker,
    stream: Stream<()>,
    /// Who does what is done here.
    auditor: Auditor,
}

/// A message of the stream DEAD.
#[derive(Clone, Debug, PartialEq)]
pub struct Buried {
    /// Its sequence there, by which it is named.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// When it was stored.
    pub at: DateTime<Utc>,
    /// What it is.
    pub what: Corpse,
}

/// What a message of the stream DEAD is.
#[derive(Clone, Debug, PartialEq)]
pub enum Corpse {
    /// A message that could not be processed.
    Letter(Box<DeadLetter>),
    /// What nats-server says of a message that it gave up, in its own words.
    Advisory(String),
    /// Anything else, with the reason why it cannot be read.
    Unreadable(String),
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What it was: `sync`, `pull`, `push`, `outcome`, `run`.
    pub stage: Option<String>,
    /// The system.
    pub system: Option<String>,
    /// The collection.
    pub collection: Option<String>,
    /// The record's key.
    pub key: Option<Key>,
    /// A text that the reason contains.
    pub reason: Option<String>,
}

impl Filter {
    /// Whether it names nothing, and so means all.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    fn subject(&self) -> String {
        if self.is_all() {
            return ">".to_owned();
        }
        let token = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        let key = self.key.as_ref().map_or_else(|| "*".to_owned(), |key| key.token().to_string());
        format!("dead.{}.{}.{}.{key}", token(&self.stage), token(&self.system), token(&self.collection))
    }

    fn takes(&self, buried: &Buried) -> bool {
        let says = |reason: &String| match &buried.what {
            Corpse::Letter(letter) => letter.error.contains(reason),
            Corpse::Advisory(text) | Corpse::Unreadable(text) => text.contains(reason),
        };
        self.reason.as_ref().is_none_or(says)
    }
}

/// Something cannot be done with a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// There is none of this number.
    #[error("there is no dead letter {0}; `databridge dead` lists those that there are")]
    NotThere(u64),
    /// It is none of ours.
    #[error("{0} is no message of ours that could be dealt with again; it can only be discarded")]
    NoLetter(u64),
    /// Its body was too large to be kept.
    #[error("dead letter {0} was too large for its body to be kept; ask for the record again by a sync")]
    NoBody(u64),
    /// What is to take its place cannot be read either.
    #[error("the new body of dead letter {0} would be dead again: {1}")]
    DeadAgain(u64, BodyError),
    /// Something cannot be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The stream cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The stream cannot be used.
    #[error("the dead letters: NATS: {0}")]
    Broker(String),
}

impl DeadLetters {
    /// Opens them for somebody, whose name the audit keeps.
    pub async fn open(broker: &Broker, by: &str) -> Result<Self, DeadError> {
        let stream = broker.jetstream.get_stream_no_info(names::DEAD).await.map_err(|e| failed(&e))?;
        Ok(Self { broker: broker.clone(), stream, auditor: Auditor::new(broker, by) })
    }

    /// Those that a filter takes, in the order of their numbers.
    pub async fn all(&self, filter: &Filter) -> Result<Vec<Buried>, DeadError> {
        let (subject, mut from, mut found) = (filter.subject(), 1, Vec::new());
        while let Some(next) = self.broker.next_stored(names::DEAD, &subject, from).await? {
            from = next.sequence + 1;
            let buried = read(
                next.sequence,
                next.subject.to_string(),
                next.time.unix_timestamp_nanos(),
                &next.payload,
            );
            found.extend(Some(buried).filter(|buried| filter.takes(buried)));
        }
        Ok(found)
    }

    /// The one of this number.
    pub async fn get(&self, sequence: u64) -> Result<Buried, DeadError> {
        match self.stream.get_raw_message(sequence).await {
            Ok(found) => Ok(read(
                sequence,
                found.subject.to_string(),
                found.time.unix_timestamp_nanos(),
                &found.payload,
            )),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                Err(DeadError::NotThere(sequence))
            }
            Err(error) => Err(failed(&error)),
        }
    }
}

impl DeadLetters {
    /// Has a message dealt with again: a copy goes where it was, and only then is it taken out here. If that breaks off
    /// and is done again, the copy is there once for ten minutes, and what it asks for is done once in any case.
    pub async fn replay(&self, sequence: u64) -> Result<u64, DeadError> {
        let letter = self.letter(sequence).await?;
        let body = body_of(&letter, sequence)?;
        let envelope = Envelope::default().with_id(format!("replayed-{}-{sequence}", names::DEAD));
        let headers = self.broker.headers(&letter.subject, &envelope);
        let stored = self.broker.publish_bytes(letter.subject.clone(), body, headers).await?;
        self.note("replayed", sequence, &letter.subject, Some(format!("as {} of {}", stored, letter.stream)))
            .await?;
        self.take_out(sequence).await?;
        Ok(stored)
    }

    /// Gives a dead letter another body, which must be one that can be read; gives its new number.
    pub async fn edit(&self, sequence: u64, body: &str) -> Result<u64, DeadError> {
        let letter = self.letter(sequence).await?;
        readable(&letter.subject, body).map_err(|error| DeadError::DeadAgain(sequence, error))?;
        let subject = self.get(sequence).await?.subject;
        let mut edited = DeadLetter { body: Some(body.to_owned()), body_base64: None, ..letter.clone() };
        edited.attempts.push(DeadAttempt {
            at: self.broker.clock().now(),
            error: format!("its body was edited by {}", self.auditor.by()),
        });
        let id = format!("edited-{}-{sequence}-{}", names::DEAD, edited.attempts.len());
        let stored = self.broker.publish(subject, &edited, &Envelope::default().with_id(id)).await?;
        self.note("edited", sequence, &letter.subject, Some(format!("it is dead letter {stored} now")))
            .await?;
        self.take_out(sequence).await?;
        Ok(stored)
    }

    /// Takes a dead letter away for good. The audit keeps what it was.
    pub async fn discard(&self, sequence: u64) -> Result<(), DeadError> {
        let buried = self.get(sequence).await?;
        let was = match &buried.what {
            Corpse::Letter(letter) => serde_json::to_string(letter).unwrap_or_default(),
            Corpse::Advisory(text) | Corpse::Unreadable(text) => text.clone(),
        };
        self.note("discarded", sequence, &buried.subject, Some(was)).await?;
        self.take_out(sequence).await
    }

    async fn letter(&self, sequence: u64) -> Result<DeadLetter, DeadError> {
        match self.get(sequence).await?.what {
            Corpse::Letter(letter) => Ok(*letter),
            _ => Err(DeadError::NoLetter(sequence)),
        }
    }

    async fn note(
        &self,
        action: &str,
        sequence: u64,
        about: &str,
        more: Option<String>,
    ) -> Result<(), DeadError> {
        let about = format!("dead letter {sequence}, {about}");
        let id = format!("{}-{sequence}", names::DEAD);
        Ok(self.auditor.note("dead", action, about, more, &id).await?)
    }

    async fn take_out(&self, sequence: u64) -> Result<(), DeadError> {
        self.broker.take_out(names::DEAD, sequence).await.map_err(|error| failed(&error))
    }
}

/// The body that goes back. A push of a person's has no id: it gets the one by which a second copy is known.
pub(crate) fn body_of(letter: &DeadLetter, sequence: u64) -> Result<Bytes, DeadError> {
    let bytes = match (&letter.body, &letter.body_base64) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(text)) => {
            let engine = base64::engine::general_purpose::STANDARD;
            engine.decode(text).map_err(|_| DeadError::NoLetter(sequence))?
        }
        (None, None) => return Err(DeadError::NoBody(sequence)),
    };
    if letter.stream == names::PUSH
        && let Ok(push @ PushRequest { push: None, .. }) = decode::<PushRequest>("a push request", &bytes)
    {
        let push = PushRequest { push: Some(PushId::of_person(letter.sequence)), ..push };
        return Ok(serde_json::to_vec(&push).unwrap_or(bytes).into());
    }
    Ok(bytes.into())
}

/// Whether a body can be read as what its subject says that it is.
pub(crate) fn readable(subject: &str, body: &str) -> Result<(), BodyError> {
    let bytes = body.as_bytes();
    match subject.split('.').next().unwrap_or_default() {
        "sync" => decode::<SyncRequest>("a sync request", bytes).map(drop),
        "pull" => decode::<PullResult>("a pull result", bytes).map(drop),
        "push" | "long" => decode::<PushRequest>("a push request", bytes).map(drop),
        "outcome" => decode::<Outcome>("an outcome", bytes).map(drop),
        _ => decode::<Listed>("a listing's end", bytes).map(drop),
    }
}

pub(crate) fn read(sequence: u64, subject: String, nanos: i128, payload: &[u8]) -> Buried {
    let at = i64::try_from(nanos).map(DateTime::from_timestamp_nanos).unwrap_or_default();
    let text = || String::from_utf8_lossy(payload).into_owned();
    let what = if subject.starts_with("dead.") {
        match decode::<DeadLetter>("a dead letter", payload) {
            Ok(letter) => Corpse::Letter(Box::new(letter)),
            Err(error) => Corpse::Unreadable(error.to_string()),
        }
    } else {
        Corpse::Advisory(text())
    };
    Buried { sequence, subject, at, what }
}

fn failed(error: &dyn std::error::Error) -> DeadError {
    DeadError::Broker(error.to_string())
}

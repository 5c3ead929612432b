//! Keeping a message that nobody can deal with, as a dead letter.

use base64::Engine;
use databridge_model::{DeadAttempt, DeadLetter, subject};

use crate::{Broker, Envelope, PublishError, names};

/// A message that nobody can deal with.
pub(crate) struct Dead<'a> {
    pub(crate) stream: &'static str,
    pub(crate) sequence: u64,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a [u8],
}

impl Dead<'_> {
    /// Stores it as a dead letter: once, however often this is done within ten minutes. It stays where it is, too.
    pub(crate) async fn bury(
        &self,
        broker: &Broker,
        stage: &str,
        error: String,
        attempts: Vec<DeadAttempt>,
    ) -> Result<(), PublishError> {
        let (system, collection, key) = self.parts();
        let subject = subject::dead(stage, system, collection, key);
        let (body, body_base64) = match std::str::from_utf8(self.body) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(base64_of(self.body))),
        };
        let letter = DeadLetter {
            subject: self.subject.to_owned(),
            stream: self.stream.to_owned(),
            sequence: self.sequence,
            body,
            body_base64,
            error,
            attempts,
        };
        let envelope = Envelope::default().with_id(format!("dead-{}-{}", self.stream, self.sequence));
        match broker.publish(subject.clone(), &letter, &envelope).await {
            Err(PublishError::TooLarge { .. }) => {
                broker.publish(subject, &in_short(letter), &envelope).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// The system, collection and key that its subject names.
    fn parts(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        let skip = if self.stream == names::PUSH { 2 } else { 1 };
        match self.stream {
            names::SYNC => {
                let mut tokens = self.subject.split('.').skip(2);
                (tokens.next(), tokens.next(), None)
            }
            names::RUN => (None, None, None),
            _ => match subject::record_parts(self.subject, skip) {
                Some((system, collection, key)) => (Some(system), Some(collection), Some(key)),
                None => (None, None, None),
            },
        }
    }
}

/// The letter without the body, and with the beginnings of errors, which may quote the body.
fn in_short(letter: DeadLetter) -> DeadLetter {
    const TOLD: usize = 2000;
    let short = |error: String| error.chars().take(TOLD).collect::<String>();
    let attempt = |attempt: DeadAttempt| DeadAttempt { error: short(attempt.error), ..attempt };
    let attempts = letter.attempts.into_iter().map(attempt).collect();
    DeadLetter { body: None, body_base64: None, error: short(letter.error), attempts, ..letter }
}

fn base64_of(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

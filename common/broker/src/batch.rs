//! Atomic batches: all messages are stored, or none (ADR-50). The client library has no publisher for them.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use bytes::Bytes;

use crate::{Broker, Denied};

/// The most messages of one batch that the server takes (measured: 1,001 are refused with 10199).
pub(crate) const LARGEST_BATCH: usize = 1_000;

/// One message of a batch.
#[derive(Clone, Debug)]
pub struct BatchMessage {
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub payload: Bytes,
    /// Its headers.
    pub headers: HeaderMap,
}

/// A batch was not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BatchError {
    /// It has no or too many messages.
    #[error("a batch of {0} messages cannot be stored; 1 to {LARGEST_BATCH} can")]
    Size(usize),
    /// Another has written the expected subject first: nothing of the batch is stored.
    #[error("another has moved on: nothing of the batch is stored")]
    Moved,
    /// The server does not allow it: nothing of the batch is stored.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The server refused it: nothing of the batch is stored.
    #[error("NATS refused the batch: {0}")]
    Refused(String),
    /// No answer: whether it is stored must be looked up.
    #[error("NATS did not answer whether the batch is stored: {0}")]
    Unanswered(String),
}

/// The server's code for "wrong last sequence".
const WRONG_LAST_SEQUENCE: u64 = 10_071;

impl Broker {
    /// Stores all messages, which must be of one stream, or none. Gives the sequence of the last.
    pub async fn publish_batch(&self, messages: Vec<BatchMessage>) -> Result<u64, BatchError> {
        let count = messages.len();
        if count == 0 || count > LARGEST_BATCH {
            return Err(BatchError::Size(count));
        }
        let id = uuid::Uuid::now_v7().simple().to_string();
        for (index, mut message) in messages.into_iter().enumerate() {
            let sequence = index + 1;
            message.headers.insert(async_nats::header::NATS_BATCH_ID, id.as_str());
            message.headers.insert(async_nats::header::NATS_BATCH_SEQUENCE, sequence.to_string().as_str());
            let last = sequence == count;
            if last {
                message.headers.insert(async_nats::header::NATS_BATCH_COMMIT, "1");
            }
            if last || sequence == 1 {
                // The first is answered too, so that a refusal of the whole is known before the rest is sent.
                let answer = self.ask(message).await?;
                if last {
                    return sequence_of(&answer);
                }
                if !answer.is_empty() {
                    sequence_of(&answer)?;
                }
            } else {
                self.client
                    .publish_with_headers(message.subject, message.headers, message.payload)
                    .await
                    .map_err(|error| BatchError::Refused(error.to_string()))?;
            }
        }
        Err(BatchError::Size(0))
    }

    async fn ask(&self, message: BatchMessage) -> Result<Bytes, BatchError> {
        let request = async_nats::Request::new()
            .payload(message.payload)
            .headers(message.headers)
            .timeout(Some(Duration::from_secs(10)));
        let subject = message.subject;
        let asked = self.client.send_request(subject.clone(), request);
        match self.unless_denied(&[&subject], asked).await? {
            Ok(answer) => Ok(answer.payload),
            Err(error) => Err(BatchError::Unanswered(error.to_string())),
        }
    }
}

fn sequence_of(answer: &[u8]) -> Result<u64, BatchError> {
    match serde_json::from_slice::<Response<PublishAck>>(answer) {
        Ok(Response::Ok(ack)) => Ok(ack.sequence),
        Ok(Response::Err { error }) if error.error_code().0 == WRONG_LAST_SEQUENCE => Err(BatchError::Moved),
        Ok(Response::Err { error }) => Err(BatchError::Refused(error.to_string())),
        Err(error) => Err(BatchError::Unanswered(error.to_string())),
    }
}

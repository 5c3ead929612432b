//! Spent requests: those that are dealt with are taken out of their stream, once nobody has them in hand.
//!
//! A request that is deleted while a worker has not acknowledged it is told by the broker as a message lost, which
//! would stand among the dead letters. A bridge tells the end of its listing before it acknowledges, so the wait is
//! the rule; it is longer after a crash.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use databridge_broker::async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use databridge_broker::{Broker, BucketError, names};
use databridge_model::{RunId, SyncRequest, decode};
use futures::TryStreamExt;

use crate::engine::Trouble;
use crate::runs::Runs;

/// The sequences of spent requests that are still in the stream.
#[derive(Debug, Default)]
pub(crate) struct SpentRequests(Mutex<BTreeSet<u64>>);

impl SpentRequests {
    /// This request is dealt with.
    pub(crate) fn add(&self, sequence: u64) {
        self.lock().insert(sequence);
    }

    /// Whether none is left to be taken away.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes away those that every worker has acknowledged.
    pub(crate) async fn take_away(&self, broker: &Broker) -> Result<(), Trouble> {
        if self.is_empty() {
            return Ok(());
        }
        let stream = requests(broker).await?;
        let workers: Vec<_> = stream.consumers().try_collect().await.map_err(|e| failed(&e))?;
        let in_hand = |sequence: u64| {
            workers
                .iter()
                .any(|worker| worker.num_ack_pending > 0 && worker.ack_floor.stream_sequence < sequence)
        };
        let free: Vec<_> = self.lock().iter().copied().filter(|sequence| !in_hand(*sequence)).collect();
        for sequence in free {
            broker.take_out(names::SYNC, sequence).await.map_err(|e| failed(&e))?;
            self.lock().remove(&sequence);
        }
        Ok(())
    }

    /// Finds those that a crash has left, or brought back.
    pub(crate) async fn find(&self, broker: &Broker, runs: &Runs) -> Result<(), Trouble> {
        let stream = requests(broker).await?;
        let mut from = 1;
        loop {
            let message = match stream.get_first_raw_message_by_subject("sync.request.>", from).await {
                Ok(message) => message,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(()),
                Err(error) => return Err(failed(&error)),
            };
            let sequence = message.sequence;
            let request: Option<SyncRequest> = decode("a sync request", &message.payload).ok();
            let run = request.and_then(|request| request.within).unwrap_or(RunId(sequence));
            let is_spent = match runs.get(run) {
                Some(open) => run.0 != sequence && open.has_answer_to(sequence),
                None => runs.has_ended(run).await?,
            };
            if is_spent {
                self.add(sequence);
            }
            from = sequence + 1;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a sync request is still in the stream.
pub(crate) async fn holds(broker: &Broker, sequence: u64) -> Result<bool, Trouble> {
    match requests(broker).await?.get_raw_message(sequence).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

async fn requests(broker: &Broker) -> Result<Stream<()>, Trouble> {
    broker.jetstream().get_stream_no_info(names::SYNC).await.map_err(|e| failed(&e))
}

fn failed(error: &dyn std::error::Error) -> Trouble {
    BucketError::Broker { key: names::SYNC.to_owned(), why: error.to_string() }.into()
}

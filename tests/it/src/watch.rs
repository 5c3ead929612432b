//! What a test looks at and waits for: messages, dead letters, links, requests held in the sandbox.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use databridge_broker::async_nats::HeaderMap;
use databridge_broker::async_nats::jetstream::consumer::PullConsumer;
use databridge_broker::names;
use databridge_model::{DeadLetter, RunId};
use futures::TryStreamExt;
use sandbox::faults::{Action, Fault, FaultStatus};
use serde_json::Value;
use tokio::time::Instant;

use crate::Town;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message of a stream, as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its sequence.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Stored {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Waits until `look` gives something, looking again every few milliseconds.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    until_in(PATIENCE, what, look).await
}

/// The same with this patience.
pub async fn until_in<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let looked = tokio::time::timeout(patience, look()).await;
        if let Some(found) = looked.with_context(|| format!("a look at {what} did not end"))?? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited in vain for {what}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A request that waits in the sandbox.
pub struct Held<'a> {
    town: &'a Town,
    id: u64,
}

impl Held<'_> {
    /// Waits until a request has come to it.
    pub async fn reached(&self) -> anyhow::Result<()> {
        until("a request to be held", async || {
            let status = self.town.admin.fault_status(self.id).await?;
            Ok(status.filter(|status| status.waiting > 0).map(drop))
        })
        .await
    }

    /// Lets it go on.
    pub async fn release(&self) -> anyhow::Result<()> {
        Ok(self.town.admin.release(self.id).await?)
    }

    /// Follows what makes the request to its end; meddles while the request is held, and then lets it go on.
    pub fn during<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
        meddle: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> impl Future<Output = anyhow::Result<T>> {
        let work = Box::pin(work);
        let meddle = Box::pin(async {
            self.reached().await?;
            let meddled = meddle().await;
            self.release().await?;
            meddled
        });
        async {
            let (done, meddled) = tokio::join!(work, meddle);
            meddled?;
            done
        }
    }
}

impl Town {
    /// Holds the next request that matches, as `fault` says, until it is released.
    pub async fn hold(&self, fault: Fault) -> anyhow::Result<Held<'_>> {
        ensure!(matches!(fault.action, Action::Hold | Action::HoldAfter), "that does not hold");
        Ok(Held { town: self, id: self.admin.fault(&fault).await? })
    }

    /// Switches a fault on.
    pub async fn strike(&self, fault: Fault) -> anyhow::Result<u64> {
        Ok(self.admin.fault(&fault).await?)
    }

    /// What a fault has done so far.
    pub async fn struck(&self, id: u64) -> anyhow::Result<FaultStatus> {
        self.admin.fault_status(id).await?.context("there is no such fault")
    }

    /// All messages of a stream.
    pub async fn messages(&self, stream: &str) -> anyhow::Result<Vec<Stored>> {
        self.messages_from(stream, 1).await
    }

    /// The messages of a stream from a sequence on.
    pub async fn messages_from(&self, stream: &str, from: u64) -> anyhow::Result<Vec<Stored>> {
        let stream = self.broker.jetstream().get_stream(stream).await?;
        let state = stream.get_info().await?.state;
        let mut messages = Vec::new();
        for sequence in state.first_sequence.max(from)..=state.last_sequence {
            // A sequence may have been deleted, as an answered request is.
            let found = stream.get_raw_message(sequence).await.ok();
            if let Some(message) = found.filter(|message| message.subject.as_str() != names::FIRST_IN_PUSH) {
                messages.push(Stored {
                    sequence,
                    subject: message.subject.to_string(),
                    headers: message.headers,
                    body: message.payload.to_vec(),
                });
            }
        }
        Ok(messages)
    }

    /// The names of all streams, those of the buckets too.
    pub async fn streams(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.broker.jetstream().stream_names().try_collect().await?)
    }

    /// Publishes just these bytes, as any client can, and gives the sequence.
    pub async fn publish(&self, subject: &str, body: impl Into<Vec<u8>>) -> anyhow::Result<u64> {
        let body: Vec<u8> = body.into();
        Ok(self.broker.jetstream().publish(subject.to_owned(), body.into()).await?.await?.sequence)
    }

    /// Waits for the dead letter of the message that was at this sequence of this stream.
    pub async fn dead_letter(&self, stream: &str, sequence: u64) -> anyhow::Result<(String, DeadLetter)> {
        until("a dead letter", async || {
            let letters = self.dead_letters().await?;
            Ok(letters.into_iter().find(|(_, letter)| letter.stream == stream && letter.sequence == sequence))
        })
        .await
    }

    /// All dead letters, with their subjects.
    pub async fn dead_letters(&self) -> anyhow::Result<Vec<(String, DeadLetter)>> {
        let messages = self.messages(names::DEAD).await?;
        let letters = messages.iter().filter(|message| message.subject.starts_with("dead."));
        letters.map(|message| Ok((message.subject.clone(), serde_json::from_slice(&message.body)?))).collect()
    }

    /// The link of a warrant, as its bucket keeps it.
    pub async fn link(&self, warrant: &str) -> anyhow::Result<Value> {
        let links = self.broker.bucket::<Value>(names::LINKS).await?;
        let key = databridge_model::Key::parse(warrant).context("no key")?;
        let found = links.get(&format!("litigation_matter.{}", key.token())).await?;
        found.map(|found| found.value).with_context(|| format!("{warrant} has no link"))
    }

    /// Waits until a run is said to have ended.
    pub async fn ended(&self, run: RunId) -> anyhow::Result<()> {
        let subject = format!("run.{run}.ended");
        until("a run to end", async || {
            Ok(self.messages(names::RUN).await?.into_iter().find(|said| said.subject == subject).map(drop))
        })
        .await
    }

    /// Waits until the reconciler has decided everything in PULL.
    pub async fn all_pulls_decided(&self) -> anyhow::Result<()> {
        until("the pulls to be decided", async || {
            let stream = self.broker.jetstream().get_stream(names::PULL).await?;
            // A reconciler that has just started may not have made its consumer yet.
            let consumer: Result<PullConsumer, _> = stream.get_consumer("reconciler").await;
            let Ok(consumer) = consumer else { return Ok(None) };
            let info = consumer.get_info().await?;
            Ok((info.num_pending == 0 && info.num_ack_pending == 0).then_some(()))
        })
        .await
    }

    /// Waits until every sync request has been answered and taken out.
    pub async fn all_requests_taken_out(&self) -> anyhow::Result<()> {
        until("the requests to be taken out", async || {
            Ok(self.messages(names::SYNC).await?.is_empty().then_some(()))
        })
        .await
    }

    /// Runs a cycle, and fails if it writes to either system.
    pub async fn next_cycle_writes_nothing(&self) -> anyhow::Result<()> {
        self.admin.reset_calls().await?;
        self.cycle().await?;
        let calls = self.admin.calls().await?;
        ensure!(
            (calls.clio.writes, calls.gis.writes) == (0, 0),
            "the next cycle wrote: {:?} {:?}",
            calls.clio.by_path,
            calls.gis.by_path
        );
        Ok(())
    }

    /// How many calls wrote since the counters were last reset: to Clio, to the map.
    pub async fn writes(&self) -> anyhow::Result<(u64, u64)> {
        let calls = self.admin.calls().await?;
        Ok((calls.clio.writes, calls.gis.writes))
    }
}

//! The streams, consumers and buckets of the design.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream;
use databridge_model::SystemName;
use databridge_model::subject::Lane;
use databridge_runtime::CancellationToken;

use crate::{Broker, Standing};

/// The names of streams and buckets.
pub mod names {
    /// Sync requests and schedules.
    pub const SYNC: &str = "SYNC";
    /// Pull results and cursors.
    pub const PULL: &str = "PULL";
    /// Outcomes.
    pub const OUTCOME: &str = "OUTCOME";
    /// Run events.
    pub const RUN: &str = "RUN";
    /// Push requests.
    pub const PUSH: &str = "PUSH";
    /// The message that stands first in PUSH for ever: see [`super::ensure`].
    pub const FIRST_IN_PUSH: &str = "later.first";
    /// Dead letters.
    pub const DEAD: &str = "DEAD";
    /// What people did by hand.
    pub const AUDIT: &str = "AUDIT";
    /// Bucket: the links.
    pub const LINKS: &str = "links";
    /// Bucket: effects under way.
    pub const INTENTS: &str = "intents";
    /// Bucket: the last push applied to each record.
    pub const APPLIED: &str = "applied";
    /// Bucket: children that wait for their parent.
    pub const WAITING: &str = "waiting";
    /// Bucket: the open runs, and for a time those that have ended.
    pub const RUNS: &str = "runs";
    /// Bucket: conflicts; those that a person has settled go by themselves in the end.
    pub const CONFLICTS: &str = "conflicts";
    /// Bucket: tokens, encrypted.
    pub const TOKENS: &str = "tokens";
    /// Bucket: what bootstrap found.
    pub const FOUND: &str = "found";
    /// Bucket: the run in which each collection was last listed whole.
    pub const LISTED: &str = "listed";
    /// Bucket: which replica of each service is at work, and who renews a token.
    pub const LEASES: &str = "leases";
    /// Bucket: how many calls of today each system has cost, where it has a budget.
    pub const BUDGETS: &str = "budgets";
    /// Object store: bytes on their way from one system to another.
    pub const CONTENT: &str = "content";
    /// All buckets whose values stay.
    pub(super) const BUCKETS: [&str; 8] = [LINKS, INTENTS, APPLIED, WAITING, TOKENS, FOUND, LISTED, BUDGETS];
}

/// The streams or buckets cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be made ready: {why}")]
pub struct TopologyError {
    what: String,
    why: String,
}

impl TopologyError {
    pub(crate) fn consumer(durable: &str, stream: &str, error: &dyn std::error::Error) -> Self {
        Self { what: format!("consumer {durable} of stream {stream}"), why: error.to_string() }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const MB: i64 = 1024 * 1024;

/// Makes every stream and bucket, or brings them to what they should be.
pub async fn ensure(broker: &Broker) -> Result<(), TopologyError> {
    let replicas = broker.replicas;
    for config in streams(replicas).into_iter().chain(buckets(replicas)) {
        make(broker, config).await?;
    }
    put_first_in_push(broker).await
}

/// How long the broker may have no leader, as when one of three servers has just died.
const WITHOUT_LEADER: Duration = Duration::from_secs(30);

async fn make(broker: &Broker, config: stream::Config) -> Result<(), TopologyError> {
    let name = config.name.clone();
    let deadline = tokio::time::Instant::now() + WITHOUT_LEADER;
    loop {
        let making = Box::pin(broker.jetstream.create_or_update_stream(config.clone()));
        let made = broker.unless_denied(&[&name], making).await;
        let Err(error) = made.map_err(|denied| failed("stream", &name, &denied))? else { return Ok(()) };
        let may_pass = match error.kind() {
            CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::JetStreamUnavailable => true,
            CreateStreamErrorKind::JetStream(error) => error.code() == 503,
            _ => false,
        };
        if !may_pass || tokio::time::Instant::now() >= deadline {
            return Err(failed("stream", &name, &error));
        }
        tracing::debug!(%error, name, "A stream cannot be made ready yet.");
        tokio::time::sleep(LOOKED_APART).await;
    }
}

/// Puts a message that nobody takes at the beginning of PUSH.
///
/// Whenever the next push that a consumer wants is the first message of the stream, nats-server 2.15.1 counts all
/// subjects that the consumer covers before it gives it out (`fileStore.LoadNextMsg`): with 10,000 pushes waiting that was
/// 43 % of its work, and it grows with each of them. In a work queue the first is wanted all the time, for those before
/// it are done and gone. Behind a message that stays it is not the first.
async fn put_first_in_push(broker: &Broker) -> Result<(), TopologyError> {
    let text = "This stays here: with it in front, the broker finds the next push at once.";
    let first = PublishMessage::build().payload(text.into()).expected_last_subject_sequence(0);
    let failed = |error| failed("stream", names::PUSH, &error);
    let stored = broker.jetstream.send_publish(names::FIRST_IN_PUSH, first).await.map_err(failed)?;
    match stored.await {
        Err(error) if error.kind() != PublishErrorKind::WrongLastSequence => Err(failed(error)),
        _ => Ok(()),
    }
}

/// The buckets, as ADR-8 lays them out: each is a stream.
fn buckets(replicas: usize) -> Vec<stream::Config> {
    let base = |bucket: &str| stream::Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        max_messages_per_subject: 1,
        max_message_size: 512 * 1024,
        storage: stream::StorageType::File,
        num_replicas: replicas,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        // A direct read may be answered by a copy that lags: of 300, just after the write that they should show was
        // acknowledged, 30 found nothing (three servers of 2.15.1). Without it the leader answers.
        allow_direct: replicas == 1,
        ..stream::Config::default()
    };
    let leases = stream::Config {
        // Values that end by themselves; the marker of the end is of use to nobody.
        allow_message_ttl: true,
        subject_delete_marker_ttl: Some(Duration::from_secs(1)),
        ..base(names::LEASES)
    };
    // Values that stay until something ends them.
    let ending = [names::RUNS, names::CONFLICTS];
    let ending = ending.map(|bucket| stream::Config { allow_message_ttl: true, ..base(bucket) });
    names::BUCKETS.into_iter().map(base).chain(ending).chain([leases]).collect()
}

/// What a service must find before it can work.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Streams, by [`names`].
    pub streams: &'static [&'static str],
    /// Buckets, by [`names`].
    pub buckets: &'static [&'static str],
    /// Whether the object store of contents.
    pub contents: bool,
}

/// How long between two looks.
const LOOKED_APART: Duration = Duration::from_millis(250);

/// Waits until everything that a service needs is there, or until it is told to stop: then it gives false.
///
/// Who may make streams could take away anything, so the services may not; [`ensure`] does.
pub async fn ready(broker: &Broker, needs: Needs, stop: &CancellationToken) -> bool {
    let buckets = needs.buckets.iter().map(|bucket| format!("KV_{bucket}"));
    let contents = needs.contents.then(|| format!("OBJ_{}", names::CONTENT));
    for name in needs.streams.iter().map(|stream| (*stream).to_owned()).chain(buckets).chain(contents) {
        let mut told = String::new();
        loop {
            let asked = broker.unless_denied(&[&name], broker.jetstream.get_stream(&name)).await;
            let why = match asked {
                Ok(Ok(_)) => break,
                Ok(Err(error)) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => {
                    format!("the stream {name} is not there yet; `databridge setup` makes it")
                }
                Ok(Err(error)) => format!("the stream {name} cannot be looked up: {error}"),
                Err(denied) => denied.to_string(),
            };
            if why != told {
                tracing::warn!(service = broker.service(), "Waiting: {why}.");
                broker.health().stands(Standing::Waiting(why.clone()));
                told = why;
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(LOOKED_APART) => {}
            }
        }
    }
    true
}

fn failed(kind: &str, name: &str, error: &dyn std::error::Error) -> TopologyError {
    TopologyError { what: format!("{kind} {name}"), why: error.to_string() }
}

fn streams(replicas: usize) -> Vec<stream::Config> {
    let base = |name: &str, subjects: &[&str]| stream::Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        storage: stream::StorageType::File,
        num_replicas: replicas,
        allow_direct: true,
        duplicate_window: Duration::from_secs(600),
        max_message_size: 1024 * 1024,
        ..stream::Config::default()
    };
    vec![
        stream::Config {
            // No max age: it would delete schedules. No count limit: ticks could evict a request made by hand.
            allow_atomic_publish: true,
            allow_message_schedules: true,
            allow_message_ttl: true,
            allow_rollup: true,
            ..base(names::SYNC, &["sync.request.>", "schedule.>"])
        },
        stream::Config {
            // No max age: cursors would go with it after a restart. Full means refuse, never forget.
            allow_atomic_publish: true,
            allow_rollup: true,
            discard: stream::DiscardPolicy::New,
            max_bytes: 2048 * MB,
            compression: Some(stream::Compression::S2),
            ..base(names::PULL, &["pull.>", "cursor.>"])
        },
        stream::Config { max_age: 30 * DAY, max_bytes: 512 * MB, ..base(names::OUTCOME, &["outcome.>"]) },
        stream::Config { max_age: 30 * DAY, max_bytes: 512 * MB, ..base(names::RUN, &["run.>"]) },
        stream::Config {
            // No limit of bytes: the server refuses "discard new" together with schedules (error 10052), and "discard
            // old" would lose pushes.
            retention: stream::RetentionPolicy::WorkQueue,
            allow_message_schedules: true,
            allow_message_ttl: true,
            allow_rollup: true,
            ..base(names::PUSH, &["push.>", "long.>", "later.>"])
        },
        stream::Config {
            discard: stream::DiscardPolicy::New,
            max_bytes: 512 * MB,
            ..base(
                names::DEAD,
                &[
                    "dead.>",
                    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
                    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
                ],
            )
        },
        stream::Config { max_age: 400 * DAY, max_bytes: 128 * MB, ..base(names::AUDIT, &["audit.>"]) },
        stream::Config {
            // The object store `content`, as ADR-20 lays it out. A content is deleted with the push that it was for; what
            // came for none any more is swept away, or goes by itself. Each bridge brings four at a time: room for eight of
            // 256 MB. Full means refuse, and ask again.
            max_age: DAY,
            max_bytes: 2048 * MB,
            discard: stream::DiscardPolicy::New,
            allow_rollup: true,
            ..base(&format!("OBJ_{}", names::CONTENT), &["$O.content.C.>", "$O.content.M.>"])
        },
    ]
}

/// A durable consumer.
#[derive(Clone, Debug)]
pub struct ConsumerPlan {
    /// The stream.
    pub stream: &'static str,
    /// The durable name.
    pub durable: String,
    /// What it covers.
    pub filters: Vec<String>,
}

impl ConsumerPlan {
    pub(crate) fn config(&self, ack_wait: Duration) -> pull::Config {
        pull::Config {
            durable_name: Some(self.durable.clone()),
            filter_subjects: self.filters.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            // The application counts attempts; the broker never gives up on its own.
            max_deliver: -1,
            max_ack_pending: 2_000,
            deliver_policy: DeliverPolicy::All,
            ..pull::Config::default()
        }
    }
}

/// The consumers of the design.
pub mod consumers {
    use super::{ConsumerPlan, Lane, SystemName, names};

    /// The sync requests of one system, for its bridge.
    pub fn sync_of(system: &SystemName) -> ConsumerPlan {
        ConsumerPlan {
            stream: names::SYNC,
            durable: format!("{system}-bridge"),
            filters: vec![format!("sync.request.{system}"), format!("sync.request.{system}.>")],
        }
    }

    /// All sync requests, for the reconciler.
    pub fn sync_of_reconciler() -> ConsumerPlan {
        ConsumerPlan {
            stream: names::SYNC,
            durable: "reconciler".to_owned(),
            filters: vec!["sync.request.>".to_owned()],
        }
    }

    /// All pull results, for the reconciler.
    pub fn pulls() -> ConsumerPlan {
        ConsumerPlan {
            stream: names::PULL,
            durable: "reconciler".to_owned(),
            filters: vec!["pull.>".to_owned()],
        }
    }

    /// All outcomes, for the reconciler.
    pub fn outcomes() -> ConsumerPlan {
        ConsumerPlan {
            stream: names::OUTCOME,
            durable: "reconciler".to_owned(),
            filters: vec!["outcome.>".to_owned()],
        }
    }

    /// The ends of listings, for the reconciler.
    pub fn listings() -> ConsumerPlan {
        ConsumerPlan {
            stream: names::RUN,
            durable: "reconciler".to_owned(),
            filters: vec!["run.*.listed".to_owned()],
        }
    }

    /// One lane of a system's pushes, for its bridge.
    pub fn pushes(system: &SystemName, lane: Lane) -> ConsumerPlan {
        ConsumerPlan {
            stream: names::PUSH,
            durable: format!("{system}-{}", lane.as_str()),
            filters: vec![format!("push.{}.{system}.>", lane.as_str())],
        }
    }

    /// The pushes of one lane that its bridge has set aside because they take long.
    pub fn long_pushes(system: &SystemName, lane: Lane) -> ConsumerPlan {
        ConsumerPlan {
            stream: names::PUSH,
            durable: format!("{system}-{}-long", lane.as_str()),
            filters: vec![format!("long.{}.{system}.>", lane.as_str())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_servers_the_leader_alone_answers_what_a_bucket_holds() {
        for (replicas, is_direct) in [(1, true), (3, false)] {
            for bucket in buckets(replicas) {
                assert_eq!(
                    (bucket.allow_direct, bucket.num_replicas),
                    (is_direct, replicas),
                    "{}",
                    bucket.name
                );
                // A value that ends by itself would otherwise end as late as the mark of its end.
                assert_eq!(bucket.max_messages_per_subject, 1, "{}", bucket.name);
            }
        }
    }
}

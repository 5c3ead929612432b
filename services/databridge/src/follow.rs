//! Following a run to its end.

use std::time::Duration;

use databridge_broker::async_nats::jetstream::consumer::pull;
use databridge_broker::async_nats::jetstream::message::StreamMessage;
use databridge_broker::{Broker, Envelope, names};
use databridge_model::{
    Conflict, Listed, Parked, RunEvent, RunId, RunSummary, SyncRequest, Waiting, WouldPush, subject,
};
use futures::StreamExt;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::report;

/// What a run said.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The run.
    pub run: Option<RunId>,
    /// Its counts at the end. What waits for a person is counted as it is told in `parked`: each thing once.
    pub summary: RunSummary,
    /// What was pulled for it, collection by collection.
    pub listed: Vec<Listed>,
    /// What waits for a person.
    pub parked: Vec<Parked>,
    /// Conflicts.
    pub conflicts: Vec<Conflict>,
    /// What a dry run would do.
    pub would_push: Vec<WouldPush>,
    /// What its pushes had to wait for on the way.
    pub waited: Vec<Waiting>,
}

/// A run could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The request could not be stored.
    #[error(transparent)]
    Publish(#[from] databridge_broker::PublishError),
    /// The events cannot be read.
    #[error("the run's events cannot be read: {0}")]
    Events(String),
    /// Nobody took the request up.
    #[error(
        "nobody has taken the request up in {0} seconds; are the services running (`databridge serve`)? The request \
         stays, as run {1}, and is done once they run: there is no need to ask again"
    )]
    Nobody(u64, RunId),
}

/// How long a service may take to take a request up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Publishes a sync request and follows its run to the end.
pub async fn request(
    broker: &Broker,
    system: &databridge_model::SystemName,
    request: &SyncRequest,
    bar: &ProgressBar,
) -> Result<Story, FollowError> {
    let subject = subject::sync_request(system, None);
    let run = RunId(broker.publish(subject, request, &Envelope::default()).await?);
    follow(broker, run, bar).await
}

/// Follows a run to its end. Losing the connection on the way loses nothing: the events are read again.
pub async fn follow(broker: &Broker, run: RunId, bar: &ProgressBar) -> Result<Story, FollowError> {
    let mut story = Story { run: Some(run), ..Story::default() };
    let events = |error: &dyn std::fmt::Display| FollowError::Events(error.to_string());
    let stream = broker.jetstream().get_stream_no_info(names::RUN).await.map_err(|e| events(&e))?;
    let config =
        pull::OrderedConfig { filter_subject: format!("run.{run}.>"), ..pull::OrderedConfig::default() };
    let consumer = stream.create_consumer(config).await.map_err(|e| events(&e))?;
    let mut messages = consumer.messages().await.map_err(|e| events(&e))?;
    let (mut heard, mut listed) = (false, 0);
    loop {
        let message = match tokio::time::timeout(PATIENCE, messages.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "An event could not be read; reading on.");
                continue;
            }
            Ok(None) => return Err(FollowError::Events("the stream has ended".to_owned())),
            Err(_) if heard => continue,
            Err(_) => return Err(FollowError::Nobody(PATIENCE.as_secs(), run)),
        };
        heard = true;
        let event = message.subject.rsplit('.').next().unwrap_or_default();
        match RunEvent::decode(event, &message.payload) {
            Ok(RunEvent::Summary(summary)) => {
                show(bar, &summary, listed);
                story.summary = summary;
                if event == "ended" {
                    story.summary.parked = story.parked.len() as u64;
                    bar.finish_and_clear();
                    return Ok(story);
                }
            }
            Ok(RunEvent::Parked(parked)) if !story.parked.contains(&parked) => story.parked.push(parked),
            Ok(RunEvent::Conflict(conflict)) => story.conflicts.push(conflict),
            Ok(RunEvent::WouldPush(push)) => story.would_push.push(push),
            Ok(RunEvent::Listed(part)) => {
                listed += part.records;
                show(bar, &story.summary, listed);
                story.listed.push(part);
            }
            Ok(RunEvent::Parked(_)) => {}
            Ok(RunEvent::Waiting(waiting)) => {
                // Where nobody watches the bar it is told all the same.
                bar.suspend(|| eprintln!("  {}", report::waiting(&waiting)));
                story.waited.push(waiting);
            }
            Err(error) => tracing::debug!(%error, "An event of the run is not understood."),
        }
    }
}

/// How a run stood when it last said something, as the end of a sentence that begins with its name; `None` where it
/// has said nothing that is still known.
pub async fn standing(broker: &Broker, run: RunId) -> Option<String> {
    let stream = broker.jetstream().get_stream_no_info(names::RUN).await.ok()?;
    let mut last: Option<(&str, StreamMessage)> = None;
    for event in ["opened", "progress", "waiting", "ended"] {
        let found = stream.get_last_raw_message_by_subject(&subject::run(run, event)).await;
        let is_later =
            |found: &StreamMessage| last.as_ref().is_none_or(|(_, it)| it.sequence < found.sequence);
        if let Some(found) = found.ok().filter(is_later) {
            last = Some((event, found));
        }
    }
    let (event, message) = last?;
    let told = match RunEvent::decode(event, &message.payload).ok()? {
        RunEvent::Summary(summary) if event == "ended" => {
            return Some(format!("has ended meanwhile: {}", report::counts(&summary)));
        }
        RunEvent::Summary(_) if event == "opened" => "it was opened".to_owned(),
        RunEvent::Summary(summary) => {
            let (done, all, what) = progress(&summary, summary.records);
            format!("{} of {} {what}", HumanCount(done), HumanCount(all))
        }
        RunEvent::Waiting(waiting) => report::waiting(&waiting),
        _ => return None,
    };
    let at = message.time;
    Some(format!("is not at its end; at {:02}:{:02}:{:02} UTC: {told}", at.hour(), at.minute(), at.second()))
}

/// A bar for a run; hidden where nobody watches.
pub fn bar(title: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // What it says fits a terminal of 80 columns.
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix}  {bar:16}  {wide_msg} {elapsed}") {
        bar.set_style(style.progress_chars("=>-"));
    }
    bar.set_prefix(title.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// How much is done of how much: first the records that are listed are read and decided, then the pushes are answered.
fn progress(summary: &RunSummary, listed: u64) -> (u64, u64, &'static str) {
    let answered = summary.written + summary.unchanged + summary.failed;
    match summary.pushes {
        0 => (summary.records, listed.max(summary.records), "read"),
        pushes => (answered, pushes, "written"),
    }
}

fn show(bar: &ProgressBar, summary: &RunSummary, listed: u64) {
    let (done, all, what) = progress(summary, listed);
    bar.set_length(all.max(1));
    bar.set_position(done);
    bar.set_message(format!("{} of {} {what}", HumanCount(done), HumanCount(all)));
}

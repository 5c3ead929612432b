//! What a person does with schedules: look, pause, resume, run now.

use chrono::{DateTime, Utc};
use databridge_broker::{BatchError, Broker, Envelope};
use databridge_config::{ConfigFolder, Schedule, Timing};
use databridge_model::RunId;

use crate::SchedulerError;
use crate::apply::{ATTEMPTS, contended};
use crate::stored::{self, Shelf, Stored, Subjects};

/// What was asked of the schedules cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is none of that name.
    #[error("there is no schedule `{name}` in {file}; {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The file of the schedules.
        file: String,
        /// The names that there are.
        known: String,
    },
    /// Something else has its subject.
    #[error("schedule.{0} holds a message that is not ours; give the schedule another name")]
    Foreign(String),
    /// They cannot be read or written.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
}

/// How a schedule stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// As the config has it.
    pub schedule: Schedule,
    /// What NATS has of it.
    pub state: State,
    /// The last tick, or catch-up, that is known.
    pub last: Option<DateTime<Utc>>,
    /// The next five ticks; none unless it is active.
    pub next: Vec<DateTime<Utc>>,
}

/// What NATS has of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is fired as the config says.
    Active,
    /// It is paused since then.
    Paused(DateTime<Utc>),
    /// It is fired otherwise than the config says, by this timing if it can be read, until the scheduler is started anew.
    Differs(Option<Timing>),
    /// No scheduler has stored it yet.
    Missing,
    /// A message that is not ours has its subject.
    Foreign,
}

/// So many of the next ticks are told.
const NEXT: usize = 5;

/// Where a person looks after the schedules.
#[derive(Clone, Debug)]
pub struct Desk<'a> {
    broker: &'a Broker,
    config: &'a ConfigFolder,
}

impl<'a> Desk<'a> {
    /// Over this connection, for the schedules of this config.
    pub fn new(broker: &'a Broker, config: &'a ConfigFolder) -> Self {
        Self { broker, config }
    }

    /// How all schedules stand, by name.
    pub async fn list(&self) -> Result<Vec<Standing>, DeskError> {
        let sync = Shelf::open(self.broker).await?;
        let now = Shelf::contents(self.broker).await?.now;
        let mut standings = Vec::new();
        for schedule in self.config.schedules.values() {
            standings.push(standing(&sync, schedule, now).await?);
        }
        Ok(standings)
    }

    /// Pauses a schedule; false if it was paused already.
    pub async fn pause(&self, name: &str) -> Result<bool, DeskError> {
        let schedule = self.schedule(name)?;
        self.change(schedule, |found| match found {
            Some(found) if found.paused().is_some() => Ok(None),
            _ => Ok(Some(stored::paused(name))),
        })
        .await
    }

    /// Resumes a paused schedule, as the config has it now; false if it was not paused. Nothing is caught up.
    pub async fn resume(&self, name: &str) -> Result<bool, DeskError> {
        let schedule = self.schedule(name)?;
        self.change(schedule, |found| match found {
            Some(found) if found.paused().is_some() => stored::messages(schedule).map(Some),
            _ => Ok(None),
        })
        .await
    }

    /// Asks now for what a schedule asks for, be it paused or not. Gives the run.
    pub async fn run_now(&self, name: &str) -> Result<RunId, DeskError> {
        let schedule = self.schedule(name)?;
        let request = stored::request(schedule, format!("schedule {name}: run now by hand"));
        let subject = stored::target(schedule);
        let sequence = self.broker.publish(subject, &request, &Envelope::default()).await;
        Ok(RunId(sequence.map_err(SchedulerError::from)?))
    }

    fn schedule(&self, name: &str) -> Result<&'a Schedule, DeskError> {
        let schedules = &self.config.schedules;
        schedules.values().find(|schedule| schedule.name.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = schedules.keys().map(ToString::to_string).collect();
            let known = if names.is_empty() {
                "it has none".to_owned()
            } else {
                format!("the schedules are: {}", names.join(", "))
            };
            let file = self.config.schedules_file().display().to_string();
            DeskError::Unknown { name: name.to_owned(), file, known }
        })
    }

    /// Stores what `change` makes of the schedule that is stored; false if there is nothing to change.
    async fn change(
        &self,
        schedule: &Schedule,
        change: impl Fn(Option<&Stored>) -> Result<Option<[databridge_broker::BatchMessage; 2]>, SchedulerError>,
    ) -> Result<bool, DeskError> {
        let sync = Shelf::open(self.broker).await?;
        let subjects = Subjects::of(schedule.name.as_str());
        for _ in 0..ATTEMPTS {
            let (found, trace) = (sync.last(&subjects.schedule).await?, sync.last(&subjects.trace).await?);
            if [&found, &trace].into_iter().flatten().any(|stored| !stored.is_ours()) {
                return Err(DeskError::Foreign(schedule.name.to_string()));
            }
            let Some(messages) = change(found.as_ref())? else { return Ok(false) };
            match stored::store(self.broker, messages, [found.as_ref(), trace.as_ref()]).await {
                Ok(()) => return Ok(true),
                Err(SchedulerError::Batch(BatchError::Moved)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(&schedule.name).into())
    }
}

async fn standing(sync: &Shelf, schedule: &Schedule, now: DateTime<Utc>) -> Result<Standing, DeskError> {
    let subjects = Subjects::of(schedule.name.as_str());
    let found = sync.last(&subjects.schedule).await?;
    let last = sync.last(&subjects.last).await?.filter(Stored::is_ours);
    let [wanted, _] = stored::messages(schedule)?;
    let state = match &found {
        None => State::Missing,
        Some(found) if !found.is_ours() => State::Foreign,
        Some(found) => match found.paused() {
            Some(since) => State::Paused(since),
            None if found.says(&wanted) => State::Active,
            None => State::Differs(found.timing()),
        },
    };
    let timing = match &state {
        State::Active => Some(&schedule.timing),
        State::Differs(timing) => timing.as_ref(),
        _ => None,
    };
    let next = match (timing, &found) {
        (Some(timing), Some(found)) => next_ticks(timing, found, last.as_ref(), now),
        _ => Vec::new(),
    };
    Ok(Standing { schedule: schedule.clone(), state, last: last.map(|last| last.at), next })
}

fn next_ticks(
    timing: &Timing,
    stored: &Stored,
    last: Option<&Stored>,
    now: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let last = last.filter(|last| last.at >= stored.at);
    let first = match timing {
        Timing::Cron { .. } => timing.next_after(now),
        // Spans count from a tick to the next.
        Timing::Every { .. } => {
            let from = last.map_or(stored.at, |last| last.at);
            let said = last.and_then(Stored::next).or_else(|| timing.next_after(from));
            let turns = std::iter::successors(said, |turn| timing.next_after(*turn));
            turns.take(TURNS_LOOKED_AT).find(|turn| *turn > now)
        }
    };
    std::iter::successors(first, |turn| timing.next_after(*turn)).take(NEXT).collect()
}

/// A schedule whose last tick is so many turns ago has none to come that could be told.
const TURNS_LOOKED_AT: usize = 1_000_000;

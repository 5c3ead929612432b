//! Bringing the schedules in NATS to what the config says.

use databridge_broker::{BatchError, Broker, names};
use databridge_config::{ConfigFolder, Schedule};
use databridge_model::Name;

use crate::SchedulerError;
use crate::stored::{self, Shelf, Subjects};

/// A schedule that others change meanwhile is looked at so often.
pub(crate) const ATTEMPTS: usize = 10;

/// Stores what differs, and takes out those of ours that the config does not have any more.
pub(crate) async fn apply(broker: &Broker, config: &ConfigFolder) -> Result<(), SchedulerError> {
    let shelf = Shelf::open(broker).await?;
    for schedule in config.schedules.values() {
        apply_one(broker, &shelf, schedule).await?;
    }
    for subject in Shelf::contents(broker).await?.subjects {
        let name = name_in(&subject);
        if name.is_some_and(|name| config.schedules.keys().any(|known| known.as_str() == name)) {
            continue;
        }
        let Some(stored) = shelf.last(&subject).await?.filter(stored::Stored::is_ours) else { continue };
        let taken_out = broker.take_out(names::SYNC, stored.sequence).await;
        taken_out.map_err(|error| stored::broker_error("taken out", &error))?;
        if let Some(schedule) = name.filter(|name| subject == Subjects::of(name).schedule) {
            tracing::info!(schedule, "A schedule that the config does not have any more is taken out.");
        }
    }
    Ok(())
}

/// The name of the schedule whose subject this is.
fn name_in(subject: &str) -> Option<&str> {
    let rest = subject.strip_prefix("schedule.")?;
    Some(rest.strip_prefix("trace.").or_else(|| rest.strip_prefix("last.")).unwrap_or(rest))
}

async fn apply_one(broker: &Broker, shelf: &Shelf, schedule: &Schedule) -> Result<(), SchedulerError> {
    let subjects = Subjects::of(schedule.name.as_str());
    for _ in 0..ATTEMPTS {
        let (found, trace) = (shelf.last(&subjects.schedule).await?, shelf.last(&subjects.trace).await?);
        if [&found, &trace].into_iter().flatten().any(|stored| !stored.is_ours()) {
            tracing::error!(
                schedule = %schedule.name,
                subject = subjects.schedule,
                "A message that is not ours has the subject of this schedule, which is left out. Give the schedule \
                 another name."
            );
            return Ok(());
        }
        if found.as_ref().is_some_and(|found| found.paused().is_some()) {
            return Ok(());
        }
        let wanted = stored::messages(schedule)?;
        let [ticks, traces] = &wanted;
        let is_said = found.as_ref().is_some_and(|found| found.says(ticks));
        if is_said && trace.as_ref().is_some_and(|trace| trace.says(traces)) {
            return Ok(());
        }
        match stored::store(broker, wanted, [found.as_ref(), trace.as_ref()]).await {
            Ok(()) => {
                tracing::info!(schedule = %schedule.name, timing = %schedule.timing, "A schedule is stored.");
                return Ok(());
            }
            // Another scheduler was quicker; it has most probably stored the same.
            Err(SchedulerError::Batch(BatchError::Moved | BatchError::Unanswered(_))) => {}
            // The others shall not wait for its mend.
            Err(SchedulerError::Batch(BatchError::Refused(why))) => {
                tracing::error!(schedule = %schedule.name, why, "nats-server refuses a schedule; it is left out.");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Err(contended(&schedule.name))
}

pub(crate) fn contended(name: &Name) -> SchedulerError {
    SchedulerError::Contended(name.to_string())
}

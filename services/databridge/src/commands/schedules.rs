//! `databridge schedules`

use chrono::{DateTime, SecondsFormat, Utc};
use databridge_config::{ConfigFolder, Schedule};
use databridge_model::{Mode, Name};
use scheduler::{Desk, Standing, State};

use crate::cli::{SchedulesArgs, SchedulesCommand};
use crate::commands::{broker, config, tell};
use crate::follow;
use crate::say::say;

/// `databridge schedules`
pub async fn schedules(args: &SchedulesArgs) -> anyhow::Result<bool> {
    let config = config()?;
    let broker = broker().await?;
    let desk = Desk::new(&broker, &config);
    match args.command.as_ref().unwrap_or(&SchedulesCommand::List) {
        SchedulesCommand::List => {
            say!("{}", told(&config, &desk.list().await?).join("\n"));
        }
        SchedulesCommand::Pause(schedule) => {
            for name in names(&config, &schedule.name) {
                let said = if desk.pause(name).await? {
                    format!("is paused, until `databridge schedules resume {name}`")
                } else {
                    "was paused already".to_owned()
                };
                say!("{name} {said}");
            }
        }
        SchedulesCommand::Resume(schedule) => {
            for name in names(&config, &schedule.name) {
                let said = if desk.resume(name).await? {
                    "goes on; what it missed while it was paused is not made up for"
                } else {
                    "was not paused"
                };
                say!("{name} {said}");
            }
        }
        SchedulesCommand::Run(schedule) => {
            let run = desk.run_now(&schedule.name).await?;
            say!("{} asked for run {run}", schedule.name);
            let title = format!("schedule {}", schedule.name);
            let story = follow::follow(&broker, run, &follow::bar(&title)).await?;
            return Ok(tell(&broker, &title, &story).await);
        }
    }
    Ok(true)
}

/// One name, or those of all schedules.
fn names<'a>(config: &'a ConfigFolder, name: &'a str) -> Vec<&'a str> {
    match name {
        "all" if !config.schedules.is_empty() => config.schedules.keys().map(Name::as_str).collect(),
        one => vec![one],
    }
}

/// The schedules as they are shown.
fn told(config: &ConfigFolder, standings: &[Standing]) -> Vec<String> {
    let file = config.schedules_file();
    if standings.is_empty() {
        let none = "there are no schedules; no system is looked at by itself, only when somebody asks for it";
        return vec![format!("{}: {none}", file.display())];
    }
    standings.iter().flat_map(told_of).collect()
}

fn told_of(standing: &Standing) -> Vec<String> {
    let schedule = &standing.schedule;
    let mut lines = vec![format!("{}: {}, {}", schedule.name, asks_for(schedule), schedule.timing)];
    lines.push(match &standing.state {
        State::Active => "  active".to_owned(),
        State::Paused(since) => format!("  paused since {}", moment(*since, schedule)),
        State::Missing => "  not begun: it does when the first migrate has listed everything, and a scheduler runs with this config".to_owned(),
        State::Differs(Some(timing)) => {
            format!(
                "  runs as it was before the config was changed ({timing}), until the scheduler is restarted"
            )
        }
        State::Differs(None) => {
            "  runs as it was before the config was changed, until the scheduler is restarted".to_owned()
        }
        State::Foreign => {
            "  left out: a message that is not ours has its subject; give the schedule another name"
                .to_owned()
        }
    });
    lines.push(match standing.last {
        Some(last) => format!("  last  {}", moment(last, schedule)),
        None => "  last  none yet".to_owned(),
    });
    lines.extend(standing.next.iter().map(|next| format!("  next  {}", moment(*next, schedule))));
    lines
}

fn asks_for(schedule: &Schedule) -> String {
    let mode = match schedule.mode {
        Mode::Full => "everything",
        _ => "what changed",
    };
    format!("{mode} of {}", schedule.request())
}

/// A moment by the clocks of the schedule's zone, and in UTC.
fn moment(at: DateTime<Utc>, schedule: &Schedule) -> String {
    let utc = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    match schedule.timing.zone() {
        Some(zone) => {
            let local = at.with_timezone(&zone);
            format!("{} {zone} ({utc})", local.format("%a %Y-%m-%d %H:%M:%S %Z"))
        }
        None => utc,
    }
}

#[cfg(test)]
mod tests {
    use databridge_config::Timing;

    use super::*;

    #[test]
    fn the_next_ticks_are_told_by_the_clocks_of_the_zone_and_in_utc() {
        let schedule = Schedule {
            name: Name::parse("night").unwrap(),
            system: Name::parse("gis").unwrap(),
            collection: None,
            mode: Mode::Full,
            timing: Timing::of_server("0 30 3 * * *", Some("America/Chicago")).unwrap(),
        };
        let next = vec!["2027-03-13T09:30:00Z".parse().unwrap(), "2027-03-14T08:30:00Z".parse().unwrap()];
        let standing = Standing { schedule, state: State::Active, last: None, next };
        assert_eq!(
            told_of(&standing),
            [
                "night: everything of gis, 0 30 3 * * * in America/Chicago",
                "  active",
                "  last  none yet",
                "  next  Sat 2027-03-13 03:30:00 CST America/Chicago (2027-03-13T09:30:00Z)",
                "  next  Sun 2027-03-14 03:30:00 CDT America/Chicago (2027-03-14T08:30:00Z)",
            ]
        );
    }
}

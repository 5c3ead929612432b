//! The command line.

#![expect(clippy::doc_markdown, reason = "these comments are the text of --help, where backticks would show")]

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps the records of a city's systems in step, both ways.
///
/// Settings come from the environment: NATS_URL, DATABRIDGE_CONFIG, DATABRIDGE_KEY, CLIO_*, GIS_*; README.md says
/// what each is. Try `databridge demo` first: it needs no settings.
#[derive(Debug, Parser)]
#[command(name = "databridge", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows everything at work on this machine, against a stand-in for Clio and ArcGIS
    Demo(DemoArgs),
    /// Runs all services in one process, for a trial or a small office
    Serve(ServeArgs),
    /// Makes the streams and buckets in NATS, or brings them to what they should be; the services wait for them
    Setup,
    /// Connects Clio: prints a one-time link for a person who may sign in there
    Connect(ConnectArgs),
    /// Finds what Clio needs (group, client, practice area, custom fields), and makes what is missing
    Bootstrap,
    /// Brings both sides together for the first time: lists both, pairs, makes what is missing
    Migrate(MigrateArgs),
    /// Carries over what changed
    Sync(SyncArgs),
    /// Says what a migrate or a sync would do, with the calls and the time that it takes, and does nothing
    Plan(PlanArgs),
    /// Tells what the scripts that came before left in their data folder, and reads again what waited there
    ///
    /// A line of their queue is a copy from long ago, so no value of it is used: the record is asked for by its id and
    /// goes the way of every other. What waited is a small part of what the scripts did not carry over: whatever they
    /// lost, or passed over since their last look, is in no file. So stop the scripts, then `databridge plan` and
    /// `databridge migrate`, which compare everything on both sides; import before it to see what is in the folder
    /// (--dry-run) and which names in Clio differ from the config's, or after it to see that nothing waits there any more.
    Import(ImportArgs),
    /// Shows the schedules, or pauses, resumes or runs one
    Schedules(SchedulesArgs),
    /// Shows how many calls of today each system has cost, where it has a budget (CLIO_CALLS_PER_DAY, GIS_CALLS_PER_DAY)
    Budgets,
    /// Looks through the messages that could not be processed, and deals with them
    Dead(DeadArgs),
    /// Looks through the conflicts (both sides had changed one field), and chooses the other value
    Conflicts(ConflictsArgs),
    /// Shows how far each collection is read, and has one read again from an earlier moment
    Cursors(CursorsArgs),
    /// Shows what belongs together and how it stands, takes a pair apart, puts it together again
    Links(LinksArgs),
    /// Shows what people did by hand, such as discarding a dead letter
    Audit,
    /// Looks after the routes
    #[command(subcommand)]
    Routes(RoutesCommand),
    /// Prints how a key stands in subjects, or makes a new DATABRIDGE_KEY
    Key(KeyArgs),
}

/// `databridge sync`
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Which system to read: gis, clio, any other of the config, or all
    pub system: String,
    /// Read everything, not just what changed
    #[arg(long)]
    pub full: bool,
    /// Read what changed after this moment (2026-11-20T15:00:00Z), or since this day began (2026-11-20, in UTC);
    /// moves no cursor
    #[arg(long, value_name = "TIME", conflicts_with = "full", value_parser = moment)]
    pub since: Option<DateTime<Utc>>,
    /// Read at most so many records; the next sync goes on after them, and an edit that came meanwhile in those
    /// read already is carried over by the sync after that. With --full or --since each sync begins anew
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max: Option<u64>,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Believe that records are gone, however many the complete listing lacks
    #[arg(long, requires = "full")]
    pub accept_missing: bool,
}

/// A moment, or the one at which a day begins in UTC.
fn moment(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    text.parse()
        .ok()
        .or_else(day)
        .ok_or("write a moment, such as 2026-11-20T15:00:00Z, or a day, such as 2026-11-20")
}

/// `databridge migrate`
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The system whose records are carried over
    #[arg(default_value = "gis")]
    pub system: String,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `databridge plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The system whose records would be carried over; of a sync also all
    #[arg(default_value = "gis")]
    pub system: String,
    /// Plan a sync of what changed, not a migrate
    #[arg(long)]
    pub sync: bool,
    /// Of a sync: read everything, not just what changed
    #[arg(long, requires = "sync")]
    pub full: bool,
    /// Of a sync: read what changed after this moment (2026-11-20T15:00:00Z), or since this day began (2026-11-20, in UTC)
    #[arg(long, value_name = "TIME", requires = "sync", conflicts_with = "full", value_parser = moment)]
    pub since: Option<DateTime<Utc>>,
    /// Write the plan as JSON, too: an array with one for each system
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `databridge import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The folder that the scripts had as BASE_DATA_DIR. Nothing in it is changed
    pub folder: PathBuf,
    /// Say what is in it, and ask for nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Ask for what waited although the scripts used another group or practice area in Clio than the config names
    #[arg(long)]
    pub go_on: bool,
}

/// `databridge connect`
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Allow another Clio account than the one connected before
    #[arg(long)]
    pub another_account: bool,
}

/// `databridge serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the page for connecting Clio is served
    #[arg(long, env = "AUTH_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
}

/// `databridge schedules`
#[derive(Debug, Args)]
pub struct SchedulesArgs {
    /// What to do; to show them if left out
    #[command(subcommand)]
    pub command: Option<SchedulesCommand>,
}

/// What to do with a schedule.
#[derive(Debug, Subcommand)]
pub enum SchedulesCommand {
    /// Shows each schedule: what it asks for and when, whether it is paused, its last tick and the next five
    List,
    /// Pauses a schedule until it is resumed, whatever is restarted meanwhile
    Pause(SchedulesNamed),
    /// Resumes a paused schedule; what it would have asked for meanwhile is not made up for
    Resume(SchedulesNamed),
    /// Asks now for what a schedule asks for, be it paused or not, and follows the run
    Run(ScheduleArgs),
}

/// Schedules.
#[derive(Debug, Args)]
pub struct SchedulesNamed {
    /// Its name in schedules.toml, or all
    pub name: String,
}

/// A schedule.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// Its name in schedules.toml
    pub name: String,
}

/// `databridge dead`
#[derive(Debug, Args)]
pub struct DeadArgs {
    /// What to do; to list them if left out
    #[command(subcommand)]
    pub command: Option<DeadCommand>,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Lists them: number, moment, what it was, which record, why
    List(DeadFilter),
    /// Shows one: the whole message, its attempts, and what can be done
    Show {
        /// Its number
        number: u64,
    },
    /// Gives one another body, which is checked before it takes the place of the old one
    Edit {
        /// Its number
        number: u64,
        /// A file with the new body, or - for standard input
        #[arg(long)]
        body: PathBuf,
    },
    /// Has messages dealt with again, and takes them out here
    Replay(DeadChoice),
    /// Takes messages away for good; `databridge audit` keeps what they were
    Discard(DeadChoice),
}

/// Which dead letters.
#[derive(Debug, Default, Args)]
pub struct DeadFilter {
    /// What it was: sync, pull, push, outcome or run
    #[arg(long)]
    pub stage: Option<String>,
    /// Its system
    #[arg(long)]
    pub system: Option<String>,
    /// Its collection
    #[arg(long)]
    pub collection: Option<String>,
    /// The key of its record
    #[arg(long)]
    pub key: Option<String>,
    /// A text that the reason contains
    #[arg(long)]
    pub reason: Option<String>,
}

/// Dead letters by their numbers, by a filter, or all.
#[derive(Debug, Args)]
pub struct DeadChoice {
    /// Their numbers
    pub numbers: Vec<u64>,
    /// Those that a filter takes
    #[command(flatten)]
    pub filter: DeadFilter,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

/// `databridge conflicts`
#[derive(Debug, Args)]
pub struct ConflictsArgs {
    /// What to do; to list them if left out
    #[command(subcommand)]
    pub command: Option<ConflictsCommand>,
}

/// What to do with conflicts.
#[derive(Debug, Subcommand)]
pub enum ConflictsCommand {
    /// Lists them: number, moment, record, field, who won, both values
    List {
        /// Which
        #[command(flatten)]
        filter: ConflictsFilter,
        /// Those that are settled, too
        #[arg(long)]
        settled: bool,
    },
    /// Shows one: both values, what both showed before, who won and why, and what can be done
    Show {
        /// Its number
        number: u64,
    },
    /// Chooses the value that lost: writes it over the one that won, if that still stands, and carries it to the other
    /// side
    Other {
        /// Its number
        number: u64,
    },
    /// Lets the value that won stand; the conflict is then listed with --settled only
    Settle(ConflictsChoice),
}

/// Which conflicts.
#[derive(Debug, Default, Args)]
pub struct ConflictsFilter {
    /// A system that won or lost
    #[arg(long)]
    pub system: Option<String>,
    /// The key of the records
    #[arg(long)]
    pub key: Option<String>,
    /// The losing side's field
    #[arg(long)]
    pub field: Option<String>,
}

/// Conflicts by their numbers, by a filter, or all.
#[derive(Debug, Args)]
pub struct ConflictsChoice {
    /// Their numbers
    pub numbers: Vec<u64>,
    /// Those that a filter takes
    #[command(flatten)]
    pub filter: ConflictsFilter,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

/// `databridge cursors`
#[derive(Debug, Args)]
pub struct CursorsArgs {
    /// What to do; to list them if left out
    #[command(subcommand)]
    pub command: Option<CursorsCommand>,
}

/// What to do with cursors.
#[derive(Debug, Subcommand)]
pub enum CursorsCommand {
    /// Lists them: collection, when it was read last, from when on the next sync reads
    List,
    /// Shows those of a collection whole, with the bridge's own place
    Show {
        /// System and collection, such as gis.active_litigations
        collection: String,
    },
    /// Has the next sync read again what changed since an earlier moment; what is carried over already is not written
    /// again
    Rewind(CursorSet),
    /// The same, but it may go forward, too: what changed in between is then not read before the next full sync
    Set(CursorSet),
}

/// Where a cursor is to go.
#[derive(Debug, Args)]
pub struct CursorSet {
    /// System and collection, such as gis.active_litigations
    pub collection: String,
    /// What changed since this moment (2026-11-20T15:00:00Z) is read, or since this day began (2026-11-20, in UTC)
    #[arg(value_name = "TIME", value_parser = moment, required_unless_present = "start", conflicts_with = "start")]
    pub to: Option<DateTime<Utc>>,
    /// All is read
    #[arg(long)]
    pub start: bool,
}

/// `databridge links`
#[derive(Debug, Args)]
pub struct LinksArgs {
    /// What to do; to list those that wait for a person if left out
    #[command(subcommand)]
    pub command: Option<LinksCommand>,
}

/// What to do with links.
#[derive(Debug, Subcommand)]
pub enum LinksCommand {
    /// Lists those that wait for a person, with what they wait for
    List,
    /// Shows links whole: both sides, what was agreed on, what is under way
    Show {
        /// The name of one, or the key of the records
        #[arg(required_unless_present = "id")]
        name: Option<String>,
        /// Those that have the record of this id, in the system that --system says
        #[arg(long, requires = "system", conflicts_with = "name")]
        id: Option<String>,
        /// The system of the record
        #[arg(long, requires = "id")]
        system: Option<String>,
    },
    /// Takes a pair apart: nothing is carried over any more, in it and in the records below, until it is relinked
    Unlink {
        /// The name of the link
        name: String,
    },
    /// Puts a pair together again that was taken apart; or says which of several records with one key is meant
    Relink {
        /// The name of the link
        name: String,
        /// The system that has several
        #[arg(long, requires = "id")]
        system: Option<String>,
        /// The id of the one that is meant; the others are left aside
        #[arg(long, requires = "system")]
        id: Option<String>,
    },
}

/// `databridge routes`
#[derive(Debug, Subcommand)]
pub enum RoutesCommand {
    /// Checks the config folder: names file, line and mend of whatever does not fit
    Check,
}

/// `databridge key`
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct KeyArgs {
    /// The key of a record
    pub text: Option<String>,
    /// Make a new DATABRIDGE_KEY
    #[arg(long)]
    pub new: bool,
}

/// `databridge demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after the last comparison, with status 0 only if nothing differs
    #[arg(long)]
    pub once: bool,
    /// Write the table as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Keep broker, sandbox and key in this folder; a later run goes on with them
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Make no edits on either side
    #[arg(long)]
    pub no_edits: bool,
    /// A config folder of your own
    #[arg(long, value_name = "DIR", requires = "gis_data")]
    pub config: Option<PathBuf>,
    /// Your own layer: CSV with a header, GeoJSON, or saved answers of an ArcGIS query (f=json); the content tells which
    #[arg(long, value_name = "FILE", requires = "config")]
    pub gis_data: Option<PathBuf>,
    /// Litigations in the sample city
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub litigations: usize,
    /// Attachments that the sample city's litigations have together; three to five litigations if left out
    #[arg(long, value_name = "N", conflicts_with = "gis_data")]
    pub attachments: Option<usize>,
    /// The nats-server to use
    #[arg(long, value_name = "PATH", env = "NATS_SERVER")]
    pub nats_server: Option<PathBuf>,
    /// Show the services' logs
    #[arg(long, value_enum, default_value_t = Logs::Warnings)]
    pub logs: Logs,
}

/// How much of the services' logs the demo shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Logs {
    /// Nothing
    None,
    /// What went wrong
    Warnings,
    /// What happens
    All,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Cli, Command, SyncArgs};

    fn sync(options: &[&str]) -> Result<SyncArgs, String> {
        let words = ["databridge", "sync", "gis"].iter().chain(options);
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Sync(args) => Ok(args),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn since_takes_a_moment_or_a_day_and_shows_the_form_of_both() {
        for (text, moment) in [
            ("2026-11-20T15:00:00Z", "2026-11-20T15:00:00Z"),
            ("2026-11-20T15:00:00+02:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
        ] {
            assert_eq!(sync(&["--since", text]).unwrap().since, Some(moment.parse().unwrap()), "{text}");
        }
        for text in ["yesterday", "2026-11-20T15:00", "2026-13-01", ""] {
            let error = sync(&["--since", text]).unwrap_err();
            assert!(error.contains("2026-11-20T15:00:00Z") && error.contains("2026-11-20\n"), "{error}");
        }
    }

    #[test]
    fn a_plan_of_a_sync_takes_what_a_sync_takes_and_one_of_a_migrate_does_not() {
        let plan = |options: &[&str]| {
            let words = ["databridge", "plan"].iter().chain(options);
            match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
                Command::Plan(args) => Ok(args),
                other => Err(format!("{other:?}")),
            }
        };
        let args = plan(&["--sync", "all", "--full"]).unwrap();
        assert_eq!((args.system.as_str(), args.sync, args.full), ("all", true, true));
        let args = plan(&["--sync", "clio", "--since", "2026-11-20"]).unwrap();
        assert_eq!(args.since, Some("2026-11-20T00:00:00Z".parse().unwrap()));
        for options in [["--full"].as_slice(), &["--since", "2026-11-20"]] {
            assert!(plan(options).unwrap_err().contains("--sync"), "{options:?}");
        }
    }

    #[test]
    fn to_read_no_record_at_all_is_refused() {
        assert_eq!(sync(&["--max", "1"]).unwrap().max, Some(1));
        assert!(sync(&["--max", "0"]).unwrap_err().contains("0 is not in 1.."));
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}

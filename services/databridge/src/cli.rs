//! The command line.

#![expect(clippy::doc_markdown, reason = "these comments are the text of --help, where backticks would show")]

use std::path::PathBuf;

use chrono::{DateTime, Utc};
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
    /// Connects Clio: prints a one-time link for a person who may sign in there
    Connect(ConnectArgs),
    /// Finds what Clio needs (group, client, practice area, custom fields), and makes what is missing
    Bootstrap,
    /// Brings both sides together for the first time: lists both, pairs, makes what is missing
    Migrate(MigrateArgs),
    /// Carries over what changed
    Sync(SyncArgs),
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
    /// Read what changed after this moment (2026-11-20T15:00:00Z); moves no cursor
    #[arg(long, value_name = "TIME", conflicts_with = "full")]
    pub since: Option<DateTime<Utc>>,
    /// Read at most so many records; the next sync goes on after them
    #[arg(long, value_name = "N")]
    pub max: Option<u64>,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
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
    /// Your own layer, as CSV with a header
    #[arg(long, value_name = "FILE", requires = "config")]
    pub gis_data: Option<PathBuf>,
    /// Litigations in the sample city
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub litigations: usize,
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
    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}

//! Tries to break what Data Bridge promises: nothing lost, nothing twice, no overwritten work.
//!
//! A town of everything: a broker, a stand-in for Clio and ArcGIS, each service a process. People edit both sides, both
//! systems fail in every way that the stand-in knows, and one process after another is killed, the broker among them, all
//! drawn from a seed. Every now and then the faults stop, what is under way comes to its end, and both sides are
//! compared: with each other by code that shares nothing with the services, and with a ledger of all that people did.

mod faults;
mod ledger;
mod people;
mod run;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use it::service::{self, Service};

/// Tries to break what Data Bridge promises, and says what differs
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one service, to be killed
    #[command(hide = true)]
    Service {
        service: Service,
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

/// What is done.
#[derive(Clone, Debug, Args)]
struct Options {
    /// What everything is drawn from: the same seed does the same again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many processes are killed
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// How many litigations there are to begin with
    #[arg(long, default_value_t = 40)]
    litigations: usize,
    /// After how many kills all is compared
    #[arg(long, default_value_t = 25)]
    compare_every: u64,
    /// A folder for the services' logs and, if anything differs, all messages, links and things that people did
    #[arg(long)]
    evidence: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Service { service, listen }) => service::run(service, listen).await,
        None => Box::pin(run::run(arguments.options)).await,
    }
}

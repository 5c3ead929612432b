//! The operator's command. It holds no logic that a service lacks.

// `say!` does it: who reads no more ends nothing.
#![deny(clippy::print_stdout)]

pub mod cli;
pub mod commands;
pub mod demo;
pub mod follow;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod import;
pub mod office;
pub mod plan;
pub mod report;
mod routes_check;
mod say;
mod serve;

use std::process::ExitCode;

use anyhow::Result;
use databridge_runtime::LogFormat;

use crate::cli::{Cli, Command, Logs, RoutesCommand};

/// The status of a program that Ctrl-C has ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// Sets up the logs, does what the command line says and tells how it went: 0 is well, 1 is not all well (a record
/// failed, something differs), 2 is an error, told on standard error, 130 an interruption by Ctrl-C.
pub async fn command(cli: Cli) -> ExitCode {
    let filter = match &cli.command {
        Command::Serve(_) => "info",
        Command::Demo(args) if args.logs == Logs::All => "info",
        Command::Demo(args) if args.logs == Logs::None => "off",
        _ => "error",
    };
    databridge_runtime::init_telemetry(LogFormat::Auto, filter);
    let status = match Box::pin(run(cli)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) if error.is::<demo::Interrupted>() => {
            eprintln!("databridge: {error}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("databridge: {}", report::error(&error));
            ExitCode::from(2)
        }
    };
    match say::unwritten() {
        Some(error) => {
            eprintln!("databridge: standard output cannot be written: {error}");
            ExitCode::from(2)
        }
        None => status,
    }
}

/// Does what the command line says; whether all went well.
pub async fn run(cli: Cli) -> Result<bool> {
    match cli.command {
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Serve(args) => Box::pin(serve::run(&args)).await,
        Command::Setup => commands::setup().await,
        Command::Connect(args) => commands::connect(&args).await,
        Command::Bootstrap => commands::bootstrap().await,
        Command::Migrate(args) => commands::migrate(&args).await,
        Command::Sync(args) => commands::sync(&args).await,
        Command::Plan(args) => commands::plan(&args).await,
        Command::Import(args) => commands::import(&args).await,
        Command::Schedules(args) => commands::schedules(&args).await,
        Command::Budgets => commands::budgets().await,
        Command::Dead(args) => commands::dead(&args).await,
        Command::Conflicts(args) => commands::conflicts(&args).await,
        Command::Cursors(args) => commands::cursors(&args).await,
        Command::Links(args) => commands::links(&args).await,
        Command::Audit => commands::audit().await,
        Command::Routes(RoutesCommand::Check) => routes_check::run(),
        Command::Key(args) => commands::key(&args),
    }
}

//! The operator's command. It holds no logic that a service lacks.

pub mod cli;
pub mod commands;
pub mod demo;
pub mod follow;
pub mod office;
pub mod report;
mod serve;

use anyhow::Result;

use crate::cli::{Cli, Command, RoutesCommand};

/// Does what the command line says; whether all went well.
pub async fn run(cli: Cli) -> Result<bool> {
    match cli.command {
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Serve(args) => Box::pin(serve::run(&args)).await,
        Command::Connect(args) => commands::connect(&args).await,
        Command::Bootstrap => commands::bootstrap().await,
        Command::Migrate(args) => commands::migrate(&args).await,
        Command::Sync(args) => commands::sync(&args).await,
        Command::Routes(RoutesCommand::Check) => commands::check_routes(),
        Command::Key(args) => commands::key(&args),
    }
}

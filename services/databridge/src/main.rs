//! The operator's command.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    databridge::command(databridge::cli::Cli::parse()).await
}

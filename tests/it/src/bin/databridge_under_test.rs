//! The operator's command, built with the tests that run it.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    databridge::command(databridge::cli::Cli::parse()).await
}

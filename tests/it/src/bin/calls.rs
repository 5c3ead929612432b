//! Prints what each step of a town's day costs in calls, beside what it may cost.
//!
//! `cargo run --release -p it --bin calls -- --litigations 100,1000,10000 --config whole`

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use databridge_runtime::LogFormat;
use it::costs::whole::{self, Sizes};
use it::costs::{self, Step};

/// Which records are carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Config {
    /// Litigations and matters.
    Matters,
    /// Those, notes, court dates, documents and history.
    Whole,
}

/// Counts the calls to both systems, with and without edits, and compares them with their bounds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many litigations the town has; several with commas.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    litigations: Vec<usize>,
    /// With which config; both with a comma.
    #[arg(long, value_delimiter = ',', default_values = ["matters", "whole"])]
    config: Vec<Config>,
    /// Prints also what was called how often.
    #[arg(long)]
    by_path: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    databridge_runtime::init_telemetry(LogFormat::Text, "warn");
    let mut all_hold = true;
    for config in arguments.config {
        for litigations in &arguments.litigations {
            println!("\n{litigations} litigations, {config:?}");
            println!(
                "{:46}{:>12}{:>13}{:>9}{:>7}{:>7}{:>7}{:>22}{:>7}{:>9}",
                "", "gis", "clio", "storage", "reads", "writes", "all", "bound", "used", "seconds"
            );
            println!("{:46}{:>12}{:>13}", "", "r / w", "r / w");
            let tell = |step: &Step| print(step, arguments.by_path);
            let steps = match config {
                Config::Matters => Box::pin(costs::day(*litigations, tell)).await?,
                Config::Whole => Box::pin(whole::day(Sizes::of(*litigations), tell)).await?,
            };
            all_hold &= steps.iter().all(Step::holds);
        }
    }
    println!();
    println!("{}", if all_hold { "Every bound holds." } else { "A bound is broken: see the lines with !" });
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(step: &Step, by_path: bool) {
    let (gis, clio) = (&step.calls.gis, &step.calls.clio);
    println!(
        "{:46}{:>12}{:>13}{:>9}{:>7}{:>7}{:>7}{:>22}{:>5} %{:>9.1}{}",
        step.name,
        format!("{} / {}", gis.reads, gis.writes),
        format!("{} / {}", clio.reads, clio.writes),
        step.storage(),
        step.reads(),
        step.writes(),
        step.all(),
        step.bound.to_string(),
        percent(step),
        step.took.as_secs_f64(),
        if step.holds() { "" } else { " !" },
    );
    if by_path {
        for (system, counts) in [("gis", gis), ("clio", clio)] {
            for (path, count) in &counts.by_path {
                println!("    {count:>6} {system} {path}");
            }
        }
    }
}

/// The cost in hundredths of the bound: the greatest of its parts.
fn percent(step: &Step) -> u64 {
    step.costs().into_iter().map(|(cost, most)| cost * 100 / most.max(1)).max().unwrap_or_default()
}

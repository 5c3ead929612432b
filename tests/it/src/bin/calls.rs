//! Prints what each step of a town's day costs in calls, beside what it may cost.
//!
//! `cargo run --release -p it --bin calls -- --litigations 100,1000,10000`

use std::process::ExitCode;

use clap::Parser;
use databridge_runtime::LogFormat;
use it::costs::{self, Bound, Step};

/// Counts the calls to both systems, with and without edits, and compares them with their bounds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many litigations the town has; several with commas.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    litigations: Vec<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    databridge_runtime::init_telemetry(LogFormat::Text, "warn");
    let mut all_hold = true;
    for litigations in arguments.litigations {
        println!("\n{litigations} litigations");
        println!(
            "{:44}{:>10}{:>12}{:>8}{:>8}{:>8}{:>18}{:>7}{:>9}",
            "", "gis", "clio", "reads", "writes", "calls", "bound", "used", "seconds"
        );
        println!("{:44}{:>10}{:>12}", "", "r / w", "r / w");
        let steps = Box::pin(costs::day(litigations, print)).await?;
        all_hold &= steps.iter().all(Step::holds);
    }
    println!();
    println!("{}", if all_hold { "Every bound holds." } else { "A bound is broken: see the lines with !" });
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(step: &Step) {
    let (reads, writes) = (step.reads(), step.writes());
    let bound = match step.bound {
        Bound::WritesAndReads(writes, reads) => format!("{writes} w, {reads} r"),
        Bound::Calls(calls) => format!("{calls} calls"),
    };
    println!(
        "{:44}{:>10}{:>12}{reads:>8}{writes:>8}{:>8}{bound:>18}{:>5} %{:>9.1}{}",
        step.name,
        format!("{} / {}", step.calls.gis.reads, step.calls.gis.writes),
        format!("{} / {}", step.calls.clio.reads, step.calls.clio.writes),
        reads + writes,
        percent(step),
        step.took.as_secs_f64(),
        if step.holds() { "" } else { " !" },
    );
}

/// The cost in hundredths of the bound: the greater of its parts.
fn percent(step: &Step) -> u64 {
    let part = |cost: u64, most: u64| cost * 100 / most.max(1);
    match step.bound {
        Bound::WritesAndReads(writes, reads) => part(step.writes(), writes).max(part(step.reads(), reads)),
        Bound::Calls(calls) => part(step.reads() + step.writes(), calls),
    }
}

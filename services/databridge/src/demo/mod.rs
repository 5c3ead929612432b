//! `databridge demo`: everything at work on one machine, against a stand-in for Clio and ArcGIS.

pub mod compare;
pub mod consent;
mod edits;
mod plan;
mod stage;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use databridge_broker::Broker;
use databridge_model::{Mode, Parked, SyncRequest, SystemName};
use indicatif::HumanCount;
use sandbox::Admin;
use serde_json::json;

use self::consent::Connected;
use self::edits::{Edit, People};
use self::plan::Plan;
pub use self::plan::layer_of;
use self::stage::Stage;
use self::table::{Phase, Table};
use crate::cli::DemoArgs;
use crate::follow::{self, Story};
use crate::{commands, report};

/// How many edits people make on each side.
const EDITS: usize = 20;

/// Runs the demo; whether nothing differs in the end.
pub async fn run(args: DemoArgs) -> anyhow::Result<bool> {
    let began = Instant::now();
    let plan = Plan::of(&args)?;
    println!("Data Bridge demo: {}, in step with Clio.", plan.map);
    let stop = databridge_runtime::until_asked_to_stop()?;
    let stage = tokio::select! {
        () = stop.cancelled() => bail!("stopped before it was set up"),
        stage = Stage::set(&args, &plan, stop.child_token()) => stage?,
    };
    let mut show = Show::new(stage, plan, began)?;
    let result = tokio::select! {
        () = stop.cancelled() => Err(anyhow::anyhow!("stopped")),
        result = show.play(&args) => result,
    };
    let same = match result {
        Ok(same) => same,
        Err(error) => {
            show.stage.strike().await?;
            return Err(error);
        }
    };
    if !args.once {
        show.say_where(&args);
        stop.cancelled().await;
        println!("\nStopping.");
    }
    show.stage.strike().await?;
    Ok(same)
}

struct Show {
    stage: Stage,
    plan: Plan,
    broker: Broker,
    admin: Admin,
    gis: SystemName,
    clio: SystemName,
    table: Table,
    /// What the runs left for a person, told again by each run that met it.
    waiting: Vec<Parked>,
    went_well: bool,
    began: Instant,
}

impl Show {
    fn new(stage: Stage, plan: Plan, began: Instant) -> anyhow::Result<Self> {
        Ok(Self {
            broker: stage.broker.clone(),
            admin: stage.sandbox.admin(),
            gis: "gis".parse()?,
            clio: "clio".parse()?,
            table: Table::default(),
            waiting: Vec::new(),
            went_well: true,
            began,
            stage,
            plan,
        })
    }

    async fn play(&mut self, args: &DemoArgs) -> anyhow::Result<bool> {
        self.connect().await?;
        self.bootstrap().await?;

        let (gis, clio) = (self.gis.clone(), self.clio.clone());
        println!("\nMigrating: the first time both sides are brought together");
        let migrate = SyncRequest { mode: Mode::Migrate, ..SyncRequest::default() };
        self.run_phase("migrate", &gis, &migrate).await?;

        if !args.no_edits {
            let edits = self.people()?.edit_the_map(EDITS).await?;
            println!("\nPeople change {} records on the map", edits.len());
            self.sync(&format!("{} edits on the map", edits.len()), &gis).await?;
            self.see_arrive(&edits).await?;

            let edits = self.people()?.edit_clio(EDITS).await?;
            println!("\nPeople change {} matters in Clio", edits.len());
            self.sync(&format!("{} edits in Clio", edits.len()), &clio).await?;
            self.see_arrive(&edits).await?;
        }
        println!("\nNothing has changed since: the latest edits are read once more, and that is all");
        self.sync("nothing new, gis", &gis).await?;
        self.sync("nothing new, clio", &clio).await?;
        self.close(args).await
    }

    async fn connect(&mut self) -> anyhow::Result<()> {
        println!("\nConnecting Clio");
        let phase = Phase::begin("connect", &self.admin).await?;
        match consent::give(&self.broker, &self.admin).await? {
            Connected::Before => println!("  It is connected already."),
            Connected::Now => {
                println!("  A person opens the one-time link and allows the access: connected.");
            }
        }
        self.table.add(phase.end(&self.admin, 0).await?);
        Ok(())
    }

    async fn bootstrap(&mut self) -> anyhow::Result<()> {
        println!("\nFinding what is needed in Clio, and making what is missing");
        let phase = Phase::begin("bootstrap", &self.admin).await?;
        let bar = follow::bar("bootstrap");
        let answer = commands::ask(&self.broker, "bootstrap.clio", &json!({}), "clio-bridge").await;
        bar.finish_and_clear();
        let report = commands::bootstrap_report(answer?)?;
        for (done, things) in [("found", &report.found), ("made", &report.made)] {
            if !things.is_empty() {
                println!("  {done}: {}", counted_by_kind(things));
            }
        }
        self.table.add(phase.end(&self.admin, 0).await?);
        Ok(())
    }

    async fn sync(&mut self, name: &str, system: &SystemName) -> anyhow::Result<Story> {
        self.run_phase(name, system, &SyncRequest::default()).await
    }

    async fn run_phase(
        &mut self,
        name: &str,
        system: &SystemName,
        request: &SyncRequest,
    ) -> anyhow::Result<Story> {
        let phase = Phase::begin(name, &self.admin).await?;
        let bar = follow::bar(name);
        let story = follow::request(&self.broker, system, request, &bar).await;
        bar.finish_and_clear();
        let story = story?;
        let line = phase.end(&self.admin, story.summary.records).await?;
        println!("  {system}: {}, in {:.1} s", report::counts(&story.summary), line.seconds());
        for error in &story.summary.errors {
            println!("  it broke off: {error}");
        }
        self.went_well &= story.summary.errors.is_empty() && story.summary.failed == 0;
        self.waiting.extend(story.parked.iter().cloned());
        self.table.add(line);
        Ok(story)
    }

    fn people(&self) -> anyhow::Result<People<'_>> {
        People::new(&self.admin, self.plan.layer, &self.plan.comparer, &self.plan.config)
    }

    async fn see_arrive(&mut self, edits: &[Edit]) -> anyhow::Result<()> {
        self.went_well &= self.people()?.see_arrive(edits).await?;
        Ok(())
    }

    /// Compares both sides and prints the table; whether nothing differs and all went well.
    async fn close(&mut self, args: &DemoArgs) -> anyhow::Result<bool> {
        let comparison = self.plan.comparer.compare(&self.admin, self.plan.layer, &self.waiting).await?;
        println!();
        self.table.print();
        println!();
        let waiting: BTreeSet<_> = self.waiting.iter().map(report::parked).collect();
        report::list("the file", self.plan.warnings.iter().cloned());
        report::list("waits for a person", waiting.iter().cloned());
        report::list("differs", comparison.differences.iter().cloned());
        println!(
            "{} records on the map, {} matters, {} values compared: {}.",
            HumanCount(comparison.records as u64),
            HumanCount(comparison.matters as u64),
            HumanCount(comparison.compared as u64),
            match comparison.differences.len() {
                0 => "no difference".to_owned(),
                1 => "1 difference".to_owned(),
                several => format!("{} differences", HumanCount(several as u64)),
            }
        );
        println!("It took {:.0} seconds.", self.began.elapsed().as_secs_f64());
        if !self.went_well {
            println!("Not everything went well: see above.");
        }
        if let Some(file) = &args.json {
            let calls = self.admin.calls().await?;
            let json = self.table.json(&comparison, &calls, &waiting, &self.plan.warnings);
            std::fs::write(file, json).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        Ok(comparison.differences.is_empty() && self.went_well)
    }

    fn say_where(&self, args: &DemoArgs) {
        let (sandbox, layer) = (self.stage.sandbox.url(), self.plan.layer);
        let field = self.plan.comparer.pairs.iter().find(|pair| pair.both_ways).map_or("", |pair| &pair.gis);
        let config = args.config.as_deref().unwrap_or_else(|| Path::new(&self.plan.config.path));
        println!("\nIt stays up until Ctrl-C. Change the first record of the map as a person would:");
        println!("  curl -X PATCH {sandbox}admin/gis/layers/{layer}/features/1 \\");
        println!(
            "    -H 'content-type: application/json' -d '{{\"attributes\": {{\"{field}\": \"by hand\"}}}}'"
        );
        println!("and carry it over, then look at the matter:");
        println!("  NATS_URL={} \\", self.stage.office.nats.nats_url);
        println!("    DATABRIDGE_CONFIG={} {} sync all", config.display(), this_command());
        println!("  curl {sandbox}admin/clio/matters");
        println!("Clio's connection: {}", self.stage.page);
    }
}

/// Things such as `custom field "Location" (5)`, counted by what they are.
fn counted_by_kind(things: &[String]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for thing in things {
        *kinds.entry(thing.split('"').next().unwrap_or(thing).trim()).or_default() += 1;
    }
    let counted = kinds.iter().map(|(kind, count)| match count {
        1 => format!("1 {kind}"),
        _ => format!("{count} {kind}s"),
    });
    counted.collect::<Vec<_>>().join(", ")
}

/// How this program was called, as short as it can be called again.
fn this_command() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "databridge".into());
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| Some(program.strip_prefix(here).ok()?.to_owned()));
    short.unwrap_or(program).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::counted_by_kind;

    #[test]
    fn things_are_counted_by_what_they_are() {
        let things = ["group \"A\" (1)", "custom field \"B\" (2)", "custom field \"C\" (3)"];
        assert_eq!(counted_by_kind(&things.map(str::to_owned)), "2 custom fields, 1 group");
    }
}

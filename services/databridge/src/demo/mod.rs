//! `databridge demo`: everything at work on one machine, against a stand-in for Clio and ArcGIS.

pub mod compare;
pub mod consent;
mod edits;
mod plan;
mod stage;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Context;
use databridge_broker::Broker;
use databridge_model::{Mode, Parked, SyncRequest, SystemName};
use indicatif::HumanCount;
use sandbox::Admin;
use sandbox::client::GisFeature;
use serde_json::{Value, json};

use self::compare::Comparer;
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

/// The demo was stopped before its end.
#[derive(Debug, thiserror::Error)]
#[error("stopped before the end of the demo")]
pub struct Interrupted;

/// Runs the demo; whether nothing differs in the end.
pub async fn run(args: DemoArgs) -> anyhow::Result<bool> {
    let began = Instant::now();
    let plan = Plan::of(&args)?;
    println!("Data Bridge demo: {}, in step with Clio.", plan.map);
    let stop = databridge_runtime::until_asked_to_stop()?;
    let stage = tokio::select! {
        () = stop.cancelled() => return Err(Interrupted.into()),
        stage = Stage::set(&args, &plan, stop.child_token()) => stage?,
    };
    let mut show = Show::new(stage, plan, began)?;
    let result = tokio::select! {
        () = stop.cancelled() => Err(Interrupted.into()),
        result = show.play(&args) => result,
    };
    let same = match result {
        Ok(same) => same,
        Err(error) => {
            if let Err(error) = show.stage.strike().await {
                tracing::warn!(%error, "The demo did not stop in order.");
            }
            return Err(error);
        }
    };
    if !args.once {
        show.say_where(&args).await?;
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
        // What a killed demo has left under way is part of what this one shows.
        for run in story.summary.under_way.iter().filter_map(|under_way| under_way.run) {
            let earlier = follow::follow(&self.broker, run, &bar).await?;
            println!("  run {run}, from before: {}", report::counts(&earlier.summary));
            self.waiting.extend(earlier.parked);
        }
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
        let comparer = &self.plan.comparer;
        let comparison = comparer.compare(&self.admin, self.plan.layer, &self.waiting).await?;
        println!();
        self.table.print();
        println!();
        let waiting = lines_of(&self.waiting);
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

    async fn say_where(&self, args: &DemoArgs) -> anyhow::Result<()> {
        let (sandbox, layer, comparer) = (self.stage.sandbox.url(), self.plan.layer, &self.plan.comparer);
        let field = comparer.pairs.iter().find(|pair| pair.both_ways).map_or("", |pair| &pair.gis);
        let config = std::path::absolute(args.config.as_deref().unwrap_or(&self.plan.config.path))?;
        let features = self.admin.features(layer).await?;
        let matters = comparer.matters_by_key(&self.admin).await?;
        let in_step = features.iter().find(|feature| matters.contains_key(&comparer.key_of(feature)));
        println!("\nIt stays up until Ctrl-C.");
        println!("Clio's connection: {}", self.stage.page);
        let Some(feature) = in_step else { return Ok(()) };
        let object_id = feature.attributes.get("OBJECTID").and_then(Value::as_i64).unwrap_or_default();
        println!("Change a record of the map as a person would:");
        println!("  curl -X PATCH {sandbox}admin/gis/layers/{layer}/features/{object_id} \\");
        let edit = json!({"attributes": {field: "by hand"}});
        println!("    -H 'content-type: application/json' -d {}", quoted(&edit.to_string()));
        println!("and carry it over, then look at its matter:");
        println!("  NATS_URL={} \\", self.stage.office.nats.nats_url);
        let folder = quoted(&config.display().to_string());
        println!("    DATABRIDGE_CONFIG={folder} {} sync all", quoted(&this_command()));
        println!(
            "  curl -s {sandbox}admin/clio/matters | python3 -c {}",
            quoted(&printing_of_matter(comparer, feature))
        );
        Ok(())
    }
}

/// What waits for a person, one line each, the same told by several runs once.
fn lines_of(parked: &[Parked]) -> BTreeSet<String> {
    let mut distinct: Vec<&Parked> = Vec::new();
    for parked in parked {
        if !distinct.contains(&parked) {
            distinct.push(parked);
        }
    }
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for parked in distinct {
        *lines.entry(report::parked(parked)).or_default() += 1;
    }
    let told = lines.into_iter().map(|(line, records)| match records {
        1 => line,
        several => format!("{line} ({several} records)"),
    });
    told.collect()
}

/// A line of Python that prints the matter of a row, out of all of them.
fn printing_of_matter(comparer: &Comparer, feature: &GisFeature) -> String {
    format!(
        "import json, sys; [print(json.dumps(matter, indent=2)) for matter in json.load(sys.stdin) \
         if (matter[\"custom_fields\"].get({}) or \"\").strip() == {}]",
        json!(comparer.clio_key),
        json!(comparer.key_of(feature))
    )
}

/// A word as a shell takes it, in quotes where it needs them.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
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

/// This program, so that it can be called from any folder.
fn this_command() -> String {
    std::env::current_exe().unwrap_or_else(|_| "databridge".into()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_by_what_they_are() {
        let things = ["group \"A\" (1)", "custom field \"B\" (2)", "custom field \"C\" (3)"];
        assert_eq!(counted_by_kind(&things.map(str::to_owned)), "2 custom fields, 1 group");
    }

    #[test]
    fn a_word_for_the_shell_is_quoted_where_it_has_to_be() {
        assert_eq!(quoted("/a/b-c_1.toml"), "/a/b-c_1.toml");
        assert_eq!(quoted("/my config"), "'/my config'");
        assert_eq!(quoted("Ada's"), r"'Ada'\''s'");
    }

    #[test]
    fn what_waits_is_told_once_for_all_runs_and_counts_its_records() {
        let parked = |id: &str| Parked {
            system: "gis".parse().unwrap(),
            collection: "trees".parse().unwrap(),
            id: Some(id.to_owned()),
            key: databridge_model::Key::parse("T-5"),
            field: None,
            reason: "2 records have the key".to_owned(),
        };
        let lines = lines_of(&[parked("5"), parked("6"), parked("5"), parked("6")]);
        assert_eq!(
            lines.into_iter().collect::<Vec<_>>(),
            ["gis.trees T-5: 2 records have the key (2 records)"]
        );
    }
}

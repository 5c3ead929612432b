//! `databridge demo`: everything at work on one machine, against a stand-in for Clio and ArcGIS.

pub mod compare;
pub mod consent;
mod edits;
mod stage;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use databridge_broker::Broker;
use databridge_model::{Mode, Parked, SyncRequest, SystemName};

use sandbox::Admin;

use self::compare::Comparer;
use self::stage::Stage;
use self::table::{Phase, Table};
use crate::cli::DemoArgs;
use crate::follow::{self, Story};
use crate::{commands, report};

/// How many edits people make on each side.
const EDITS: usize = 20;

/// Runs the demo; whether nothing differs in the end.
pub async fn run(args: DemoArgs) -> anyhow::Result<bool> {
    let stop = databridge_runtime::until_asked_to_stop()?;
    let show = tokio::select! {
        () = stop.cancelled() => bail!("stopped"),
        stage = Stage::set(&args, stop.child_token()) => Show::new(stage?, &args)?,
    };
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
        show.say_where();
        stop.cancelled().await;
    }
    show.stage.strike().await?;
    Ok(same)
}

struct Show {
    stage: Stage,
    broker: Broker,
    admin: Admin,
    comparer: Comparer,
    gis: SystemName,
    clio: SystemName,
}

impl Show {
    fn new(stage: Stage, args: &DemoArgs) -> anyhow::Result<Self> {
        let comparer = match &args.config {
            Some(folder) => Comparer::from_routes(folder)?,
            None => Comparer::of_the_city(),
        };
        Ok(Self {
            broker: stage.broker.clone(),
            admin: stage.sandbox.admin(),
            comparer,
            gis: "gis".parse()?,
            clio: "clio".parse()?,
            stage,
        })
    }

    async fn play(&self, args: &DemoArgs) -> anyhow::Result<bool> {
        let mut table = Table::default();
        let mut waiting: Vec<Parked> = Vec::new();

        let phase = self.phase("connect Clio").await?;
        consent::give(&self.broker, &self.admin).await?;
        table.add(phase.end(&self.admin, 0).await?);

        let phase = self.phase("bootstrap").await?;
        let bar = follow::bar("bootstrap");
        let empty = serde_json::Value::Object(serde_json::Map::new());
        let answer = commands::ask(&self.broker, "bootstrap.clio", &empty, "clio-bridge").await?;
        bar.finish_and_clear();
        commands::print_bootstrap(&answer)?;
        table.add(phase.end(&self.admin, 0).await?);

        let migrate = SyncRequest { mode: Mode::Migrate, ..SyncRequest::default() };
        let story = self.run_phase("migrate", &self.gis, &migrate, &mut table).await?;
        waiting.extend(story.parked);

        if !args.no_edits {
            let edits = edits::in_gis(&self.admin, &self.stage, &self.comparer, EDITS).await?;
            println!("People change {} records on the map.", edits.len());
            let story = self.sync("20 edits on the map", &self.gis, &mut table).await?;
            waiting.extend(story.parked);
            edits::show_arrivals(&self.admin, self.stage.layer, &self.comparer, &edits).await?;

            let edits = edits::in_clio(&self.admin, &self.comparer, EDITS).await?;
            println!("People change {} matters in Clio.", edits.len());
            let story = self.sync("20 edits in Clio", &self.clio, &mut table).await?;
            waiting.extend(story.parked);
            edits::show_arrivals(&self.admin, self.stage.layer, &self.comparer, &edits).await?;
        }
        for system in [&self.gis, &self.clio] {
            self.sync(&format!("nothing new, sync {system}"), system, &mut table).await?;
        }

        let comparison = self.comparer.compare(&self.admin, self.stage.layer, &waiting).await?;
        table.print(&comparison, self.stage.started.elapsed());
        for line in waiting.iter().map(report::parked).collect::<std::collections::BTreeSet<_>>() {
            println!("  waits for a person: {line}");
        }
        for line in self.stage.warnings.iter().chain(&comparison.differences).take(40) {
            println!("  {line}");
        }
        if let Some(file) = &args.json {
            let json = table.json(&comparison, &self.admin.calls().await?);
            std::fs::write(file, json).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        Ok(comparison.differences.is_empty() && table.went_well)
    }

    async fn sync(&self, name: &str, system: &SystemName, table: &mut Table) -> anyhow::Result<Story> {
        self.run_phase(name, system, &SyncRequest::default(), table).await
    }

    async fn run_phase(
        &self,
        name: &str,
        system: &SystemName,
        request: &SyncRequest,
        table: &mut Table,
    ) -> anyhow::Result<Story> {
        let phase = self.phase(name).await?;
        let story = follow::request(&self.broker, system, request, &follow::bar(name)).await?;
        table.went_well &= story.summary.errors.is_empty() && story.summary.failed == 0;
        for error in &story.summary.errors {
            println!("  {name} broke off: {error}");
        }
        table.add(phase.end(&self.admin, story.summary.records).await?);
        Ok(story)
    }

    async fn phase(&self, name: &str) -> anyhow::Result<Phase> {
        Phase::begin(name, &self.admin).await
    }

    fn say_where(&self) {
        println!("\nIt stays up until Ctrl-C, for you to look around:");
        println!("  the page for connecting Clio   {}", self.stage.page);
        println!("  the sandbox                    {}", self.stage.sandbox.url());
        println!("  NATS                           {}", self.stage.office.nats.nats_url);
        println!(
            "Change a record in the sandbox, then run: NATS_URL={} databridge sync all",
            self.stage.office.nats.nats_url
        );
    }
}

/// The time since an instant, in seconds with one decimal.
pub(crate) fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_millis() as f64 / 100.0).round() / 10.0
}

/// How long the sandbox may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

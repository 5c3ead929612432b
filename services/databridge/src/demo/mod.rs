//! `databridge demo`: everything at work on one machine, against a stand-in for Clio and ArcGIS.

mod brought;
pub mod compare;
pub mod consent;
mod end;
mod lines;
mod people;
mod picture;
mod plan;
mod stage;
mod table;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use databridge_broker::Broker;
use databridge_model::{Mode, Parked, SyncRequest, SystemName};
use sandbox::Admin;
use serde_json::json;

use self::consent::Connected;
use self::people::{Act, Arrival, People, Place, see_arrive};
use self::picture::Picture;
use self::plan::Plan;
pub use self::plan::layer_of;
use self::stage::Stage;
use self::table::{Arrived, Phase, Table};
use crate::cli::DemoArgs;
use crate::follow::{self, Story};
use crate::say::say;
use crate::{commands, report};

/// How many edits of fields people make on each side.
const EDITS: usize = 20;

/// How much later than the migrate people come: by then nothing that it wrote is read as a late edit any more.
const LATER: Duration = Duration::from_secs(600);

/// The demo was stopped before its end.
#[derive(Debug, thiserror::Error)]
#[error("stopped before the end of the demo")]
pub struct Interrupted;

/// Runs the demo; whether nothing differs in the end.
pub async fn run(args: DemoArgs) -> anyhow::Result<bool> {
    let began = Instant::now();
    let plan = Plan::of(&args)?;
    say!("Data Bridge demo: {}.", plan.map);
    lines::list("the file", plan.warnings.iter());
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
        end::say_where(&show, &args).await?;
        stop.cancelled().await;
        say!("\nStopping.");
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
    /// What the migrate brought, by kinds.
    brought: BTreeMap<&'static str, usize>,
    /// What should be seen by the end of the day, and what was.
    follows: Vec<Arrival>,
    afterwards: Arrived,
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
            brought: BTreeMap::new(),
            follows: Vec::new(),
            afterwards: Arrived::default(),
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
        say!("\nMigrating: the first time both sides are brought together");
        let migrate = SyncRequest { mode: Mode::Migrate, ..SyncRequest::default() };
        self.run_phase("migrate", &gis, &migrate).await?;
        self.brought = brought::print(&self.plan.comparer, &self.picture().await?);

        say!("\nTen minutes later, by the sandbox's clock: what was made is read back once");
        self.admin.advance_clock(LATER).await?;
        self.sync("looking back, gis", &gis).await?;
        self.sync("looking back, clio", &clio).await?;

        if !args.no_edits {
            self.day().await?;
        }
        say!("\nNothing has changed since: the latest edits are read once more, and that is all");
        self.sync("nothing new, gis", &gis).await?;
        self.sync("nothing new, clio", &clio).await?;
        end::close(self, args).await
    }

    /// People work on both sides, and what they do arrives on the other.
    async fn day(&mut self) -> anyhow::Result<()> {
        let act = self.people().await?.edit_the_map(EDITS).await?;
        self.see(Some(act)).await?;
        let act = self.people().await?.write_notes_on_the_map().await?;
        self.see(act).await?;
        let act = self.people().await?.set_dates_on_the_map().await?;
        self.see(act).await?;
        let act = self.people().await?.hang_files().await?;
        self.see(act).await?;
        let act = self.people().await?.edit_clio(EDITS).await?;
        self.see(Some(act)).await?;
        let act = self.people().await?.write_notes_in_clio().await?;
        self.see(act).await?;
        let act = self.people().await?.set_dates_in_clio().await?;
        self.see(act).await?;
        let act = self.people().await?.type_days_in_clio().await?;
        self.see(act).await?;
        let act = self.people().await?.take_off_the_map().await?;
        self.see(act).await?;
        let act = self.people().await?.dismiss().await?;
        self.see(act).await?;
        let follows = std::mem::take(&mut self.follows);
        if !follows.is_empty() {
            say!("\nThe matters of the new court dates were read back meanwhile");
            self.afterwards = self.see_arrive("rows", &follows).await?;
        }
        Ok(())
    }

    async fn connect(&mut self) -> anyhow::Result<()> {
        say!("\nConnecting Clio");
        let phase = Phase::begin("connect", &self.admin).await?;
        match consent::give(&self.broker, &self.admin).await? {
            Connected::Before => say!("  It is connected already."),
            Connected::Now => {
                say!("  A person opens the one-time link and allows the access: connected.");
            }
        }
        self.table.add(phase.end(&self.admin, (0, 0)).await?);
        Ok(())
    }

    async fn bootstrap(&mut self) -> anyhow::Result<()> {
        say!("\nFinding what is needed in Clio, and making what is missing");
        let phase = Phase::begin("bootstrap", &self.admin).await?;
        let bar = follow::bar("bootstrap");
        let answer = commands::ask(&self.broker, "bootstrap.clio", &json!({}), "clio-bridge").await;
        bar.finish_and_clear();
        let report = commands::bootstrap_report(answer?)?;
        for (done, things) in [("found", &report.found), ("made", &report.made)] {
            if !things.is_empty() {
                say!("{}", lines::wrapped(&format!("{done}: {}", lines::counted_by_kind(things))));
            }
        }
        self.table.add(phase.end(&self.admin, (0, 0)).await?);
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
            say!("  run {run}, from before: {}", report::counts(&earlier.summary));
            self.waiting.extend(earlier.parked);
        }
        let line = phase.end(&self.admin, (story.summary.records, story.summary.written)).await?;
        let told = format!("{system}: {}, in {:.1} s", report::counts(&story.summary), line.seconds());
        say!("{}", lines::wrapped(&told));
        for error in &story.summary.errors {
            say!("{}", lines::wrapped(&format!("it broke off: {error}")));
        }
        self.went_well &= story.summary.errors.is_empty() && story.summary.failed == 0;
        self.waiting.extend(story.parked.iter().cloned());
        self.table.add(line);
        Ok(story)
    }

    async fn picture(&self) -> anyhow::Result<Picture> {
        Picture::take(&self.admin, &self.plan.comparer, self.plan.layer).await
    }

    async fn people(&self) -> anyhow::Result<People<'_>> {
        Ok(People {
            admin: &self.admin,
            layer: self.plan.layer,
            comparer: &self.plan.comparer,
            config: &self.plan.config,
            picture: self.picture().await?,
        })
    }

    /// Carries over what people have done, and waits until it is seen on the other side.
    async fn see(&mut self, act: Option<Act>) -> anyhow::Result<()> {
        let Some(act) = act.filter(|act| !act.arrivals.is_empty()) else { return Ok(()) };
        say!("\n{}", act.headline);
        let system = match act.place {
            Place::Map => self.gis.clone(),
            Place::Clio => self.clio.clone(),
        };
        let mode = if act.needs_full { Mode::Full } else { Mode::Incremental };
        self.run_phase(&act.name, &system, &SyncRequest { mode, ..SyncRequest::default() }).await?;
        let arrived = self.see_arrive(act.things, &act.arrivals).await?;
        self.table.note_arrivals(arrived);
        self.follows.extend(act.follows);
        Ok(())
    }

    async fn see_arrive(&mut self, things: &str, arrivals: &[Arrival]) -> anyhow::Result<Arrived> {
        let systems = (&self.admin, self.plan.layer);
        let arrived = see_arrive(things, arrivals, systems, &self.plan.comparer).await?;
        self.went_well &= arrived.is_all();
        Ok(arrived)
    }
}

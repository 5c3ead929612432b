//! Edits, faults and kills, one after another, and the comparison.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use databridge_broker::names;
use databridge_model::{Mode, SyncRequest};
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use it::crash::{ask, left_over};
use it::picture::Picture;
use it::processes::{Processes, Program, SERVICES};
use it::town::whole_config;
use it::{Town, TownOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sandbox::GisOptions;
use sandbox::city::City;

use crate::people::People;
use crate::{Options, faults};

/// How long what is under way may take to its end once the faults are over.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often both sides are read once more before what differs counts.
const MOST_CYCLES: usize = 4;

/// What is killed: one of these, or the broker.
const BROKER: &str = "nats-server";

/// How often a service ended by itself.
type Ended = BTreeMap<&'static str, u64>;

/// A town under torture.
struct Torture {
    options: Options,
    town: Town,
    people: People,
    killed: BTreeMap<&'static str, u64>,
    faults: u64,
    /// Services that ended by themselves and were started anew, as the stack does it.
    ended: Ended,
    /// Differences that were there when what changed had been read, and were gone when all had been.
    late: usize,
    bar: ProgressBar,
}

/// Does it all; an error says what differs and how to do the same again.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let again = format!(
        "the same again: --seed {} --kills {} --litigations {} --compare-every {}",
        options.seed, options.kills, options.litigations, options.compare_every
    );
    let begun = Instant::now();
    let mut torture = Torture::begin(options).await?;
    let outcome = torture.all().await.and_then(|()| torture.no_secret_can_be_read());
    if let (Err(_), Some(folder)) = (&outcome, &torture.options.evidence) {
        torture.write_evidence(folder).await;
    }
    torture.bar.finish_and_clear();
    println!("{}", torture.told());
    println!("{:.0} s", begun.elapsed().as_secs_f64());
    outcome.context(again)?;
    println!("Nothing lost, nothing twice, nothing overwritten, and no secret where it can be read.");
    Ok(())
}

impl Torture {
    async fn begin(options: Options) -> anyhow::Result<Self> {
        let city =
            City { attachments: options.litigations / 4, ..City::new(options.litigations, options.seed) };
        let logs = options.evidence.clone();
        if let Some(folder) = &logs {
            std::fs::create_dir_all(folder)?;
        }
        let town = Town::with(TownOptions {
            gis: GisOptions::of_city(city),
            config: whole_config(),
            processes: true,
            program: Some(Program {
                path: std::env::current_exe()?,
                first: vec!["service".to_owned()],
                logs,
            }),
            ack_wait_seconds: 2,
            patience: PATIENCE,
            ..TownOptions::default()
        })
        .await?;
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos} of {len} kills, {msg}")?;
        let bar = ProgressBar::new(options.kills).with_style(style);
        let none = BTreeMap::new;
        Ok(Self {
            town,
            people: People::default(),
            killed: none(),
            ended: none(),
            faults: 0,
            late: 0,
            bar,
            options,
        })
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        self.bar.set_message("the first migrate");
        self.town.migrate().await?;
        self.compare().await.context("before anything was killed")?;
        for kill in 1..=self.options.kills {
            self.bar.set_message(format!("{} things done by people", self.people.done()));
            self.one(kill).await.with_context(|| format!("at kill {kill}"))?;
            self.bar.inc(1);
            if kill % self.options.compare_every == 0 || kill == self.options.kills {
                self.compare().await.with_context(|| format!("after kill {kill}"))?;
            }
        }
        Ok(())
    }

    /// People, faults, requests, and a kill among them. Each is drawn from a seed of its own, so that what came before
    /// does not change it.
    async fn one(&mut self, kill: u64) -> anyhow::Result<()> {
        let random = &mut StdRng::seed_from_u64(self.options.seed.wrapping_mul(1_000_003) ^ kill);
        for _ in 0..random.random_range(0..=4) {
            self.people.act(&self.town, random).await?;
        }
        for _ in 0..random.random_range(0..=2) {
            self.faults += 1;
            self.town.admin.fault(&faults::any(random)).await?;
        }
        for _ in 0..random.random_range(1..=2) {
            let system = if random.random_bool(0.5) { "gis" } else { "clio" };
            let mode = match random.random_range(0..10) {
                0 => Mode::Full,
                1 => Mode::Migrate,
                _ => Mode::Incremental,
            };
            ask(&self.town, system, SyncRequest { mode, ..SyncRequest::default() }).await?;
        }
        let (before, after) = (random.random_range(0..1_500), random.random_range(0..400));
        tokio::time::sleep(Duration::from_millis(before)).await;
        let victims = SERVICES.into_iter().chain(["reconciler", "gis-bridge", "clio-bridge", BROKER]);
        let victim = victims.collect::<Vec<_>>().choose(random).copied().unwrap_or(BROKER);
        *self.killed.entry(victim).or_default() += 1;
        let now = self.town.broker.clock().now();
        self.people.witness(now, &format!("kill {kill}: {victim}"));
        if victim == BROKER {
            self.town.nats.kill9()?;
            tokio::time::sleep(Duration::from_millis(after)).await;
            self.town.nats.restart().await?;
        } else {
            self.processes()?.kill(victim).await?;
            tokio::time::sleep(Duration::from_millis(after)).await;
            self.processes()?.start_one(victim, None)?;
        }
        let processes = self.town.processes.as_mut().context("no processes")?;
        start_those_that_ended(processes, &mut self.ended)
    }

    /// Compares while services that end by themselves are started anew; with what is left over, where it fails.
    async fn compare(&mut self) -> anyhow::Result<()> {
        let mut processes = self.town.processes.take().context("no processes")?;
        let mut ended = std::mem::take(&mut self.ended);
        let compared = tokio::select! {
            compared = self.compare_all() => compared,
            error = keep_up(&mut processes, &mut ended) => Err(error),
        };
        (self.town.processes, self.ended) = (Some(processes), ended);
        match compared {
            Ok(()) => {
                self.people.were_compared();
                Ok(())
            }
            Err(error) => {
                let left = left_over(&self.town).await.unwrap_or_else(|error| vec![error.to_string()]);
                Err(error.context(format!("left over: {}", left.join("; "))))
            }
        }
    }

    /// The faults stop, all that is under way comes to its end, and nothing differs.
    async fn compare_all(&mut self) -> anyhow::Result<()> {
        self.bar.set_message("comparing");
        self.town.admin.clear_faults().await?;
        self.town.cycle().await?;
        self.all_is_done().await?;
        self.town.cycle().await?;
        self.late += self.differences().await?.len();
        // What is gone is seen by those who list everything.
        let mut differences = Vec::new();
        for _ in 0..MOST_CYCLES {
            for system in ["gis", "clio"] {
                self.town.full_sync(system).await?;
            }
            self.town.cycle().await?;
            self.all_is_done().await?;
            differences = self.differences().await?;
            if differences.is_empty() {
                break;
            }
        }
        if !differences.is_empty() {
            bail!("{} differences:\n{}", differences.len(), differences.join("\n"));
        }
        self.town.next_cycle_writes_nothing().await?;
        let after = self.differences().await?;
        anyhow::ensure!(after.is_empty(), "a cycle without an edit made differences:\n{}", after.join("\n"));
        Ok(())
    }

    /// Waits for what earlier runs have under way: a push that failed often waits for long.
    async fn all_is_done(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !left_over(&self.town).await?.is_empty() {
            anyhow::ensure!(Instant::now() < deadline, "what is under way does not come to its end");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Neither in the broker's files nor in a log nor in the address of a call.
    fn no_secret_can_be_read(&self) -> anyhow::Result<()> {
        self.bar.set_message("searching for secrets");
        let found = self.town.search.last();
        anyhow::ensure!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    }

    async fn differences(&mut self) -> anyhow::Result<Vec<String>> {
        let mut found = self.town.compare(&[]).await?.differences;
        found.extend(self.people.ledger.look(&self.town).await?);
        Ok(found)
    }

    /// Writes down what there is; what cannot be had is told, and keeps nothing else from being written.
    async fn write_evidence(&self, folder: &Path) {
        let tell = |what: &str, error: anyhow::Error| self.bar.suspend(|| eprintln!("no {what}: {error:#}"));
        if let Err(error) = std::fs::write(folder.join("people.txt"), self.people.diary()) {
            tell("diary", error.into());
        }
        let streams = [names::SYNC, names::PULL, names::PUSH, names::OUTCOME, names::RUN, names::DEAD]
            .map(str::to_owned);
        let buckets = [names::LINKS, names::CONFLICTS, names::INTENTS, names::APPLIED, names::WAITING]
            .map(|it| format!("KV_{it}"));
        for stream in streams.iter().chain(&buckets) {
            if let Err(error) = self.write_stream(folder, stream).await {
                tell(stream, error);
            }
        }
        if let Err(error) = self.write_picture(folder).await {
            tell("picture", error);
        }
        // What nats-server is at, if it does not answer: it writes that to its log, and ends.
        if let Some(pid) = self.town.nats.pid().and_then(|pid| i32::try_from(pid).ok()) {
            let told = kill(Pid::from_raw(pid), Signal::SIGQUIT);
            tokio::time::sleep(Duration::from_secs(2)).await;
            let copied = std::fs::copy(self.town.nats.log_path(), folder.join("nats-server.log"));
            if let Err(error) = told.map_err(anyhow::Error::from).and(copied.map_err(anyhow::Error::from)) {
                tell("log of nats-server", error);
            }
        }
    }

    /// The messages of a stream, and how its consumers stand.
    async fn write_stream(&self, folder: &Path, stream: &str) -> anyhow::Result<()> {
        let opened = self.town.broker.jetstream().get_stream(stream).await?;
        let mut consumers = opened.consumers();
        let mut told = Vec::new();
        while let Some(consumer) = consumers.try_next().await? {
            told.push(format!("{consumer:#?}"));
        }
        std::fs::write(folder.join(format!("{stream}.consumers.txt")), told.join("\n"))?;
        let messages = self.town.messages(stream).await?;
        let lines = messages.iter().map(|it| format!("{} {} {}\n", it.sequence, it.subject, it.text()));
        Ok(std::fs::write(folder.join(format!("{stream}.txt")), lines.collect::<String>())?)
    }

    async fn write_picture(&self, folder: &Path) -> anyhow::Result<()> {
        let picture = Picture::of(&self.town).await?;
        Ok(std::fs::write(folder.join("picture.txt"), format!("{picture:#?}"))?)
    }

    fn processes(&mut self) -> anyhow::Result<&mut Processes> {
        self.town.processes.as_mut().context("no processes")
    }

    fn told(&self) -> String {
        let list = |of: &BTreeMap<&str, u64>| {
            let each: Vec<_> = of.iter().map(|(name, times)| format!("{name} {times}")).collect();
            if each.is_empty() { "none".to_owned() } else { each.join(", ") }
        };
        format!(
            "Killed: {}. Ended by themselves: {}. {} faults. {} things done by people: {}. {} differences were seen \
             by a complete listing only.",
            list(&self.killed),
            list(&self.ended),
            self.faults,
            self.people.done(),
            self.people.ledger.told(),
            self.late,
        )
    }
}

/// Starts anew what ends by itself, as the stack does it, until that fails.
async fn keep_up(processes: &mut Processes, ended: &mut Ended) -> anyhow::Error {
    loop {
        if let Err(error) = start_those_that_ended(processes, ended) {
            return error;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn start_those_that_ended(processes: &mut Processes, ended: &mut Ended) -> anyhow::Result<()> {
    for service in SERVICES {
        if !processes.is_alive(service)? {
            *ended.entry(service).or_default() += 1;
            processes.start_one(service, None)?;
        }
    }
    Ok(())
}

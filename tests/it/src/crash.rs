//! A flow broken off by a crash, and what must be true once it has gone on.

mod aftermath;
mod trap;
pub mod whole;

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use databridge_broker::async_nats::datetime::{add_std_duration, now};
use databridge_broker::async_nats::jetstream::consumer::PullConsumer;
use databridge_broker::{Envelope, names};
use databridge_model::{Mode, RunId, SyncRequest, subject};
use futures::TryStreamExt;
use sandbox::client::{GisEdit, GisFeature};
use sandbox::clio::hand::MatterEdit;
use serde_json::json;

use self::aftermath::{PATIENCE, follow_to_the_end, must_be_tidy};
pub use self::aftermath::{ask, left_over};
pub use self::trap::restart;
use self::trap::{Trap, Victim};
use crate::town::{Town, object_id, text, value};
use crate::watch::until;

/// What is under way when the crash comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// A new litigation gets its matter in a sync.
    Create,
    /// New litigations get their matters in a migrate.
    Migrate,
    /// An edit on the map goes to the matter.
    ToMatter,
    /// An edit in Clio goes to the row.
    ToRow,
}

/// What a person did on one side, and so must show on both.
#[derive(Clone, Debug)]
struct Edit {
    warrant: String,
    owner: String,
    address: String,
}

/// How many crashes a town goes through, one after another.
const POINTS_A_TOWN: usize = 6;

/// A town where one flow after another is broken off.
pub struct Crashes {
    town: Town,
    flow: Flow,
    rounds: usize,
    edits: Vec<Edit>,
}

impl Crashes {
    /// A town in which both sides agree already.
    async fn during(flow: Flow) -> anyhow::Result<Self> {
        let town = Box::pin(Town::of_processes(4)).await?;
        town.migrate().await?;
        Ok(Self { town, flow, rounds: 0, edits: Vec::new() })
    }

    /// A dry run whose reconciler dies before it knows that the run is dry, and finds its pulls first when it is back.
    pub async fn of_a_dry_run() -> anyhow::Result<()> {
        let mut crashes = Self::during(Flow::Create).await?;
        crashes.town.admin.reset_calls().await?;
        restart(&mut crashes.town, "reconciler", Some("kill:reconciler.before-run-opened")).await?;
        let dry = SyncRequest { dry_run: true, ..SyncRequest::default() };
        let run = crashes.begin_with(dry).await?;
        let town = &mut crashes.town;
        let processes = town.processes.as_mut().context("no processes")?;
        processes.died("reconciler").await?;
        processes.start_one("reconciler", None)?;
        let story = follow_to_the_end(town, run).await?;
        ensure!(story.would_push.len() == crashes.edits.len(), "it would push {:?}", story.would_push);
        must_be_tidy(&crashes.town).await?;
        ensure!(crashes.town.writes().await? == (0, 0), "a dry run wrote");
        Ok(())
    }

    /// A migrate whose reconciler dies as it asks for the other side's listing, and is told the end of it before
    /// it knows that it asked.
    pub async fn of_an_overtaken_listing() -> anyhow::Result<()> {
        let mut crashes = Self::during(Flow::Migrate).await?;
        restart(&mut crashes.town, "reconciler", Some("kill:reconciler.before-part")).await?;
        // Nothing is new: no record asks for the listing once more.
        let migrate = SyncRequest { mode: Mode::Migrate, ..SyncRequest::default() };
        let run = crashes.publish(migrate).await?;
        let jetstream = crashes.town.broker.jetstream();
        let (requests, ends) = (
            jetstream.get_stream_no_info(names::SYNC).await?,
            jetstream.get_stream_no_info(names::RUN).await?,
        );
        let processes = crashes.town.processes.as_mut().context("no processes")?;
        processes.died("reconciler").await?;
        let paused_until = add_std_duration(now(), PATIENCE).map_err(|error| anyhow::anyhow!(error))?;
        requests.pause_consumer("reconciler", paused_until).await?;
        until("both bridges to tell the ends of their listings", async || {
            let subjects = ends.info_with_subjects(format!("run.{run}.listed")).await?;
            let subjects: Vec<(String, usize)> = subjects.try_collect().await?;
            Ok(subjects.iter().any(|(_, ends)| *ends == 2).then_some(()))
        })
        .await?;
        processes.start_one("reconciler", None)?;
        until("the reconciler to read them", async || {
            let reader: PullConsumer = ends.get_consumer("reconciler").await.map_err(anyhow::Error::msg)?;
            let read = reader.get_info().await?;
            let is_read = read.num_pending == 0 && (read.num_ack_pending == 0 || read.num_redelivered > 0);
            Ok(is_read.then_some(()))
        })
        .await?;
        requests.resume_consumer("reconciler").await?;
        // A consumer that is resumed does not look at its stream until something comes.
        crashes.town.sync("clio").await?;
        crashes.must_be_whole(run).await
    }

    /// Breaks the flow off once at each fail point by a SIGKILL of the service, starts it again, and sees that all is
    /// as it would have been without.
    pub async fn of_a_service(
        flow: Flow,
        service: &'static str,
        points: Vec<&'static str>,
    ) -> anyhow::Result<()> {
        Self::at_each(flow, service, &points, Victim::Service).await
    }

    /// The same, with a SIGKILL of the broker while the service is at the fail point.
    pub async fn of_the_broker(
        flow: Flow,
        service: &'static str,
        points: Vec<&'static str>,
    ) -> anyhow::Result<()> {
        Self::at_each(flow, service, &points, Victim::Broker).await
    }

    /// A town for every few fail points, all at once: most of a crash is waiting.
    async fn at_each(
        flow: Flow,
        service: &'static str,
        points: &[&str],
        victim: Victim,
    ) -> anyhow::Result<()> {
        let towns = points.chunks(POINTS_A_TOWN).map(async |points| {
            let mut crashes = Self::during(flow).await?;
            for point in points {
                let round = crashes.round(victim, service, point).await;
                round.with_context(|| format!("{flow:?}: {victim:?} killed, {service} at {point}"))?;
            }
            Ok(())
        });
        futures::future::try_join_all(towns).await.map(drop)
    }

    async fn round(&mut self, victim: Victim, service: &'static str, point: &str) -> anyhow::Result<()> {
        let trap = Trap::set(&mut self.town, victim, service, point).await?;
        let run = self.begin().await?;
        trap.sprung(&mut self.town).await?;
        self.must_be_whole(run).await
    }

    /// A person's edits, and the request that carries them over.
    async fn begin(&mut self) -> anyhow::Result<RunId> {
        let mode = if self.flow == Flow::Migrate { Mode::Migrate } else { Mode::Incremental };
        self.begin_with(SyncRequest { mode, ..SyncRequest::default() }).await
    }

    async fn begin_with(&mut self, request: SyncRequest) -> anyhow::Result<RunId> {
        self.rounds += 1;
        self.edits = match self.flow {
            Flow::Create | Flow::Migrate => self.new_litigations().await?,
            Flow::ToMatter => self.edited_rows().await?,
            Flow::ToRow => self.edited_matters().await?,
        };
        self.publish(request).await
    }

    async fn publish(&self, request: SyncRequest) -> anyhow::Result<RunId> {
        let system = if self.flow == Flow::ToRow { "clio" } else { "gis" };
        let subject = subject::sync_request(&system.parse()?, None);
        Ok(RunId(self.town.broker.publish(subject, &request, &Envelope::default()).await?))
    }

    fn edit(&self, warrant: String) -> Edit {
        let round = self.rounds;
        let (owner, address) = (format!("Owner {round} of {warrant}"), format!("{round} Beale St"));
        Edit { warrant, owner, address }
    }

    async fn new_litigations(&self) -> anyhow::Result<Vec<Edit>> {
        let edits = ["A", "B"].map(|letter| self.edit(format!("K-{}-{letter}", self.rounds)));
        let rows = edits.clone().map(|edit| GisFeature {
            attributes: [
                ("CivilWarrant", edit.warrant),
                ("Court_Property_Owner", edit.owner),
                ("ADDRESS1", edit.address),
                ("Court_Status", "Hearing".to_owned()),
            ]
            .into_iter()
            .map(|(field, value)| (field.to_owned(), json!(value)))
            .collect(),
            lon: Some(-90.05),
            lat: Some(35.15),
        });
        self.town.admin.add_features(self.town.layer(), &rows).await?;
        Ok(edits.into())
    }

    async fn edited_rows(&self) -> anyhow::Result<Vec<Edit>> {
        let mut edits = Vec::new();
        for row in self.town.rows().await?.iter().take(2) {
            let edit = self.edit(text(row, "CivilWarrant"));
            let by_hand = GisEdit::field("Court_Property_Owner", edit.owner.as_str())
                .and_field("ADDRESS1", edit.address.as_str());
            self.town.admin.edit_feature(self.town.layer(), object_id(row)?, &by_hand).await?;
            edits.push(edit);
        }
        Ok(edits)
    }

    async fn edited_matters(&self) -> anyhow::Result<Vec<Edit>> {
        let mut edits = Vec::new();
        for matter in self.town.matters().await?.iter().take(2) {
            let edit = self.edit(value(matter, "Civil Warrant"));
            let by_hand = MatterEdit::field("Property Owner", Some(&edit.owner))
                .and_field("Location", Some(&edit.address));
            self.town.admin.edit_matter(matter.id, &by_hand).await?;
            edits.push(edit);
        }
        Ok(edits)
    }

    /// The run ends, both sides show the edits, every litigation has one matter, nothing is left over, and another
    /// cycle finds nothing to write.
    async fn must_be_whole(&self, run: RunId) -> anyhow::Result<()> {
        let town = &self.town;
        let story = follow_to_the_end(town, run).await?;
        ensure!(story.parked.is_empty(), "something was parked: {:?}", story.parked);
        ensure!(story.conflicts.is_empty(), "conflicts came of it: {:?}", story.conflicts);
        self.must_be_right().await?;
        must_be_tidy(town).await?;
        town.next_cycle_writes_nothing().await?;
        self.must_be_right().await?;
        must_be_tidy(town).await
    }

    async fn must_be_right(&self) -> anyhow::Result<()> {
        let town = &self.town;
        let rows = town.rows().await?;
        let matters = town.matters().await?;
        let warrants: BTreeSet<_> = rows.iter().map(|row| text(row, "CivilWarrant")).collect();
        let matched: BTreeSet<_> = matters.iter().map(|matter| value(matter, "Civil Warrant")).collect();
        ensure!(warrants.len() == rows.len(), "a warrant has several rows");
        ensure!(matched.len() == matters.len(), "a warrant has several matters");
        ensure!(warrants == matched, "warrants {warrants:?}, matters {matched:?}");
        for edit in &self.edits {
            let (row, matter) = (town.row(&edit.warrant).await?, town.matter(&edit.warrant).await?);
            let shown = [
                (text(&row, "Court_Property_Owner"), &edit.owner),
                (text(&row, "ADDRESS1"), &edit.address),
                (value(&matter, "Property Owner"), &edit.owner),
                (value(&matter, "Location"), &edit.address),
            ];
            for (shown, wanted) in shown {
                ensure!(shown == *wanted, "{} shows `{shown}`, not `{wanted}`", edit.warrant);
            }
        }
        town.assert_same().await
    }
}

//! What every bridge promises of its listings, tried by programs drawn by chance: while people add, edit and remove
//! records between two pages, no other record is missed and none comes twice; and what they did meanwhile comes with
//! the next listing.
//!
//! Nothing of the product depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, ensure};
use databridge_bridge::{Next, OutsideSystem, Shown, Span, Start};
use databridge_model::CollectionName;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use sandbox::Admin;
use tokio::runtime::Runtime;

/// The people who work in the system meanwhile.
pub trait People {
    /// Makes a record with this value.
    fn add(&self, value: &str) -> impl Future<Output = anyhow::Result<()>>;

    /// Gives a record another value.
    fn edit(&self, id: &str, value: &str) -> impl Future<Output = anyhow::Result<()>>;

    /// Removes a record for good.
    fn remove(&self, id: &str) -> impl Future<Output = anyhow::Result<()>>;

    /// The system's own side, where time passes.
    fn admin(&self) -> &Admin;

    /// What there is: the value of each record by its id.
    fn living(&self) -> impl Future<Output = anyhow::Result<BTreeMap<String, String>>>;

    /// Id and value of a record in a listing.
    fn told(&self, shown: &Shown) -> (String, String);
}

/// What happens next. A record is meant by its place among those that there are.
#[derive(Clone, Debug)]
enum Step {
    /// The bridge reads a page of so many; after the last one it begins the next listing.
    Page(usize),
    Add,
    Edit(usize),
    Remove(usize),
    Pass(u64),
}

fn program() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_usize..5).prop_map(Step::Page),
        2 => Just(Step::Add),
        2 => (0_usize..32).prop_map(Step::Edit),
        1 => (0_usize..32).prop_map(Step::Remove),
        1 => (0_u64..900).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..40)
}

/// So many records there are before a program begins.
const RECORDS: usize = 7;

/// Tries whether the listings of a collection hold what they promise; `PROPTEST_CASES` asks for more programs.
///
/// # Errors
///
/// The shortest program found after which they do not, and how that shows.
pub fn hold(
    runtime: &Runtime,
    system: &impl OutsideSystem,
    collection: &str,
    people: &impl People,
) -> anyhow::Result<()> {
    let collection = CollectionName::parse(collection)?;
    let chosen = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let config = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => chosen,
        None => ProptestConfig { cases: 40, ..chosen },
    };
    let tried = TestRunner::new(config).run(&program(), |steps| {
        let done = runtime.block_on(runs(system, &collection, people, &steps));
        done.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    tried.map_err(|error| anyhow::anyhow!("{collection}: {error}"))
}

async fn runs<S: OutsideSystem>(
    system: &S,
    collection: &CollectionName,
    people: &impl People,
    steps: &[Step],
) -> anyhow::Result<()> {
    let mut reader = Reader::new(system, collection, people);
    for id in people.living().await?.into_keys() {
        people.remove(&id).await?;
    }
    for _ in 0..RECORDS {
        people.add(&reader.another()).await?;
    }
    for step in steps {
        match step {
            Step::Page(most) => reader.page(*most).await?,
            Step::Add => people.add(&reader.another()).await?,
            Step::Edit(which) => {
                if let Some(id) = nth(people, *which).await? {
                    people.edit(&id, &reader.another()).await?;
                }
            }
            Step::Remove(which) => {
                if let Some(id) = nth(people, *which).await? {
                    people.remove(&id).await?;
                }
            }
            Step::Pass(seconds) => people.admin().advance_clock(Duration::from_secs(*seconds)).await?,
        }
    }
    reader.finish().await?;
    reader.next_listing(Span::Changed(None)).await?;
    reader.has_seen_what_there_is().await?;
    reader.seen.clear();
    reader.next_listing(Span::Whole).await?;
    let (living, seen) = (people.living().await?, &reader.seen);
    ensure!(living.keys().eq(seen), "a whole listing shows {seen:?} where there are {living:?}");
    reader.has_seen_what_there_is().await
}

async fn nth(people: &impl People, which: usize) -> anyhow::Result<Option<String>> {
    let living = people.living().await?;
    let place = which.checked_rem(living.len());
    Ok(place.and_then(|place| living.into_keys().nth(place)))
}

/// Reads one listing after the other, as a bridge does.
struct Reader<'a, S: OutsideSystem, P> {
    system: &'a S,
    collection: &'a CollectionName,
    people: &'a P,
    /// How many values were given.
    values: usize,
    /// Where the last listing left off.
    rest: Option<S::Place>,
    /// The listing that is read.
    listing: Option<Listing<S::Place>>,
    /// The records of the listing that is read, or of the last one.
    seen: BTreeSet<String>,
    /// What the listings so far have told.
    copy: BTreeMap<String, String>,
}

struct Listing<P> {
    place: P,
    /// What it must show, as far as it is there still.
    must_show: BTreeSet<String>,
}

impl<'a, S: OutsideSystem, P: People> Reader<'a, S, P> {
    fn new(system: &'a S, collection: &'a CollectionName, people: &'a P) -> Self {
        let (seen, copy) = (BTreeSet::new(), BTreeMap::new());
        Self { system, collection, people, values: 0, rest: None, listing: None, seen, copy }
    }

    fn another(&mut self) -> String {
        self.values += 1;
        format!("Value {}", self.values)
    }

    /// Begins a listing: the first is of everything, as are those that are asked for.
    async fn begin(&mut self, span: &Span) -> anyhow::Result<()> {
        let is_whole = *span == Span::Whole || self.rest.is_none();
        let must_show =
            if is_whole { self.people.living().await?.into_keys().collect() } else { BTreeSet::new() };
        match self.system.start(self.collection, span, self.rest.as_ref()).await? {
            Start::Nothing(place) => self.rest = Some(place),
            Start::Listing(place) => {
                self.seen.clear();
                self.listing = Some(Listing { place, must_show });
            }
        }
        Ok(())
    }

    async fn page(&mut self, most: usize) -> anyhow::Result<()> {
        if self.listing.is_none() {
            self.begin(&Span::Changed(None)).await?;
        }
        let Some(listing) = &mut self.listing else { return Ok(()) };
        let page = self.system.page(self.collection, &listing.place, most).await?;
        ensure!(page.notices.is_empty(), "it says {:?}", page.notices);
        for shown in page.records {
            let (id, value) = self.people.told(&shown);
            ensure!(self.seen.insert(id.clone()), "{id} comes twice");
            if shown.deleted {
                self.copy.remove(&id)
            } else {
                self.copy.insert(id, value)
            };
        }
        match page.next {
            Next::More(next) => listing.place = next,
            Next::End(rest) => {
                self.rest = Some(rest);
                let listing = self.listing.take().context("no listing")?;
                let living = self.people.living().await?;
                let missed =
                    listing.must_show.iter().find(|id| living.contains_key(*id) && !self.seen.contains(*id));
                ensure!(missed.is_none(), "{missed:?} was there all the time and did not come");
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> anyhow::Result<()> {
        while self.listing.is_some() {
            self.page(3).await?;
        }
        Ok(())
    }

    async fn next_listing(&mut self, span: Span) -> anyhow::Result<()> {
        self.begin(&span).await?;
        self.finish().await
    }

    /// What is gone is known from listings of everything alone.
    async fn has_seen_what_there_is(&self) -> anyhow::Result<()> {
        for (id, value) in self.people.living().await? {
            let told = self.copy.get(&id);
            ensure!(told == Some(&value), "{id} has {value}, and the listings told {told:?}");
        }
        Ok(())
    }
}

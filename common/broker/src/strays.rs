//! Pushes that no bridge takes: of a system that is not there, or on a subject of another form. A person wrote them, or
//! a system's file was taken out. PUSH is a work queue, in which each message has one consumer at the most, so there is
//! none for the rest: without a look at what is there nobody would ever hear of them.

use async_nats::jetstream::stream::Stream;
use databridge_model::SystemName;
use databridge_model::subject::Lane;
use futures::TryStreamExt;

use crate::burial::Dead;
use crate::{Broker, PublishError, ReadError, TakeOutError, consumers, names};

/// Pushes that no bridge takes cannot be put aside.
#[derive(Debug, thiserror::Error)]
pub enum StrayError {
    /// The pushes cannot be looked through.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A dead letter cannot be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A push that is a dead letter by now cannot be taken out.
    #[error(transparent)]
    TakeOut(#[from] TakeOutError),
}

/// What pushes begin with; under `later.` are the schedules of long waits, which no consumer takes.
const PUSHES: [&str; 2] = ["push", "long"];

impl Broker {
    /// Makes dead letters of the pushes that none of these systems' bridges takes, and tells how many there were. Each is
    /// copied first and taken out afterwards.
    pub async fn bury_stray_pushes(&self, systems: &[&SystemName]) -> Result<usize, StrayError> {
        let opened = self.jetstream.get_stream_no_info(names::PUSH).await;
        let stream = opened.map_err(|error| ReadError::of(names::PUSH, &error))?;
        let bridges = Bridges::of(systems);
        let mut buried = 0;
        for begin in PUSHES {
            let subjects = subjects(&stream, &format!("{begin}.>")).await?;
            for subject in subjects.iter().filter(|subject| !bridges.take(subject)) {
                buried += self.bury_all_of(subject, &bridges.why_none_takes(subject)).await?;
            }
        }
        Ok(buried)
    }

    async fn bury_all_of(&self, subject: &str, why: &str) -> Result<usize, StrayError> {
        let (mut from, mut buried) = (1, 0);
        while let Some(stray) = self.next_stored(names::PUSH, subject, from).await? {
            let sequence = stray.sequence;
            tracing::error!(subject, why, "No bridge takes a push; it is kept as a dead letter.");
            let dead = Dead { stream: names::PUSH, sequence, subject, body: &stray.payload };
            dead.bury(self, "push", why.to_owned(), Vec::new()).await?;
            self.take_out(names::PUSH, sequence).await?;
            (from, buried) = (sequence + 1, buried + 1);
        }
        Ok(buried)
    }
}

/// All subjects of a stream that a filter takes.
async fn subjects(stream: &Stream<()>, filter: &str) -> Result<Vec<String>, ReadError> {
    let failed = |why: &dyn std::fmt::Display| ReadError::of(names::PUSH, why);
    let told = stream.info_with_subjects(filter).await.map_err(|error| failed(&error))?;
    told.map_ok(|(subject, _)| subject).try_collect().await.map_err(|error| failed(&error))
}

/// The bridges of some systems.
struct Bridges<'a> {
    systems: &'a [&'a SystemName],
    /// How the subjects begin that their consumers cover.
    covered: Vec<String>,
}

impl<'a> Bridges<'a> {
    fn of(systems: &'a [&'a SystemName]) -> Self {
        let lanes = systems.iter().flat_map(|system| Lane::BOTH.map(|lane| (*system, lane)));
        let plans = lanes.flat_map(|(system, lane)| {
            [consumers::pushes(system, lane), consumers::long_pushes(system, lane)]
        });
        let filters = plans.flat_map(|plan| plan.filters);
        Self { systems, covered: filters.map(|filter| filter.trim_end_matches('>').to_owned()).collect() }
    }

    fn take(&self, subject: &str) -> bool {
        self.covered.iter().any(|begin| subject.starts_with(begin))
    }

    /// Why none of them takes a push of this subject.
    fn why_none_takes(&self, subject: &str) -> String {
        let system = subject.split('.').nth(2).filter(|_| Lane::of_push(subject).is_some());
        match system.filter(|system| !self.systems.iter().any(|it| it.as_str() == *system)) {
            Some(system) => {
                let known = self.systems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                format!("there is no system `{system}`; the systems are: {known}")
            }
            None => "no bridge takes it: a push goes on push.<live or bulk>.<system>.<collection>.<key>"
                .to_owned(),
        }
    }
}

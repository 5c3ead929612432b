//! How many calls a day a system may cost.
//!
//! A process takes calls from the day's budget in portions, so that not each costs a word with whoever keeps the count.
//! What it has in hand when it dies is lost for the day; more than the budget is never made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use databridge_runtime::Clock;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

pub use self::day_count::DayCount;
use crate::{CallError, ErrorClass};

mod day_count;
#[cfg(test)]
mod tests;

/// Keeps how many calls of a day are taken, for all processes.
pub trait Ledger: Send + Sync + 'static {
    /// Takes up to so many calls of a day, by [`DayCount::take`].
    fn take(&self, day: NaiveDate, wanted: u32, per_day: u32) -> BoxFuture<'_, Result<Taken, LedgerError>>;

    /// Takes calls back that were not made, by [`DayCount::without`].
    fn give_back(&self, day: NaiveDate, calls: u32) -> BoxFuture<'_, Result<(), LedgerError>>;
}

/// What was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Of which day, in UTC; it may be the next one.
    pub day: NaiveDate,
    /// So many calls; none if the budget is used up.
    pub calls: u32,
    /// All that are taken of this day now.
    pub in_all: u32,
}

/// The ledger cannot be used at the moment.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// How many calls a day a system may cost. Clones are one budget.
#[derive(Clone, Debug)]
pub struct Budget(Option<Arc<Books>>);

struct Books {
    per_day: u32,
    /// Where it is set: `CLIO_CALLS_PER_DAY`.
    setting: String,
    clock: Clock,
    ledger: Box<dyn Ledger>,
    hand: Mutex<Hand>,
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.setting, self.per_day)
    }
}

/// What this process has in hand.
#[derive(Debug, Default)]
struct Hand {
    day: NaiveDate,
    calls: u32,
    /// Nothing is left of the day but that.
    is_last: bool,
    /// It was told in the log that the day's budget is nearly used up.
    is_told: bool,
}

/// The right to one call, as far as a budget is concerned.
#[derive(Debug)]
#[must_use]
pub struct Paid(());

impl Paid {
    /// For a call that no budget is for: a sign-in.
    pub fn by_nobody() -> Self {
        Self(())
    }
}

/// No call may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Until then.
    pub until: DateTime<Utc>,
    /// Why, as a sentence without its end.
    pub why: String,
}

/// How much is taken at once: of a great budget so many calls, of a small one the hundredth part.
const PORTION: u32 = 20;

/// How long the ledger may take; a call that waited longer might not be its worker's any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// The share of the budget that is told in the log when it is taken, in percent.
const TOLD_AT: u64 = 80;

impl Budget {
    /// As many calls as the system takes.
    pub fn none() -> Self {
        Self(None)
    }

    /// So many calls a day, as `setting` says.
    pub fn new(per_day: u32, setting: String, clock: Clock, ledger: impl Ledger) -> Self {
        let (ledger, hand) = (Box::new(ledger), Mutex::default());
        Self(Some(Arc::new(Books { per_day, setting, clock, ledger, hand })))
    }

    /// Pays for one call; without it none may be made. `call` names it for the error.
    pub async fn pay(&self, call: &str) -> Result<Paid, CallError> {
        let Some(books) = &self.0 else { return Ok(Paid(())) };
        let refused = |message| CallError { class: ErrorClass::OverBudget, call: call.to_owned(), message };
        let mut hand = books.hand().await;
        if hand.calls == 0 && !hand.is_last {
            books.fill(&mut hand).await.map_err(|error| {
                refused(format!(
                    "how many calls of {} are made today cannot be looked up: {error}",
                    books.setting
                ))
            })?;
        }
        let Some(left) = hand.calls.checked_sub(1) else { return Err(refused(books.closed(hand.day).why)) };
        hand.calls = left;
        if hand.is_used_up() {
            books.tell_used_up(&hand);
        }
        Ok(Paid(()))
    }

    /// Why no call may be made now, as far as this process knows.
    pub async fn closed(&self) -> Option<Closed> {
        let books = self.0.as_ref()?;
        let hand = books.hand().await;
        hand.is_used_up().then(|| books.closed(hand.day))
    }

    /// Gives back what is in hand, so that another process may have it.
    pub async fn give_back(&self) {
        let Some(books) = &self.0 else { return };
        let mut hand = books.hand().await;
        let calls = std::mem::take(&mut hand.calls);
        if calls == 0 {
            return;
        }
        if let Err(error) = books.in_time(books.ledger.give_back(hand.day, calls)).await {
            tracing::debug!(%error, setting = books.setting, calls, "Calls of today's budget are lost.");
        }
    }
}

impl Hand {
    fn is_used_up(&self) -> bool {
        self.is_last && self.calls == 0
    }
}

impl Books {
    /// What is in hand today.
    async fn hand(&self) -> tokio::sync::MutexGuard<'_, Hand> {
        let mut hand = self.hand.lock().await;
        let today = self.clock.now().date_naive();
        // A clock that was set back far was wrong before.
        if hand.day < today || hand.day > today + Days::new(1) {
            *hand = Hand { day: today, ..Hand::default() };
        }
        hand
    }

    async fn fill(&self, hand: &mut Hand) -> Result<(), LedgerError> {
        let portion = (self.per_day / 100).clamp(1, PORTION);
        let Taken { day, calls, in_all } =
            self.in_time(self.ledger.take(hand.day, portion, self.per_day)).await?;
        let is_told = hand.is_told && hand.day == day;
        let is_nearly_used_up = u64::from(in_all) * 100 >= u64::from(self.per_day) * TOLD_AT;
        *hand = Hand { day, calls, is_last: in_all >= self.per_day, is_told: is_told || is_nearly_used_up };
        if is_nearly_used_up && !is_told {
            let (setting, calls) = (&self.setting, in_all);
            tracing::warn!(
                setting,
                calls,
                "{TOLD_AT} % of the {} calls of {day} (UTC) are taken.",
                self.per_day
            );
        }
        if hand.is_used_up() {
            self.tell_used_up(hand);
        }
        Ok(())
    }

    fn tell_used_up(&self, hand: &Hand) {
        let Closed { why, .. } = self.closed(hand.day);
        tracing::warn!(setting = self.setting, why, "No more calls are made before the next day.");
    }

    async fn in_time<T>(&self, asked: BoxFuture<'_, Result<T, LedgerError>>) -> Result<T, LedgerError> {
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(LedgerError("NATS does not answer".to_owned())),
        }
    }

    fn closed(&self, day: NaiveDate) -> Closed {
        let until = (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
        let (per_day, setting) = (self.per_day, &self.setting);
        let until_told = until.format("%Y-%m-%d %H:%M UTC");
        Closed {
            until,
            why: format!("the budget of {per_day} calls a day ({setting}) is used up until {until_told}"),
        }
    }
}

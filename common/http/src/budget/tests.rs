use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chrono::TimeDelta;
use futures::FutureExt;

use super::*;

/// A ledger in memory; clones are one.
#[derive(Clone, Default)]
struct Memory {
    count: Arc<std::sync::Mutex<Option<DayCount>>>,
    words: Arc<AtomicU32>,
    is_away: Arc<AtomicBool>,
}

impl Memory {
    fn count(&self) -> std::sync::MutexGuard<'_, Option<DayCount>> {
        self.words.fetch_add(1, Ordering::Relaxed);
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Memory {
    fn take(&self, day: NaiveDate, wanted: u32, per_day: u32) -> BoxFuture<'_, Result<Taken, LedgerError>> {
        async move {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(LedgerError("nobody there".to_owned()));
            }
            let mut count = self.count();
            let (kept, taken) = DayCount::take(*count, day, wanted, per_day);
            *count = Some(kept);
            Ok(taken)
        }
        .boxed()
    }

    fn give_back(&self, day: NaiveDate, calls: u32) -> BoxFuture<'_, Result<(), LedgerError>> {
        async move {
            let mut count = self.count();
            *count = count.map(|count| count.without(day, calls));
            Ok(())
        }
        .boxed()
    }
}

/// The evening of a day.
fn evening() -> Clock {
    Clock::standing_at("2026-11-20T20:00:00Z".parse().unwrap())
}

fn budget(per_day: u32, clock: &Clock, ledger: &Memory) -> Budget {
    Budget::new(per_day, "CLIO_CALLS_PER_DAY".to_owned(), clock.clone(), ledger.clone())
}

/// Makes calls until none may be made; how many were.
async fn spend(budget: &Budget) -> u32 {
    let mut calls = 0;
    while calls < 100_000 && budget.pay("GET matters").await.is_ok() {
        calls += 1;
    }
    calls
}

async fn spend_some(budget: &Budget, calls: u32) {
    for _ in 0..calls {
        let _paid = budget.pay("GET matters").await.unwrap();
    }
}

#[tokio::test]
async fn just_the_budget_is_spent_each_day() {
    for per_day in [1, 7, 99, 250, 1_990, 5_001] {
        let (clock, ledger) = (evening(), Memory::default());
        let budget = budget(per_day, &clock, &ledger);
        for _ in 0..3 {
            assert_eq!(budget.closed().await, None);
            assert_eq!(spend(&budget).await, per_day);
            clock.advance(TimeDelta::hours(3));
            assert_eq!(spend(&budget).await, 0);
            clock.advance(TimeDelta::hours(21));
        }
    }
}

#[tokio::test]
async fn who_is_refused_is_told_the_budget_the_setting_and_when_it_goes_on() {
    let clock = evening();
    let budget = budget(2, &clock, &Memory::default());
    spend_some(&budget, 2).await;
    let error = budget.pay("POST matters").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::OverBudget);
    let why = "the budget of 2 calls a day (CLIO_CALLS_PER_DAY) is used up until 2026-11-21 00:00 UTC";
    assert_eq!(error.message, why);
    let closed = budget.closed().await.unwrap();
    assert_eq!((closed.why.as_str(), closed.until), (why, "2026-11-21T00:00:00Z".parse().unwrap()));
    clock.advance(TimeDelta::hours(4));
    assert_eq!(budget.closed().await, None);
}

#[tokio::test]
async fn calls_are_taken_in_portions() {
    let (clock, ledger) = (evening(), Memory::default());
    assert_eq!(spend(&budget(1_000, &clock, &ledger)).await, 1_000);
    assert_eq!(ledger.words.load(Ordering::Relaxed), 100, "a hundredth of it each");
    let ledger = Memory::default();
    assert_eq!(spend(&budget(50_000, &clock, &ledger)).await, 50_000);
    assert_eq!(ledger.words.load(Ordering::Relaxed), 2_500, "twenty each");
}

#[tokio::test]
async fn replicas_share_the_budget() {
    let (clock, ledger) = (evening(), Memory::default());
    let (one, other) = (budget(1_000, &clock, &ledger), budget(1_000, &clock, &ledger));
    spend_some(&one, 333).await;
    spend_some(&other, 333).await;
    let (mine, theirs) = tokio::join!(spend(&one), spend(&other));
    assert_eq!(666 + mine + theirs, 1_000);
    assert!(one.closed().await.is_some() && other.closed().await.is_some());
}

#[tokio::test]
async fn a_process_that_dies_loses_a_portion_and_one_that_stops_gives_it_back() {
    let (clock, ledger) = (evening(), Memory::default());
    let dies = budget(1_000, &clock, &ledger);
    spend_some(&dies, 11).await;
    drop(dies);
    let stops = budget(1_000, &clock, &ledger);
    spend_some(&stops, 11).await;
    stops.give_back().await;
    assert_eq!(spend(&stops).await, 1_000 - 11 - 11 - 9, "nine were in hand when it died");
}

#[tokio::test]
async fn what_is_in_hand_at_midnight_is_of_the_day_before() {
    let (clock, ledger) = (evening(), Memory::default());
    let budget = budget(1_000, &clock, &ledger);
    spend_some(&budget, 3).await;
    clock.advance(TimeDelta::hours(4));
    assert_eq!(spend(&budget).await, 1_000);
}

#[tokio::test]
async fn a_day_that_anothers_clock_has_begun_is_gone_on_with() {
    let (clock, ahead, ledger) = (evening(), evening(), Memory::default());
    ahead.advance(TimeDelta::hours(5));
    let (one, other) = (budget(100, &clock, &ledger), budget(100, &ahead, &ledger));
    spend_some(&one, 10).await;
    assert_eq!(spend(&other).await, 100);
    assert_eq!(spend(&one).await, 0, "one day has one budget, whoever begins it");
    assert_eq!(one.closed().await.unwrap().until, "2026-11-22T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_closes_the_budget_for_no_longer_than_the_day() {
    let (clock, ledger) = (evening(), Memory::default());
    let budget = budget(100, &clock, &ledger);
    clock.advance(TimeDelta::days(700));
    assert_eq!(spend(&budget).await, 100);
    clock.advance(TimeDelta::days(-700));
    assert_eq!(spend(&budget).await, 0, "they were made, on whatever day");
    clock.advance(TimeDelta::days(1));
    assert_eq!(spend(&budget).await, 100);
}

#[tokio::test]
async fn while_the_ledger_is_away_no_call_is_made() {
    let (clock, ledger) = (evening(), Memory::default());
    let budget = budget(100, &clock, &ledger);
    spend_some(&budget, 5).await;
    ledger.is_away.store(true, Ordering::Relaxed);
    let error = budget.pay("GET matters").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::OverBudget);
    assert!(
        error.message.contains("CLIO_CALLS_PER_DAY") && error.message.contains("nobody there"),
        "{error}"
    );
    ledger.is_away.store(false, Ordering::Relaxed);
    assert_eq!(spend(&budget).await, 95);
}

#[tokio::test]
async fn a_budget_that_was_raised_goes_on_and_one_that_was_lowered_ends() {
    let (clock, ledger) = (evening(), Memory::default());
    assert_eq!(spend(&budget(100, &clock, &ledger)).await, 100);
    assert_eq!(spend(&budget(150, &clock, &ledger)).await, 50);
    assert_eq!(spend(&budget(120, &clock, &ledger)).await, 0);
}

#[tokio::test]
async fn without_a_budget_nothing_is_counted() {
    let budget = Budget::none();
    spend_some(&budget, 1_000).await;
    assert_eq!(budget.closed().await, None);
}

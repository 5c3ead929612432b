//! The limit of calls, kept over real connections. What the gate does when answers are slow, late and lost is in the
//! tests of `databridge-http`.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use databridge_bridge::{Effect, OutsideSystem, PushTask, Shown, StillMine};
use databridge_model::OutcomeResult;
use databridge_model::subject::Lane;
use sandbox::clio::hand::{ClioSettings, RateWindow};

use crate::office::{Office, STATUS, create, text, update};

/// Pushes begun at once, as the bridge takes them.
const AT_ONCE: usize = 8;

fn updates(matters: &[Shown], round: u64) -> Vec<PushTask> {
    let status = if round.is_multiple_of(2) { "Hearing" } else { "Stay" };
    let task = |shown| PushTask {
        push: update(shown, &[(STATUS, text(status))]),
        lane: Lane::Bulk,
        doubtful: false,
        earlier: None,
        still_mine: StillMine(Arc::new(|| true)),
    };
    matters.iter().map(task).collect()
}

/// Pushes for two hours by both clocks, which are moved on whenever there is a wait: no call is refused, and from the
/// second minute on 98 % of what Clio takes are made.
async fn two_hours_of_pushes(window: RateWindow) {
    let office = Office::ready().await;
    office.admin.record_traffic(false).await.unwrap();
    let mut matters = Vec::new();
    for number in 0..AT_ONCE {
        let matter = office.add(&format!("E-{number}"), &[]).await;
        matters.push(office.pull(matter.id).await);
    }
    let settings =
        ClioSettings { rate_limit: Some(Some(50)), rate_window: Some(window), ..ClioSettings::default() };
    office.admin.clio_settings(&settings).await.unwrap();
    let advance = |by: Duration| {
        office.sandbox.clock().advance(by);
        office.clock.advance(TimeDelta::from_std(by).unwrap());
    };
    // What the bootstrap has cost counts no more.
    advance(Duration::from_secs(61));
    office.admin.reset_calls().await.unwrap();

    let began = office.clock.now();
    let (mut round, mut in_first_minute) = (0, None);
    while office.clock.now() - began < TimeDelta::hours(2) {
        if in_first_minute.is_none() && office.clock.now() - began >= TimeDelta::minutes(1) {
            in_first_minute = Some(made(&office).await);
        }
        let mut wait = Duration::ZERO;
        let effects = office.system.apply(&Office::collection(), updates(&matters, round)).await;
        for (shown, effect) in matters.iter_mut().zip(effects) {
            match effect {
                Effect::Settled { result: OutcomeResult::Written, shown: Some(now), .. } => *shown = now,
                Effect::NotNow(until) => wait = wait.max(until.time),
                other => panic!("{other:?}"),
            }
        }
        advance(wait);
        round += 1;
    }
    let used = made(&office).await - in_first_minute.unwrap();
    assert_eq!(office.calls().await.limited, 0, "refused with 429");
    assert!(used * 100 >= 50 * 119 * 98, "{used} calls of {} were made", 50 * 119);
}

async fn made(office: &Office) -> u64 {
    let calls = office.calls().await;
    calls.reads + calls.writes
}

#[tokio::test]
async fn two_hours_of_pushes_meet_no_429_and_use_the_limit_where_windows_are_fixed() {
    two_hours_of_pushes(RateWindow::Fixed).await;
}

#[tokio::test]
async fn two_hours_of_pushes_meet_no_429_and_use_the_limit_where_windows_slide() {
    two_hours_of_pushes(RateWindow::Sliding).await;
}

#[tokio::test]
async fn what_comes_with_a_refused_token_is_not_taken_for_our_limit() {
    let office = Office::ready().await;
    let settings = ClioSettings { rate_limit: Some(Some(50)), ..ClioSettings::default() };
    office.admin.clio_settings(&settings).await.unwrap();
    office.sandbox.clock().advance(Duration::from_secs(61));
    for number in 0..48 {
        assert_eq!(
            office.push(create(&format!("E-{number}"), &[]), false).await.result,
            OutcomeResult::Written
        );
    }
    office.admin.revoke_tokens().await.unwrap();
    let Effect::NotNow(_) = office.effect(create("E-48", &[]), false).await else { panic!("not refused") };
    // Its answer says that 50 remain, for it counts against no token.
    let free = office.client.free().await;
    assert!(free <= 2, "{free} calls are taken for free");
}

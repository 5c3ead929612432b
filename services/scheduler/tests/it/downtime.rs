//! What becomes of ticks while somebody is down.

use chrono::TimeDelta;

use crate::stage::{Stage, Stored, config, every, until};

fn catch_ups(requests: &[Stored]) -> Vec<String> {
    requests.iter().map(Stored::reason).filter(|reason| reason.starts_with("catch-up")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_killed_over_ticks_is_followed_by_one_catch_up_however_many_schedulers_there_are() {
    let mut stage = Stage::open().await;
    let config = every("6s");
    let _others = (stage.started(&config).await, stage.start(&config).await);
    let tick = stage.ticks(1).await.pop().unwrap();
    stage.answer_all().await;
    stage.down_until(tick.at + TimeDelta::milliseconds(12_500)).await;
    // The catch-up, and the first regular tick after it.
    let requests = stage.ticks(2).await;
    assert_eq!(catch_ups(&requests).len(), 1, "{requests:?}");
    let since = (tick.at + TimeDelta::seconds(6)).format("%FT%TZ");
    assert_eq!(requests[0].reason(), format!("catch-up of cases: 2 ticks missed since {since}"));
    assert_eq!(requests[0].header("Nats-TTL"), Some("168h"));
    // Nor does it come again: it is dealt with, and the next scheduler starts.
    stage.answer_all().await;
    let third = stage.start(&config).await;
    let requests = stage.ticks(1).await;
    assert!(catch_ups(&requests).is_empty(), "{requests:?}");
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_caught_up_is_not_caught_up_again_after_another_kill() {
    let mut stage = Stage::open().await;
    let config = every("8s");
    let scheduler = stage.started(&config).await;
    let stored = stage.messages().await.remove(0).at;
    stage.down_until(stored + TimeDelta::milliseconds(8_600)).await;
    let requests = stage.ticks(1).await;
    assert_eq!(catch_ups(&requests).len(), 1, "{requests:?}");
    stage.answer_all().await;
    scheduler.stop().await;
    // With the message the broker has forgotten its id, too.
    stage.down_until(stored).await;
    let _scheduler = stage.start(&config).await;
    let requests = stage.ticks(1).await;
    assert!(catch_ups(&requests).is_empty(), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_come_while_the_scheduler_is_down_and_none_is_caught_up_afterwards() {
    let stage = Stage::open().await;
    let config = every("1s");
    stage.started(&config).await.stop().await;
    let mut ticks = stage.ticks(4).await;
    ticks.truncate(4);
    for pair in ticks.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!((apart - TimeDelta::seconds(1)).abs() < TimeDelta::milliseconds(600), "{ticks:?}");
    }
    stage.answer_all().await;
    let _scheduler = stage.start(&config).await;
    let requests = stage.ticks(4).await;
    assert!(catch_ups(&requests).is_empty(), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_schedule_stays_paused_through_restarts_of_all_and_resumed_it_catches_nothing_up() {
    let mut stage = Stage::open().await;
    let config = every("2s");
    let scheduler = stage.started(&config).await;
    stage.ticks(1).await;
    assert!(stage.desk(&config).pause("cases").await.unwrap());
    assert!(!stage.desk(&config).pause("cases").await.unwrap());
    stage.answer_all().await;
    let paused = stage.messages().await.pop().unwrap().at;
    scheduler.stop().await;
    stage.down_until(paused + TimeDelta::milliseconds(2_500)).await;
    // It has looked at all when it has stored a schedule that the config has now beside.
    let both = config_with_another();
    let scheduler = stage.start(&both).await;
    until(async || stage.list(&both).await[1].next.first().copied()).await;
    let standing = stage.list(&config).await.remove(0);
    assert!(matches!(standing.state, scheduler::State::Paused(_)), "{standing:?}");
    assert!(standing.next.is_empty());
    assert!(stage.requests().await.is_empty());
    assert!(stage.desk(&config).resume("cases").await.unwrap());
    assert!(!stage.desk(&config).resume("cases").await.unwrap());
    let requests = stage.ticks(2).await;
    assert!(catch_ups(&requests).is_empty(), "{requests:?}");
    scheduler.stop().await;
}

/// The schedule `cases`, and one that has no turn while a test runs.
fn config_with_another() -> databridge_config::ConfigFolder {
    config("[cases]\nrequest = \"map\"\nevery = \"2s\"\n\n[other]\nrequest = \"map.cases\"\nevery = \"1h\"\n")
}

//! Keeping in NATS what the config says.

use std::time::Duration;

use chrono::{Datelike, TimeDelta, Timelike};
use chrono_tz::Tz;
use databridge_broker::async_nats::HeaderMap;
use databridge_config::{ConfigFolder, Timing};
use databridge_model::{Mode, SyncRequest};
use databridge_runtime::Clock;
use futures::StreamExt;
use scheduler::{Desk, State};

use crate::stage::{Stage, config, every, shipped, until};

impl Stage {
    pub(crate) fn desk<'a>(&'a self, config: &'a ConfigFolder) -> Desk<'a> {
        Desk::new(&self.broker, config)
    }

    /// The sequence of a subject's last message.
    async fn sequence(&self, subject: &str) -> Option<u64> {
        let messages = self.messages().await;
        messages.iter().rfind(|message| message.subject == subject).map(|message| message.sequence)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_schedules_are_stored_and_the_next_ticks_of_each_are_known() {
    let (stage, config) = (Stage::open().await, shipped());
    let _scheduler = stage.started(&config).await;
    let standings = stage.list(&config).await;
    assert_eq!(standings.len(), 4);
    assert!(standings.iter().all(|standing| standing.next.len() == 5 && standing.last.is_none()));
    let stored = stage.messages().await;
    let night = stored.iter().find(|message| message.subject == "schedule.gis_all").unwrap();
    let headers = ["Nats-Schedule", "Nats-Schedule-Time-Zone", "Nats-Schedule-Target", "Nats-Schedule-TTL"];
    assert_eq!(
        headers.map(|name| night.header(name).unwrap()),
        ["0 30 3 * * *", "America/Chicago", "sync.request.gis", "168h"]
    );
    let request: SyncRequest = serde_json::from_slice(&night.body).unwrap();
    assert_eq!(request.mode, Mode::Full);
    assert_eq!(night.reason(), "schedule gis_all: 0 30 3 * * * in America/Chicago");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_by_the_clock_before_a_migrate_has_listed_everything() {
    let (stage, config) = (Stage::before_the_migrate().await, every("1s"));
    let mut looks = stage.broker.client().subscribe("$JS.API.STREAM.INFO.KV_listed").await.unwrap();
    stage.broker.client().flush().await.unwrap();
    let _scheduler = stage.start(&config).await;
    // It has looked for a migrate again and again, in the time of several ticks.
    for _ in 0..4 {
        tokio::time::timeout(Duration::from_secs(30), looks.next()).await.unwrap().unwrap();
    }
    assert_eq!(stage.list(&config).await[0].state, State::Missing);
    assert!(stage.messages().await.is_empty());
    stage.migrate().await;
    stage.ticks(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_a_request_that_tells_its_schedule() {
    let stage = Stage::open().await;
    let config = config("[cases]\nrequest = \"map.cases\"\nmode = \"full\"\nevery = \"1s\"\n");
    let _scheduler = stage.started(&config).await;
    let tick = stage.ticks(1).await.remove(0);
    assert_eq!(
        (tick.subject.as_str(), tick.reason().as_str()),
        ("sync.request.map.cases", "schedule cases: every 1s")
    );
    assert_eq!(tick.header("Nats-TTL"), Some("168h"));
    let last = until(async || stage.list(&config).await[0].last).await;
    assert!(last >= tick.at && last - tick.at < TimeDelta::seconds(10), "{last} {tick:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_store_each_schedule_once() {
    let (stage, config) = (Stage::open().await, shipped());
    let schedulers = (stage.start(&config).await, stage.start(&config).await);
    stage.all_are(&config, |state| *state == State::Active).await;
    schedulers.0.stop().await;
    schedulers.1.stop().await;
    let sequences: Vec<_> = stage.messages().await.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (1..=8).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_is_stored_anew_and_what_is_foreign_is_left_alone() {
    let stage = Stage::open().await;
    let before = config(
        "[same]\nrequest = \"map\"\nevery = \"1h\"\n\n[changed]\nrequest = \"map\"\nevery = \"2h\"\n\n\
         [gone]\nrequest = \"map\"\nevery = \"3h\"\n",
    );
    let mut foreign = HeaderMap::new();
    foreign.insert("Nats-Schedule", "@every 4h");
    foreign.insert("Nats-Schedule-Target", "sync.request.map");
    for subject in ["schedule.theirs", "schedule.taken"] {
        let jetstream = stage.broker.jetstream();
        jetstream.publish_with_headers(subject, foreign.clone(), "".into()).await.unwrap().await.unwrap();
    }
    stage.started(&before).await.stop().await;
    let same = (stage.sequence("schedule.same").await, stage.sequence("schedule.trace.same").await);
    let changed = stage.sequence("schedule.changed").await.unwrap();
    let after = config(
        "[same]\nrequest = \"map\"\nevery = \"1h\"\n\n[changed]\nrequest = \"map\"\nmode = \"full\"\nevery = \"2h\"\n\n\
         [taken]\nrequest = \"map\"\nevery = \"3h\"\n",
    );
    assert!(matches!(
        stage.list(&after).await[0].state,
        State::Differs(Some(Timing::Every { seconds: 7_200, .. }))
    ));
    let scheduler = stage.start(&after).await;
    until(async || stage.sequence("schedule.gone").await.is_none().then_some(())).await;
    until(async || stage.sequence("schedule.trace.gone").await.is_none().then_some(())).await;
    scheduler.stop().await;
    let states: Vec<_> = stage.list(&after).await.into_iter().map(|standing| standing.state).collect();
    assert_eq!(states, [State::Active, State::Active, State::Foreign]);
    assert_eq!((stage.sequence("schedule.same").await, stage.sequence("schedule.trace.same").await), same);
    assert!(stage.sequence("schedule.changed").await.unwrap() > changed);
    for (subject, sequence) in [("schedule.theirs", 1), ("schedule.taken", 2)] {
        assert_eq!(stage.sequence(subject).await, Some(sequence));
    }
    let error = stage.desk(&after).pause("taken").await.unwrap_err().to_string();
    assert!(error.contains("give the schedule another name"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_next_time_over_a_change_of_the_clocks_is_the_servers() {
    let stage = Stage::open().await;
    // A tick in a few seconds, and the next in the other half of the year, by the clocks of Chicago.
    let zone = Tz::America__Chicago;
    let soon = (Clock::system().now() + TimeDelta::seconds(5)).with_timezone(&zone);
    let cron = format!(
        "{} {} {} {} {},{} *",
        soon.second(),
        soon.minute(),
        soon.hour(),
        soon.day().min(28),
        soon.month(),
        (soon.month() + 5) % 12 + 1
    );
    // On the last days of a month no tick comes soon: then another pattern with a tick soon.
    let cron = if soon.day() <= 28 {
        cron
    } else {
        format!("{} {} {} * * *", soon.second(), soon.minute(), soon.hour())
    };
    let config = config(&format!("[cases]\nrequest = \"map\"\ncron = \"{cron}\"\nzone = \"{zone}\"\n"));
    let _scheduler = stage.started(&config).await;
    let told = stage.list(&config).await.remove(0).next;
    let tick = stage.ticks(1).await.remove(0);
    assert!((tick.at - told[0]).abs() < TimeDelta::seconds(2), "{told:?} {tick:?}");
    let next = tick.header("Nats-Schedule-Next").unwrap();
    assert_eq!(chrono::DateTime::parse_from_rfc3339(next).unwrap(), told[1], "{cron}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_told_with_the_names_that_there_are() {
    let (stage, config) = (Stage::open().await, every("1h"));
    for error in [
        stage.desk(&config).pause("case").await.unwrap_err(),
        stage.desk(&config).resume("case").await.unwrap_err(),
        stage.desk(&config).run_now("case").await.unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(
            error.contains("no schedule `case`") && error.ends_with("the schedules are: cases"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_now_asks_at_once_and_gives_the_run_even_while_paused() {
    let (stage, config) = (Stage::open().await, every("1h"));
    assert_eq!(stage.list(&config).await[0].state, State::Missing);
    assert!(stage.desk(&config).pause("cases").await.unwrap());
    let run = stage.desk(&config).run_now("cases").await.unwrap();
    let request = stage.requests().await.remove(0);
    assert_eq!((request.sequence, request.reason().as_str()), (run.0, "schedule cases: run now by hand"));
    // Paused before any scheduler has stored it, it is not started by one.
    let both = crate::stage::config(
        "[cases]\nrequest = \"map\"\nevery = \"1h\"\n\n[other]\nrequest = \"map\"\nevery = \"1h\"\n",
    );
    let scheduler = stage.start(&both).await;
    until(async || stage.list(&both).await[1].next.first().copied()).await;
    assert!(matches!(stage.list(&config).await[0].state, State::Paused(_)));
    scheduler.stop().await;
}

//! The rights of config/nats.conf: each service works with its own, and is refused beyond them, in so many words.

use std::time::Duration;

use anyhow::Context;
use databridge_broker::async_nats::jetstream::consumer::PullConsumer;
use databridge_broker::async_nats::{self, ConnectOptions};
use databridge_broker::{Broker, BucketError, Envelope, Inbox, PublishError, consumers, names};
use databridge_config::env::NatsEnv;
use databridge_model::RunId;
use databridge_runtime::Clock;
use futures::StreamExt;
use it::Town;
use it::processes::SERVICES;
use it::rights::password;
use it::town::{TownOptions, text, value, whole_config};
use it::watch::until;
use sandbox::GisOptions;
use secrecy::ExposeSecret;
use serde_json::Value;

type Result = anyhow::Result<()>;

async fn town(litigations: usize) -> anyhow::Result<Town> {
    town_with(litigations, "").await
}

async fn town_with(litigations: usize, nats_config: &'static str) -> anyhow::Result<Town> {
    Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        nats_config,
        config: whole_config(),
        processes: true,
        rights: true,
        // The calls are counted, too.
        clio_calls_per_day: Some(10_000),
        gis_calls_per_day: Some(10_000),
        ack_wait_seconds: 5,
        ..TownOptions::default()
    })
    .await
}

/// A connection of the test's own, as one of the users.
async fn connected_as(town: &Town, user: &str) -> anyhow::Result<Broker> {
    let settings = NatsEnv::at(town.nats.url()).signed_in(user, password(user));
    Ok(Broker::connect(&settings, user, Clock::system(), Duration::from_secs(5)).await?)
}

/// What the server has denied to anybody, by its own log.
fn denied(town: &Town) -> anyhow::Result<Vec<String>> {
    let log = std::fs::read_to_string(town.nats.log_path())?;
    Ok(log.lines().filter(|line| line.contains("Violation")).map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_does_all_its_work_with_its_own_rights() -> Result {
    let mut town = town(8).await?;
    let story = town.migrate().await?;
    assert_eq!((story.summary.failed, &story.summary.errors), (0, &Vec::new()), "{story:?}");
    let row = town.rows().await?.remove(1);
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    let matter = town.matters().await?.remove(3);
    town.edit_matter(&matter, "Court Status", "Dismissed").await?;
    town.cycle().await?;
    town.cycle().await?;
    assert_eq!(value(&town.matter(&text(&row, "CivilWarrant")).await?, "Property Owner"), "New Owner");
    town.full_sync("gis").await?;
    town.full_sync("clio").await?;
    let stray = town.publish("push.live.mars.matters.E-1", "{}").await?;
    // Started anew, each takes up what its buckets hold, and the reconciler looks for pushes that no bridge takes.
    for service in SERVICES {
        let processes = town.processes.as_mut().context("no processes")?;
        processes.kill(service).await?;
        processes.start_one(service, None)?;
    }
    town.cycle().await?;
    town.assert_same().await?;
    let counts = town.broker.bucket::<Value>(names::BUDGETS).await?.all().await?;
    assert_eq!(counts.len(), 2, "both bridges have counted: {counts:?}");
    let (_, letter) = town.dead_letter(names::PUSH, stray).await?;
    assert_eq!(letter.error, "there is no system `mars`; the systems are: clio, gis");
    // A message that nobody can read is buried by whoever meets it.
    town.broker.publish("sync.request.gis".to_owned(), &"no request", &Envelope::default()).await?;
    town.broker.publish("push.live.clio.matters.X".to_owned(), &"no push", &Envelope::default()).await?;
    until("both to be buried", async || Ok((town.dead_letters().await?.len() >= 3).then_some(()))).await?;
    assert_eq!(denied(&town)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_are_enough_for_the_newer_subjects_of_acknowledgements_too() -> Result {
    // The second version, which begins with domain and account (ADR-15), is to be the default of a server to come.
    let mut town = town_with(3, "feature_flags { js_ack_fc_v2: true }").await?;
    let story = town.migrate().await?;
    assert_eq!((story.summary.failed, &story.summary.errors), (0, &Vec::new()), "{story:?}");
    town.all_pulls_decided().await?;
    town.assert_same().await?;
    for (stream, consumer) in [
        (names::PULL, "reconciler"),
        (names::OUTCOME, "reconciler"),
        (names::PUSH, "clio-live"),
        (names::PUSH, "clio-bulk"),
    ] {
        until("the acknowledgements to be taken", async || {
            let consumer: PullConsumer =
                town.broker.jetstream().get_consumer_from_stream(consumer, stream).await?;
            let info = consumer.cached_info();
            Ok((info.num_pending == 0 && info.num_ack_pending == 0).then_some(()))
        })
        .await
        .with_context(|| format!("{stream} {consumer}"))?;
    }
    // A message that is worked on for long is answered more than once.
    town.processes.as_mut().context("no processes")?.kill("reconciler").await?;
    town.broker.publish("outcome.clio.matters.X".to_owned(), &"no outcome", &Envelope::default()).await?;
    let inbox = Inbox::open(&connected_as(&town, "reconciler").await?, consumers::outcomes()).await?;
    let jobs = inbox.take(1, Duration::from_secs(10), Duration::ZERO).await;
    for _ in 0..3 {
        jobs[0].working().await;
    }
    assert!(jobs[0].done().await, "the acknowledgement is not taken");
    assert_eq!(denied(&town)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_keeps_a_schedule_with_its_own_rights() -> Result {
    let mut town = town(2).await?;
    town.migrate().await?;
    let schedules = "[often]\nrequest = \"gis\"\nevery = \"1s\"\n";
    std::fs::write(town.config.join("schedules.toml"), schedules)?;
    let mut told = town.broker.client().subscribe("run.*.ended").await?;
    town.processes.as_mut().context("no processes")?.start_one("scheduler", None)?;
    let ended = async {
        for _ in 0..2 {
            told.next().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.context("no tick came")?;
    assert_eq!(denied(&town)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_rights_each_user_is_refused() -> Result {
    let town = town(2).await?;
    // What each may not do: write for another, take another's work, read the tokens, make or empty streams.
    let beyond = [
        ("gis-bridge", "push.live.clio.matters.X"),
        ("gis-bridge", "pull.clio.matters.X"),
        ("gis-bridge", "outcome.clio.matters.X"),
        ("gis-bridge", "$JS.API.CONSUMER.MSG.NEXT.PUSH.clio-live"),
        ("gis-bridge", "$JS.API.DIRECT.GET.KV_links.$KV.links.x"),
        ("gis-bridge", "$JS.API.STREAM.DELETE.PULL"),
        ("gis-bridge", "auth.token.clio"),
        ("gis-bridge", "$KV.budgets.clio"),
        ("clio-bridge", "pull.gis.active_litigations.X"),
        ("clio-bridge", "$JS.API.CONSUMER.MSG.NEXT.PUSH.gis-live"),
        ("clio-bridge", "$JS.API.DIRECT.GET.KV_tokens.$KV.tokens.clio"),
        ("clio-bridge", "$KV.tokens.clio"),
        ("clio-bridge", "$KV.budgets.gis"),
        ("clio-bridge", "$JS.API.DIRECT.GET.KV_budgets.$KV.budgets.gis"),
        ("clio-bridge", "sync.request.clio"),
        ("reconciler", "pull.gis.active_litigations.X"),
        ("reconciler", "outcome.clio.matters.X"),
        ("reconciler", "auth.token.clio"),
        ("reconciler", "$JS.API.DIRECT.GET.KV_tokens.$KV.tokens.clio"),
        ("reconciler", "$JS.API.STREAM.PURGE.PUSH"),
        ("reconciler", "$JS.API.STREAM.UPDATE.PUSH"),
        ("auth-service", "push.live.clio.matters.X"),
        ("auth-service", "sync.request.gis"),
        ("auth-service", "$JS.API.CONSUMER.CREATE.PULL.x"),
        ("scheduler", "push.live.clio.matters.X"),
        ("scheduler", "$JS.API.STREAM.PURGE.SYNC"),
        ("scheduler", "$JS.API.DIRECT.GET.KV_tokens.$KV.tokens.clio"),
        ("operator", "push.live.clio.matters.X"),
        ("operator", "$JS.API.CONSUMER.CREATE.PULL.x"),
        ("operator", "$JS.API.DIRECT.GET.KV_tokens.$KV.tokens.clio"),
        ("operator", "$JS.API.STREAM.PURGE.RUN"),
    ];
    for (user, subject) in beyond {
        let broker = connected_as(&town, user).await?;
        let began = tokio::time::Instant::now();
        let answer = broker.publish(subject.to_owned(), &Value::Null, &Envelope::default()).await;
        let Err(PublishError::Denied(denied)) = answer else {
            anyhow::bail!("{user} may publish to {subject}: {answer:?}");
        };
        let told = denied.to_string();
        assert!(told.contains(user) && told.contains(subject) && told.contains("right"), "{told}");
        assert!(began.elapsed() < Duration::from_secs(4), "a denial of {subject} was waited for: {told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_ours_is_denied_and_no_time_out() -> Result {
    let town = town(2).await?;
    let broker = connected_as(&town, "gis-bridge").await?;
    let opened = broker.bucket::<Value>("tokens").await;
    assert!(matches!(opened, Err(BucketError::Denied { .. })), "{opened:?}");
    let text = opened.map(drop).unwrap_err().to_string();
    assert!(text.contains("the user gis-bridge") && text.contains("KV_tokens"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_password() -> Result {
    let town = town(2).await?;
    let url = town.nats.url();
    assert!(async_nats::connect(&url).await.is_err());
    let wrong = ConnectOptions::with_user_and_password("operator".to_owned(), "guess".to_owned());
    assert!(wrong.connect(&url).await.is_err());
    let settings = NatsEnv::at(url).signed_in("gis-bridge", password("operator"));
    let refused = Broker::connect(&settings, "gis-bridge", Clock::system(), Duration::ZERO).await;
    let text = refused.map(drop).unwrap_err().to_string();
    assert!(text.contains("authorization"), "{text}");
    assert!(!text.contains(password("operator").expose_secret()), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_asks_for_a_sync_and_reads_how_it_goes() -> Result {
    let town = town(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(1);
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    let password = password("operator").expose_secret().to_owned();
    let options = ConnectOptions::with_user_and_password("operator".to_owned(), password);
    let client = options.connect(town.nats.url()).await?;
    let mut told = client.subscribe("run.>").await?;
    client.flush().await?;
    let ack = async_nats::jetstream::new(client).publish("sync.request.gis", "".into()).await?.await?;
    let ended = format!("run.{}.ended", RunId(ack.sequence));
    let until_ended = async {
        while let Some(message) = told.next().await {
            if message.subject.as_str() == ended {
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), until_ended).await?);
    assert_eq!(value(&town.matter(&text(&row, "CivilWarrant")).await?, "Property Owner"), "New Owner");
    Ok(())
}

//! The whole service, with an auth-service played by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use clio_bridge::{
    AuthServiceTokens, BOOTSTRAP_SUBJECT, BootstrapReply, PURPOSE, SUBJECT, Settings, TokenSource, run,
};
use databridge_broker::ensure_topology;
use databridge_model::{Outcome, OutcomeResult, TokenReply, TokenRequest};
use databridge_runtime::CancellationToken;
use databridge_seal::{ExposeSecret, MasterKey, SecretString};
use futures::StreamExt;

use crate::office::{Office, access_token, config, create};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Answers requests for tokens with this one, and counts them; those after a refusal get the second.
async fn play_auth_service(
    office: &Office,
    first: SecretString,
    second: SecretString,
) -> (Arc<AtomicU32>, CancellationToken) {
    let (asked, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
    let client = office.broker.client().clone();
    let mut requests = client.subscribe(SUBJECT).await.unwrap();
    client.flush().await.unwrap();
    let key = MasterKey::parse(KEY).unwrap().derive(PURPOSE);
    let (count, until, expires_at) =
        (Arc::clone(&asked), stop.clone(), office.clock.now() + TimeDelta::hours(1));
    tokio::spawn(async move {
        while let Some(Some(request)) = until.run_until_cancelled(requests.next()).await {
            count.fetch_add(1, Ordering::SeqCst);
            let body: TokenRequest = serde_json::from_slice(&request.payload).unwrap();
            let token = if body.refused.is_some() { &second } else { &first };
            let sealed = key.seal(token.expose_secret().as_bytes(), SUBJECT.as_bytes()).unwrap().to_string();
            let reply = serde_json::to_vec(&TokenReply::Token { sealed, expires_at }).unwrap();
            client.publish(request.reply.unwrap(), reply.into()).await.unwrap();
        }
    });
    (asked, stop)
}

/// Waits until the auth-service has gone.
async fn nobody_answers(office: &Office) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let question = serde_json::to_vec(&TokenRequest { refused: None }).unwrap();
    while office.broker.client().request(SUBJECT, question.clone().into()).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "it still answers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ask_for_bootstrap(office: &Office) -> BootstrapReply {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match office.broker.client().request(BOOTSTRAP_SUBJECT, "".into()).await {
            Ok(reply) => return serde_json::from_slice(&reply.payload).unwrap(),
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_service_bootstraps_on_request_and_answers_a_push() {
    let office = Office::bare().await;
    let token = access_token(&office.admin, &office.sandbox.url()).await;
    let (_asked, _auth) = play_auth_service(&office, token.clone(), token).await;
    let stop = CancellationToken::new();
    let settings = Settings {
        clio_url: office.sandbox.url(),
        calls_per_day: None,
        key: MasterKey::parse(KEY).unwrap(),
        config: config(),
    };
    ensure_topology(&office.broker).await.unwrap();
    let service = tokio::spawn(run(settings, office.broker.clone(), office.clock.clone(), stop.clone()));

    let BootstrapReply::Report(report) = ask_for_bootstrap(&office).await else { panic!("no report") };
    assert_eq!(report.made.len(), office.wanted());

    let mut outcomes = office.broker.client().subscribe("outcome.clio.>").await.unwrap();
    office.broker.client().flush().await.unwrap();
    let body = serde_json::to_vec(&create("E-1", &[])).unwrap();
    office
        .broker
        .jetstream()
        .publish("push.live.clio.matters.E-1", body.into())
        .await
        .unwrap()
        .await
        .unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), outcomes.next()).await.unwrap().unwrap();
    let outcome: Outcome = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!((outcome.result, outcome.calls), (OutcomeResult::Written, 1), "{:?}", outcome.error);
    assert_eq!(office.matters_of("E-1").await[0].id.to_string(), outcome.id.unwrap());

    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), service).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_auth_service_stops_nothing_until_the_token_ends() {
    let office = Office::bare().await;
    let (asked, auth) = play_auth_service(&office, "one".into(), "two".into()).await;
    let key = MasterKey::parse(KEY).unwrap().derive(PURPOSE);
    let tokens = AuthServiceTokens::new(office.broker.clone(), key, office.clock.clone());
    let held = tokens.token().await.unwrap();
    tokens.token().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it is kept");

    tokens.refused(&held).await.unwrap();
    tokens.refused(&held).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "one refusal is told once");

    auth.cancel();
    nobody_answers(&office).await;
    office.clock.advance(TimeDelta::minutes(59) + TimeDelta::seconds(45));
    tokens.token().await.unwrap();
    office.clock.advance(TimeDelta::seconds(20));
    let error = tokens.token().await.unwrap_err().to_string();
    assert!(error.contains("the auth-service does not answer"), "{error}");
}

#[tokio::test]
async fn a_token_under_another_key_names_the_setting_and_shows_nothing() {
    let office = Office::bare().await;
    let (_asked, _auth) = play_auth_service(&office, "hunter2".into(), "hunter2".into()).await;
    let other = MasterKey::parse(&KEY.replace('0', "f")).unwrap().derive(PURPOSE);
    let tokens = AuthServiceTokens::new(office.broker.clone(), other, office.clock.clone());
    let error = format!("{:?}", tokens.token().await.unwrap_err());
    assert!(error.contains("DATABRIDGE_KEY") && !error.contains("hunter2"), "{error}");
}

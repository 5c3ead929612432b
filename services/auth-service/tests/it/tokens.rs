//! Giving tokens out and renewing them.

use std::time::Duration;

use chrono::TimeDelta;
use databridge_broker::names;
use databridge_model::TokenReply;
use futures::StreamExt as _;
use sandbox::calls::System;
use sandbox::clio::hand::ClioSettings;
use sandbox::faults::{Action, Fault};

use crate::browser::Browser;
use crate::office::{KEY, Office, fingerprint, until};

const HOUR: u32 = 3600;

async fn connected_for_an_hour(rotate: bool, repeat: bool) -> Office {
    let office = Office::open().await;
    let settings = ClioSettings {
        token_lifetime_seconds: Some(HOUR),
        rotate_refresh_tokens: Some(rotate),
        repeat_refresh_token: Some(repeat),
        ..ClioSettings::default()
    };
    office.clio.clio_settings(&settings).await.unwrap();
    office.connect().await;
    office
}

fn unavailable() -> Action {
    Action::Status { status: 503, body: "down".into(), headers: [].into() }
}

fn refresh_fault(action: Action) -> Fault {
    Fault::new(System::Clio, action).path("oauth/token").body("grant_type=refresh_token")
}

#[tokio::test]
async fn a_fresh_token_is_given_without_a_call_to_clio() {
    let office = connected_for_an_hour(false, false).await;
    let calls = office.token_calls().await;
    let token = office.token(None).await;
    assert_eq!(
        office.token(Some("00000000".to_owned())).await,
        token,
        "another token was refused, not this one"
    );
    assert_eq!(office.token(Some(String::new())).await, token);
    assert_eq!(office.token_calls().await, calls);
}

#[tokio::test]
async fn a_token_is_renewed_over_and_over_whether_or_not_its_refresh_token_changes() {
    for (rotate, repeat) in [(false, false), (false, true), (true, false)] {
        let office = connected_for_an_hour(rotate, repeat).await;
        let mut seen = vec![office.token(None).await];
        for _ in 0..3 {
            let calls = office.token_calls().await;
            office.clock.advance(TimeDelta::minutes(55));
            let token = office.token(None).await;
            assert!(!seen.contains(&token), "rotate {rotate}, repeat {repeat}");
            assert_eq!(office.status_at_clio(&token).await, 200);
            assert_eq!(office.token_calls().await, calls + 1);
            seen.push(token);
        }
    }
}

#[tokio::test]
async fn a_token_is_renewed_a_tenth_of_its_life_before_its_end_and_not_sooner() {
    let office = connected_for_an_hour(false, false).await;
    let first = office.token(None).await;
    office.clock.advance(TimeDelta::minutes(53));
    assert_eq!(office.token(None).await, first);
    office.clock.advance(TimeDelta::minutes(1));
    assert_ne!(office.token(None).await, first);
}

#[tokio::test]
async fn a_long_lived_token_is_renewed_a_quarter_of_an_hour_before_its_end() {
    let office = Office::open().await;
    office.connect().await;
    let first = office.token(None).await;
    office.clock.advance(TimeDelta::days(30) - TimeDelta::minutes(17));
    assert_eq!(office.token(None).await, first);
    office.clock.advance(TimeDelta::minutes(3));
    assert_ne!(office.token(None).await, first);
}

#[tokio::test]
async fn a_token_that_clio_refused_is_renewed_once_however_many_say_so() {
    let office = connected_for_an_hour(false, false).await;
    let first = office.token(None).await;
    let calls = office.token_calls().await;
    let asked = (0..10).map(|_| office.token(fingerprint(&first)));
    let given = futures::future::join_all(asked).await;
    assert!(given.iter().all(|token| *token != first && *token == given[0]), "all get the same new token");
    assert_eq!(office.token_calls().await, calls + 1);
}

#[tokio::test]
async fn many_requests_at_two_replicas_make_one_renewal() {
    for rotate in [false, true] {
        let office = connected_for_an_hour(rotate, false).await;
        office.another_replica(KEY).await;
        // Slow enough that all ask while the first renewal is under way.
        office.clio.fault(&refresh_fault(Action::Delay { ms: 700 })).await.unwrap();
        let calls = office.token_calls().await;
        office.clock.advance(TimeDelta::minutes(61));
        let given = futures::future::join_all((0..40).map(|_| office.token(None))).await;
        assert!(given.iter().all(|token| *token == given[0]));
        assert_eq!(office.token_calls().await, calls + 1, "rotate {rotate}");
    }
}

#[tokio::test]
async fn a_failed_renewal_is_not_tried_again_at_once_and_loses_nothing() {
    let office = connected_for_an_hour(true, false).await;
    let first = office.token(None).await;
    let fault = office.clio.fault(&refresh_fault(unavailable()).forever()).await.unwrap();

    office.clock.advance(TimeDelta::minutes(55));
    assert_eq!(office.token(None).await, first, "a token that has five minutes left is still good");
    office.clock.advance(TimeDelta::minutes(6));
    let calls = office.token_calls().await;
    for _ in 0..20 {
        let reason = office.no_token(None).await;
        assert!(reason.contains("503"), "{reason}");
    }
    assert_eq!(office.token_calls().await, calls + 1, "one try in the cool-down");
    let status = office.status().await;
    assert!(status.connected && !status.needs_consent, "a fault of the moment asks nobody to do anything");
    assert!(status.last_failure.unwrap().reason.contains("503"));

    office.clio.remove_fault(fault).await.unwrap();
    office.clock.advance(TimeDelta::seconds(31));
    assert_ne!(office.token(None).await, first);
    assert_eq!(office.status().await.last_failure, None);
}

#[tokio::test]
async fn an_access_that_was_taken_back_needs_a_new_consent_and_gets_one() {
    let office = connected_for_an_hour(false, false).await;
    let first = office.token(None).await;
    office.clio.revoke_tokens().await.unwrap();
    let reason = office.no_token(fingerprint(&first)).await;
    assert!(reason.contains("databridge connect"), "{reason}");
    let status = office.status().await;
    assert!(!status.connected && status.needs_consent, "{status:?}");
    assert_eq!(status.connected_by.unwrap().name, "Ada Lawson", "what is stored stays");
    let calls = office.token_calls().await;
    office.clock.advance(TimeDelta::minutes(2));
    office.no_token(fingerprint(&first)).await;
    assert_eq!(office.token_calls().await, calls, "Clio is not asked again and again");

    office.connect().await;
    assert!(office.status().await.connected);
    assert_eq!(office.status_at_clio(&office.token(None).await).await, 200);
}

#[tokio::test]
async fn a_refusal_that_clio_takes_back_mends_itself() {
    let office = connected_for_an_hour(false, false).await;
    let body = r#"{"error":"invalid_grant"}"#.to_owned();
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    office.clio.fault(&refresh_fault(Action::Status { status: 400, body, headers })).await.unwrap();
    office.clock.advance(TimeDelta::minutes(61));
    office.no_token(None).await;
    assert!(office.status().await.needs_consent);
    office.clock.advance(TimeDelta::minutes(16));
    office.token(None).await;
    assert!(office.status().await.connected);
}

#[tokio::test]
async fn a_wrong_application_secret_is_named_and_asks_for_no_consent() {
    let office = connected_for_an_hour(false, false).await;
    let body = r#"{"error":"invalid_client"}"#.to_owned();
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    office.clio.fault(&refresh_fault(Action::Status { status: 401, body, headers })).await.unwrap();
    office.clock.advance(TimeDelta::minutes(61));
    let reason = office.no_token(None).await;
    assert!(reason.contains("CLIO_API_KEY"), "{reason}");
    assert!(!office.status().await.needs_consent);
}

#[tokio::test]
async fn a_consent_during_a_renewal_wins() {
    let office = connected_for_an_hour(true, false).await;
    let fault = office.clio.fault(&refresh_fault(Action::HoldAfter)).await.unwrap();
    office.clock.advance(TimeDelta::minutes(61));
    let renewal = office.token(None);
    let consent = async {
        office.until_held(fault).await;
        office.sign_in("Ben Ortiz").await;
        let page = office.consent(&mut Browser::new(), &office.link().await).await;
        assert_eq!(page.status, 200, "{}", page.body);
        office.clio.release(fault).await.unwrap();
    };
    let (given, ()) = tokio::join!(renewal, consent);
    assert_eq!(office.status().await.connected_by.unwrap().name, "Ben Ortiz");
    assert_eq!(office.token(None).await, given, "the renewal gives out what the consent stored");
    assert_eq!(office.user_at_clio(&given).await, "Ben Ortiz");
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_renewal_lets_it_end_and_stores_it() {
    let mut office = connected_for_an_hour(true, false).await;
    let fault = office.clio.fault(&refresh_fault(Action::HoldAfter)).await.unwrap();
    office.clock.advance(TimeDelta::minutes(61));
    let broker = office.broker.clone();
    let asked = tokio::spawn(async move { broker.client().request("auth.token.clio", "".into()).await });
    office.until_held(fault).await;
    office.begin_to_stop().await;
    assert!(!office.has_ended(), "the service ends after the renewal");
    office.clio.release(fault).await.unwrap();
    office.stop().await;
    let reply: TokenReply = serde_json::from_slice(&asked.await.unwrap().unwrap().payload).unwrap();
    assert!(matches!(reply, TokenReply::Token { .. }), "{reply:?}");

    office.another_replica(KEY).await;
    let calls = office.token_calls().await;
    assert_eq!(office.status_at_clio(&office.token(None).await).await, 200);
    assert_eq!(office.token_calls().await, calls, "the token of the stopped service is used");
}

#[tokio::test]
async fn a_service_with_another_key_says_so_and_breaks_nothing() {
    let mut office = connected_for_an_hour(false, false).await;
    office.stop().await;
    office.another_replica(&"ab".repeat(32)).await;
    let reason = office.no_token(None).await;
    assert!(reason.contains("DATABRIDGE_KEY"), "{reason}");
    assert!(office.status().await.reason.unwrap().contains("DATABRIDGE_KEY"));
}

#[tokio::test]
async fn a_token_request_with_an_unknown_key_is_refused_by_name() {
    let office = connected_for_an_hour(false, false).await;
    let reply: TokenReply =
        office.ask(auth_service::subjects::TOKEN, &serde_json::json!({"refussed": "x"})).await;
    let TokenReply::None { reason } = reply else { panic!("{reply:?}") };
    assert!(reason.contains("`refussed`"), "{reason}");
}

#[tokio::test]
async fn a_slow_renewal_is_not_overtaken_by_another_replica() {
    let office = connected_for_an_hour(true, false).await;
    office.another_replica(KEY).await;
    let fault = office.clio.fault(&refresh_fault(Action::HoldAfter)).await.unwrap();
    office.clock.advance(TimeDelta::minutes(61));
    let calls = office.token_calls().await;
    let asked = futures::future::join_all((0..16).map(|_| office.token(None)));
    let slow = async {
        office.until_held(fault).await;
        // Extended every three seconds: as it was taken, for twelve, it would be over then.
        for _ in 0..5 {
            let taken = lease(&office).await;
            until("the lease is extended", async || lease(&office).await > taken).await;
        }
        // The other replica sees that it is not.
        let mut looks = office.broker.client().subscribe(LOOKS_AT_THE_LEASE).await.unwrap();
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_secs(20), looks.next()).await.unwrap().unwrap();
        }
        office.clio.release(fault).await.unwrap();
    };
    let (given, ()) = tokio::join!(asked, slow);
    assert!(given.iter().all(|token| *token == given[0]));
    assert_eq!(office.token_calls().await, calls + 1);
}

/// What a replica asks of the broker before it takes the lease.
const LOOKS_AT_THE_LEASE: &str = "$JS.API.DIRECT.GET.KV_leases.$KV.leases.auth-service.clio";

/// The revision of the right to renew the token.
async fn lease(office: &Office) -> u64 {
    let leases = office.broker.bucket::<serde_json::Value>(names::LEASES).await.unwrap();
    leases.get("auth-service.clio").await.unwrap().unwrap().revision
}

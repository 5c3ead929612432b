//! Consents and tokens.

use std::time::Duration;

use reqwest::Method;
use sandbox::client::{Answer, Consent};
use sandbox::clio::hand::ClioSettings;
use serde_json::json;

use crate::house::{CALLBACK, House, browser};

#[tokio::test]
async fn the_consent_page_names_the_app_and_gives_the_state_back() {
    let house = House::open().await;
    let page = browser().get(house.authorize_url()).send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let html = page.text().await.unwrap();
    for word in ["Data Bridge", "Ada Lawson", "Riverside Law Clinic", "Allow", "Decline", CALLBACK] {
        assert!(html.contains(word), "{word} is missing");
    }
    let back = house.consent(&house.authorize_url(), Answer::Allow).await;
    assert!(back.contains(&("state".to_owned(), "of the browser".to_owned())));
}

#[tokio::test]
async fn a_redirect_address_that_differs_by_a_letter_is_refused_with_a_page() {
    let house = House::open().await;
    for (name, value) in [
        ("redirect_uri", "http://127.0.0.1:9/callback/"),
        ("client_id", "another"),
        ("response_type", "token"),
    ] {
        let pairs: Vec<_> = house.authorize_url().query_pairs().into_owned().collect();
        let mut url = house.authorize_url();
        url.query_pairs_mut().clear().extend_pairs(pairs.into_iter().filter(|(key, _)| key != name));
        url.query_pairs_mut().append_pair(name, value);
        let answer = house.admin.consent(&url, Answer::Allow).await.unwrap();
        assert!(matches!(answer, Consent::Page { status: 400, .. }), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn declining_shows_a_page_unless_the_app_wants_to_be_told() {
    let house = House::open().await;
    let answer = house.admin.consent(&house.authorize_url(), Answer::Decline).await.unwrap();
    assert!(matches!(answer, Consent::Page { status: 400, .. }));

    let mut told = house.authorize_url();
    told.query_pairs_mut().append_pair("redirect_on_decline", "true");
    let back = house.consent(&told, Answer::Decline).await;
    assert_eq!(back[0], ("error".to_owned(), "access_denied".to_owned()));
    assert_eq!(back[1].1, "of the browser");

    let deny = ClioSettings { deny_consent: Some(true), ..ClioSettings::default() };
    house.admin.clio_settings(&deny).await.unwrap();
    assert_eq!(house.consent(&told, Answer::Allow).await[0].1, "access_denied");
}

#[tokio::test]
async fn a_code_works_once_for_ten_minutes_and_for_its_own_address() {
    let house = House::open().await;
    let ask = async |code: &str, redirect: &str| {
        let (status, body) = house
            .ask_token(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect)])
            .await;
        (status.as_u16(), body["error"].as_str().unwrap_or_default().to_owned())
    };
    let wrong = (400, "invalid_grant".to_owned());
    let code = house.code().await;
    assert_eq!(ask(&code, CALLBACK).await, (200, String::new()));
    assert_eq!(ask(&code, CALLBACK).await, wrong, "a second time");
    assert_eq!(ask(&house.code().await, "http://127.0.0.1:9/other").await, wrong, "another address");
    assert_eq!(ask("made up", CALLBACK).await, wrong, "no code of ours");
    let code = house.code().await;
    house.admin.advance_clock(Duration::from_secs(601)).await.unwrap();
    assert_eq!(ask(&code, CALLBACK).await, wrong, "too late");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_401_and_so_are_credentials_outside_the_form() {
    let house = House::open().await;
    let address = house.sandbox.url().join("oauth/token").unwrap();
    let code = house.code().await;
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
    let wrong = form.into_iter().chain([("client_id", "sandbox-key"), ("client_secret", "wrong")]);
    let wrong = house.http.post(address.clone()).form(&wrong.collect::<Vec<_>>());
    let basic = house.http.post(address).basic_auth("sandbox-key", Some("sandbox-secret")).form(&form);
    for refused in [wrong, basic] {
        let refused = refused.send().await.unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["error"], "invalid_client");
    }
    let (status, body) = house.ask_token(&form).await;
    assert_eq!(status, 200, "a refused client does not cost the code: {body}");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(2_592_000)));
}

#[tokio::test]
async fn a_refresh_token_is_reusable_and_its_reply_repeats_it_only_when_switched() {
    let house = House::open().await;
    let first = house.tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let refresh = async |token: &str| {
        house.ask_token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    };
    for _ in 0..2 {
        let (status, body) = refresh(&first).await;
        assert_eq!(status, 200);
        assert!(body.get("refresh_token").is_none());
    }
    let repeat = ClioSettings { repeat_refresh_token: Some(true), ..ClioSettings::default() };
    house.admin.clio_settings(&repeat).await.unwrap();
    assert_eq!(refresh(&first).await.1["refresh_token"], json!(first));

    let rotate = ClioSettings { rotate_refresh_tokens: Some(true), ..ClioSettings::default() };
    house.admin.clio_settings(&rotate).await.unwrap();
    let second = refresh(&first).await.1["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    assert_eq!(refresh(&first).await.0, 400, "the old one has ended");
    assert_eq!(refresh(&second).await.0, 200);
}

#[tokio::test]
async fn an_ended_revoked_or_absent_token_gets_the_flat_401() {
    let mut house = House::open().await;
    let short = ClioSettings { token_lifetime_seconds: Some(60), ..ClioSettings::default() };
    house.admin.clio_settings(&short).await.unwrap();
    house.sign_in().await;
    assert_eq!(house.status_of_get("users/who_am_i").await, 200);
    house.admin.advance_clock(Duration::from_secs(60)).await.unwrap();
    let response = house.request(Method::GET, "users/who_am_i").send().await.unwrap();
    assert_eq!(response.status(), 401);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["error"], "invalid_token");
    assert!(body["error_description"].is_string());

    let tokens = house.tokens().await;
    house.token = tokens["access_token"].as_str().unwrap().to_owned();
    house.admin.revoke_tokens().await.unwrap();
    assert_eq!(house.status_of_get("users/who_am_i").await, 401);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(house.ask_token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.0, 400);
}

#[tokio::test]
async fn deauthorising_ends_that_access_token_only() {
    let mut house = House::open().await;
    let other = house.tokens().await;
    let address = house.sandbox.url().join("oauth/deauthorize").unwrap();
    let form = [("token", house.token.as_str())];
    let response = house.http.post(address).bearer_auth(&house.token).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(house.status_of_get("users/who_am_i").await, 401);
    house.token = other["access_token"].as_str().unwrap().to_owned();
    assert_eq!(house.status_of_get("users/who_am_i").await, 200);
}

#[tokio::test]
async fn a_user_of_another_firm_sees_an_empty_account() {
    let mut house = House::open().await;
    let ada = house.get("users/who_am_i?fields=id,name,account{id}").await;
    let users = house.admin.users().await.unwrap();
    let cora = users.iter().find(|user| user.name == "Cora Whitfield").unwrap().id;
    let signed_in = ClioSettings { signed_in_user: Some(cora), ..ClioSettings::default() };
    house.admin.clio_settings(&signed_in).await.unwrap();
    house.sign_in().await;
    let who = house.get("users/who_am_i?fields=id,name,account{id}").await;
    assert_eq!(who["data"]["name"], "Cora Whitfield");
    assert_ne!(who["data"]["account"], ada["data"]["account"]);
    assert_eq!(house.get("matters").await["meta"]["records"], 0);
    assert_eq!(house.send(Method::POST, "groups", &json!({"name": "x"})).await.status(), 403);
}

//! What holds for every request to the API: fields, strays, versions, bodies, the limit.

use std::time::Duration;

use reqwest::Method;
use sandbox::clio::hand::{ClioSettings, RateWindow};
use serde_json::{Value, json};

use crate::house::{House, error_of, options};

#[tokio::test]
async fn an_unknown_field_is_refused_with_400_and_so_are_braces_in_braces() {
    let house = House::open().await;
    for fields in
        ["id,nonsense", "custom_field_values{custom_field{id}}", "client{nonsense}", "description{id}"]
    {
        let response =
            house.request(Method::GET, "matters").query(&[("fields", fields)]).send().await.unwrap();
        assert_eq!(error_of(response).await, (400, "InvalidFields".to_owned()), "{fields}");
    }
}

#[tokio::test]
async fn a_write_with_wrong_fields_writes_nothing() {
    let house = House::open().await;
    let response = house.send(Method::POST, "groups?fields=nonsense", &json!({"name": "Ghost"})).await;
    assert_eq!(response.status(), 400);
    assert!(house.admin.groups().await.unwrap().iter().all(|group| group.name != "Ghost"));
}

#[tokio::test]
async fn unknown_parameters_and_keys_are_ignored_and_told_as_strays() {
    let house = House::open().await;
    house.furnish().await;
    assert_eq!(house.admin.strays().await.unwrap(), []);
    assert_eq!(house.status_of_get("matters?group=1").await, 200);
    house.create("groups", &json!({"name": "x", "users": [1]})).await;
    assert_eq!(house.status_of_get("bills").await, 404);
    let told: Vec<_> =
        house.admin.strays().await.unwrap().into_iter().map(|stray| (stray.what, stray.name)).collect();
    let expected = [("parameter", "group"), ("body", "users"), ("path", "")];
    assert_eq!(told, expected.map(|(what, name)| (what.to_owned(), name.to_owned())));
}

#[tokio::test]
async fn paths_work_with_and_without_json_and_options_is_404() {
    let house = House::open().await;
    assert_eq!(house.status_of_get("matters.json").await, 200);
    assert_eq!(house.status_of_get("users/who_am_i.json").await, 200);
    assert_eq!(house.request(Method::OPTIONS, "matters").send().await.unwrap().status(), 404);
    assert_eq!(house.request(Method::PUT, "matters/1").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_body_that_is_no_data_object_is_refused_with_400() {
    let house = House::open().await;
    for body in ["", "{", "[]", "{\"data\": []}", "{\"name\": \"x\"}"] {
        let request = house.request(Method::POST, "groups").header("content-type", "application/json");
        assert_eq!(request.body(body).send().await.unwrap().status(), 400, "{body}");
    }
    let form = house.request(Method::POST, "groups").form(&[("data[name]", "x")]);
    assert_eq!(form.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn the_version_is_echoed_and_a_wrong_one_is_410() {
    let house = House::open().await;
    let ask = async |version: &str| {
        house.request(Method::GET, "groups").header("X-API-VERSION", version).send().await.unwrap()
    };
    let usual = house.request(Method::GET, "groups").send().await.unwrap();
    assert_eq!(usual.headers()["x-api-version"], "4.0.13");
    assert_eq!(ask("4.0.9").await.headers()["x-api-version"], "4.0.9");
    for version in ["4.0.14", "4", "5.0.0", "latest"] {
        assert_eq!(ask(version).await.status(), 410, "{version}");
    }
}

async fn limited_house(limit: u32, window: RateWindow) -> House {
    let house = House::open().await;
    let settings =
        ClioSettings { rate_limit: Some(Some(limit)), rate_window: Some(window), ..ClioSettings::default() };
    house.admin.clio_settings(&settings).await.unwrap();
    house
}

#[tokio::test]
async fn the_limit_is_told_on_every_answer_and_ends_in_429() {
    let house = limited_house(2, RateWindow::Fixed).await;
    for remaining in ["1", "0"] {
        let response = house.request(Method::GET, "groups").send().await.unwrap();
        assert_eq!(response.headers()["x-ratelimit-limit"], "2");
        assert_eq!(response.headers()["x-ratelimit-remaining"], remaining);
        let reset: i64 = response.headers()["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
        let ahead = reset - house.sandbox.clock().now().timestamp();
        assert!((58..=61).contains(&ahead), "{ahead}");
    }
    let groups = format!("{}api/v4/groups", house.sandbox.url());
    let stranger = house.http.get(groups).bearer_auth("nobody's").send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert_eq!(stranger.headers()["x-ratelimit-remaining"], "2");
    let refused = house.send(Method::POST, "groups", &json!({"name": "Ghost"})).await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((55..=60).contains(&wait), "{wait}");
    assert_eq!(error_of(refused).await.1, "RateLimited");
    assert!(house.admin.groups().await.unwrap().iter().all(|group| group.name != "Ghost"));
    assert_eq!(house.admin.calls().await.unwrap().clio.limited, 1);

    house.admin.advance_clock(Duration::from_secs(wait)).await.unwrap();
    assert_eq!(house.status_of_get("groups").await, 200);
}

#[tokio::test]
async fn a_sliding_window_frees_no_more_than_has_passed() {
    let house = limited_house(2, RateWindow::Sliding).await;
    assert_eq!(house.status_of_get("groups").await, 200);
    house.admin.advance_clock(Duration::from_secs(40)).await.unwrap();
    assert_eq!(house.status_of_get("groups").await, 200);
    assert_eq!(house.status_of_get("groups").await, 429);
    house.admin.advance_clock(Duration::from_secs(21)).await.unwrap();
    assert_eq!(house.status_of_get("groups").await, 200);
    assert_eq!(house.status_of_get("groups").await, 429);
}

#[tokio::test]
async fn without_a_limit_nothing_is_told_about_one() {
    let mut options = options();
    options.clio.rate_limit = None;
    let house = House::open_with(options).await;
    let response = house.request(Method::GET, "groups").send().await.unwrap();
    assert!(!response.headers().contains_key("x-ratelimit-limit"));
}

#[tokio::test]
async fn defaults_are_id_and_etag_and_a_name_for_users() {
    let house = House::open().await;
    let keys = async |path: &str| {
        let body: Value = house.get(path).await;
        let record = if body["data"].is_array() { &body["data"][0] } else { &body["data"] };
        let mut keys: Vec<_> = record.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("groups").await, ["etag", "id"]);
    assert_eq!(keys("custom_fields").await, ["etag", "id"]);
    assert_eq!(keys("matters").await, ["display_number", "etag", "id"]);
    assert_eq!(keys("users/who_am_i").await, ["etag", "id", "name"]);
}

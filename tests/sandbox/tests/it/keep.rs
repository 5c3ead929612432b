//! Keeping the state over a restart.

use std::time::{Duration, Instant};

use reqwest::Method;
use sandbox::calls::System;
use sandbox::client::GisEdit;
use sandbox::faults::{Action, Fault};
use sandbox::{Sandbox, SandboxOptions};
use serde_json::json;

use crate::house::{House, options};

fn kept_at(path: &std::path::Path) -> SandboxOptions {
    SandboxOptions { keep: Some(path.to_owned()), ..options() }
}

#[tokio::test]
async fn a_restart_finds_records_tokens_and_clock_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let house = House::open_with(kept_at(&file)).await;
    let furniture = house.furnish().await;
    house.create("matters", &furniture.matter("E-23-00017")).await;
    let object_id = house.admin.features(2).await.unwrap()[0].attributes["OBJECTID"].as_i64().unwrap();
    house.admin.edit_feature(2, object_id, &GisEdit::field("ADDRESS1", "1 Beale St")).await.unwrap();
    house.admin.advance_clock(Duration::from_secs(500)).await.unwrap();
    let (matters, features) = (house.admin.matters().await.unwrap(), house.admin.features(2).await.unwrap());
    let ahead = house.sandbox.clock().offset();
    let (token, http) = (house.token.clone(), house.http.clone());
    house.sandbox.stop().await.unwrap();

    let sandbox = Sandbox::start(kept_at(&file)).await.unwrap();
    let admin = sandbox.admin();
    assert_eq!(admin.matters().await.unwrap(), matters);
    assert_eq!(admin.features(2).await.unwrap(), features);
    assert_eq!(sandbox.clock().offset(), ahead);
    let house = House { sandbox, admin, http, token };
    assert_eq!(house.status_of_get("users/who_am_i").await, 200);
    let next = house.create("matters", &furniture.matter("E-23-00018")).await;
    assert!(matters.iter().all(|matter| matter.id != next), "an id was given twice");
}

/// Waits until the file holds a text. The promise is a second; a busy machine may take longer.
async fn until_kept(file: &std::path::Path, text: &str) {
    let start = Instant::now();
    while !std::fs::read_to_string(file).is_ok_and(|kept| kept.contains(text)) {
        assert!(start.elapsed() < Duration::from_secs(10), "{text:?} was not kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_change_of_either_half_reaches_the_file_without_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let house = House::open_with(kept_at(&file)).await;
    house.create("groups", &json!({"name": "A group to be kept"})).await;
    until_kept(&file, "A group to be kept").await;
    let object_id = house.admin.features(2).await.unwrap()[0].attributes["OBJECTID"].as_i64().unwrap();
    let edit = GisEdit::field("ADDRESS1", "An address to be kept");
    house.admin.edit_feature(2, object_id, &edit).await.unwrap();
    until_kept(&file, "An address to be kept").await;
    let sign_in = [("username", "databridge"), ("password", "sandbox-password"), ("f", "json")];
    let address = house.sandbox.url().join("arcgis/tokens/generateToken").unwrap();
    let answer = house.http.post(address).form(&sign_in).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    until_kept(&file, answer["token"].as_str().unwrap()).await;
    let fault = Fault::new(System::Clio, Action::DropAfter);
    house.admin.fault(&fault).await.unwrap();
    let unanswered = json!({"data": {"name": "A group made without an answer"}});
    house.request(Method::POST, "groups").json(&unanswered).send().await.unwrap_err();
    until_kept(&file, "A group made without an answer").await;
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    std::fs::write(&file, "not a state").unwrap();
    let error = Sandbox::start(kept_at(&file)).await.err().unwrap().to_string();
    assert!(error.contains("state.json") && error.contains("does not hold"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a state");
}

#[tokio::test]
async fn a_stopped_sandbox_answers_nobody() {
    let house = House::open().await;
    let address = house.sandbox.address();
    house.sandbox.stop().await.unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}

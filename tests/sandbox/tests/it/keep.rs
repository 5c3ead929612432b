//! Keeping the state over a restart.

use std::time::{Duration, Instant};

use reqwest::Method;
use sandbox::calls::System;
use sandbox::client::{GisEdit, GisFeature};
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
async fn a_file_from_before_there_were_notes_and_documents_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let house = House::open_with(kept_at(&file)).await;
    let matters = house.admin.matters().await.unwrap();
    house.sandbox.stop().await.unwrap();
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let store = state["clio"]["store"].as_object_mut().unwrap();
    for newer in ["notes", "calendars", "calendar_entries", "documents", "storage_secret"] {
        assert!(store.remove(newer).is_some(), "{newer}");
    }
    std::fs::write(&file, state.to_string()).unwrap();
    let sandbox = Sandbox::start(kept_at(&file)).await.unwrap();
    assert_eq!(sandbox.admin().matters().await.unwrap(), matters);
    assert_eq!(sandbox.admin().notes().await.unwrap(), []);
    sandbox.admin().add_calendar("NP Clinic Calendar").await.unwrap();
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

/// The sandbox's own program, over a file that keeps its state.
struct Program {
    child: std::process::Child,
    admin: sandbox::Admin,
}

impl Program {
    fn start(file: &std::path::Path) -> Self {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_sandbox"))
            .args(["--listen", "127.0.0.1:0", "--litigations", "3", "--keep"])
            .arg(file)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let said = std::io::BufReader::new(child.stdout.take().unwrap());
        let url = std::io::BufRead::lines(said)
            .find_map(|line| Some(line.unwrap().trim().strip_prefix("CLIO_URL=")?.to_owned()))
            .unwrap();
        let admin = sandbox::Admin::at(format!("{url}/").parse().unwrap()).unwrap();
        Self { child, admin }
    }
}

impl Drop for Program {
    /// As `kill -9` does.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn row(warrant: &str) -> GisFeature {
    let attributes = [("CivilWarrant".to_owned(), json!(warrant))];
    GisFeature { attributes: attributes.into_iter().collect(), lon: None, lat: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sandbox_has_kept_everything_that_it_has_acknowledged() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let program = Program::start(&file);
        // Several write at once; the program is killed while they do, just after an answer.
        let (told, mut answers) = tokio::sync::mpsc::unbounded_channel();
        for writer in 0..4 {
            let (admin, told) = (program.admin.clone(), told.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let warrant = format!("E-{round}-{writer}-{number}");
                    if admin.add_features(2, &[row(&warrant)]).await.is_err() || told.send(warrant).is_err() {
                        break;
                    }
                }
            });
        }
        drop(told);
        for _ in 0..10 + round {
            acknowledged.extend(answers.recv().await);
        }
        drop(program);
        while let Some(warrant) = answers.recv().await {
            acknowledged.push(warrant);
        }
    }
    let program = Program::start(&file);
    let rows = program.admin.features(2).await.unwrap();
    let kept: Vec<_> = rows.iter().filter_map(|row| row.attributes["CivilWarrant"].as_str()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|warrant| !kept.contains(&warrant.as_str())).collect();
    assert!(acknowledged.len() >= 33 && lost.is_empty(), "of {}: {lost:?}", acknowledged.len());
}

#[tokio::test]
async fn what_a_reader_was_shown_is_kept_even_if_its_writer_has_no_answer_yet() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let house = House::open_with(kept_at(&file)).await;
    let fault = Fault::new(System::Clio, Action::HoldAfter).method("POST");
    house.admin.fault(&fault).await.unwrap();
    let made = json!({"data": {"name": "A group that is seen before its maker hears of it"}});
    let writer = tokio::spawn(house.request(Method::POST, "groups").json(&made).send());
    let text = "A group that is seen before its maker hears of it";
    let start = Instant::now();
    loop {
        let seen = house.request(Method::GET, "groups?fields=id,name").send().await.unwrap();
        if seen.text().await.unwrap().contains(text) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "the group is never seen");
    }
    assert!(std::fs::read_to_string(&file).unwrap().contains(text), "it was shown and not kept");
    writer.abort();
}

//! The server as a program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::house::browser;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sandbox"))
}

#[tokio::test]
async fn the_program_prints_addresses_that_work() {
    let mut started = command()
        .args(["--listen", "127.0.0.1:0", "--litigations", "3", "--rate-limit", "7"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(started.stdout.take().unwrap()).lines();
    let _server = Server(started);
    let mut settings = std::collections::BTreeMap::new();
    for line in lines {
        let line = line.unwrap();
        if let Some((name, value)) = line.trim().split_once('=').filter(|(name, _)| !name.contains(' ')) {
            settings.insert(name.to_owned(), value.to_owned());
        }
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    for name in ["CLIO_URL", "CLIO_API_KEY", "CLIO_API_SECRET", "CLIO_CALLBACK_URL", "GIS_SERVICE_URL"] {
        assert!(settings.contains_key(name), "{name} in {settings:?}");
    }
    let query = format!("{}/2/query?f=json&where=1%3D1&returnCountOnly=true", settings["GIS_SERVICE_URL"]);
    let count: serde_json::Value = browser().get(query).send().await.unwrap().json().await.unwrap();
    assert_eq!(count["count"], 3);
    let calls = browser().get(format!("{}/admin/calls", settings["CLIO_URL"])).send().await.unwrap();
    assert_eq!(calls.json::<serde_json::Value>().await.unwrap()["gis"]["reads"], 1);
}

/// Starts the program with a file that keeps its state, and gives it with its address.
fn keeping_server(file: &std::path::Path) -> (Server, String) {
    let mut started = command()
        .args(["--listen", "127.0.0.1:0", "--litigations", "3", "--keep"])
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(started.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| line.unwrap().trim().strip_prefix("CLIO_URL=").map(str::to_owned));
    (Server(started), url.unwrap())
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let (mut server, url) = keeping_server(&file);
    let matter = serde_json::json!({"client": "Iris Calloway", "description": "made just before the kill"});
    let made = browser().post(format!("{url}/admin/clio/matters")).json(&matter).send().await.unwrap();
    let made: serde_json::Value = made.json().await.unwrap();
    let start = Instant::now();
    while !std::fs::read_to_string(&file).is_ok_and(|kept| kept.contains("made just before the kill")) {
        assert!(start.elapsed() < Duration::from_secs(10), "the matter was not kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.0.kill().unwrap();
    server.0.wait().unwrap();
    let (_server, url) = keeping_server(&file);
    let found = browser().get(format!("{url}/admin/clio/matters")).send().await.unwrap();
    let found: Vec<serde_json::Value> = found.json().await.unwrap();
    assert!(found.contains(&made));
}

#[test]
fn help_names_every_option_and_a_taken_address_is_told() {
    let help = String::from_utf8(command().arg("--help").output().unwrap().stdout).unwrap();
    for option in ["--listen", "--gis-data", "--litigations", "--rate-limit", "--keep", "--redirect-uri"] {
        assert!(help.contains(option), "{option} in {help}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = command().args(["--listen", &address]).output().unwrap();
    assert!(!refused.status.success());
    let told = String::from_utf8(refused.stderr).unwrap() + &String::from_utf8(refused.stdout).unwrap();
    assert!(told.contains(&address), "{told}");
}

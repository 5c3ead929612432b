//! A real server: started, killed, restarted, left behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]

use std::fs::Permissions;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use databridge_nats_server::{FindOptions, NatsServer, StartError, StartOptions, find};
use serde_json::Value;

/// Asks over the plain client protocol: publishes `body` on `subject` and gives the first reply.
fn request(server: &NatsServer, subject: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = body.len();
    let talk = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB reply 1\r\nPUB {subject} reply {length}\r\n{body}\r\nPING\r\n"
    );
    stream.write_all(talk.as_bytes()).unwrap();
    let mut lines =
        BufReader::new(stream).lines().map(Result::unwrap).skip_while(|line| !line.starts_with("MSG "));
    lines.next().unwrap();
    serde_json::from_str(&lines.next().unwrap()).unwrap()
}

fn make_stream(server: &NatsServer) {
    let made = request(
        server,
        "$JS.API.STREAM.CREATE.KEPT",
        r#"{"name":"KEPT","subjects":["kept"],"storage":"file"}"#,
    );
    assert!(made.get("error").is_none(), "{made}");
}

fn stored(server: &NatsServer) -> Option<u64> {
    request(server, "$JS.API.STREAM.INFO.KEPT", "").pointer("/state/messages").and_then(Value::as_u64)
}

fn is_alive(pid: u32) -> bool {
    Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

fn eventually(limit: Duration, holds: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

fn options(store: &Path) -> StartOptions {
    StartOptions::new(find(&FindOptions::default()).unwrap().path, store)
}

#[tokio::test]
async fn a_killed_server_comes_back_on_the_same_port_with_what_it_stored() {
    let mut server = NatsServer::ephemeral().await.unwrap();
    let (url, first_pid) = (server.url(), server.pid().unwrap());
    make_stream(&server);
    assert_eq!(request(&server, "kept", "one").get("seq"), Some(&Value::from(1)));

    server.kill9().unwrap();
    assert!(!server.is_running() && server.pid().is_none() && !is_alive(first_pid));
    TcpStream::connect(("127.0.0.1", server.port())).unwrap_err();

    server.restart().await.unwrap();
    assert!(server.is_running());
    assert_eq!(server.url(), url);
    assert_ne!(server.pid().unwrap(), first_pid);
    assert_eq!(stored(&server), Some(1));
}

#[tokio::test]
async fn a_stop_is_orderly_and_a_restart_after_it_or_without_it_keeps_the_store() {
    let mut server = NatsServer::ephemeral().await.unwrap();
    make_stream(&server);
    server.stop().await.unwrap();
    assert!(!server.is_running());
    assert!(fs::read_to_string(server.log_path()).unwrap().contains("Server Exiting"));
    server.stop().await.unwrap();

    server.restart().await.unwrap();
    assert_eq!(stored(&server), Some(0));
    let pid = server.pid().unwrap();
    server.restart().await.unwrap();
    assert!(!is_alive(pid));
    assert_eq!(stored(&server), Some(0));
}

#[tokio::test]
async fn a_server_killed_from_outside_is_seen_as_dead_and_can_be_restarted() {
    let mut server = NatsServer::ephemeral().await.unwrap();
    let pid = server.pid().unwrap();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    assert!(eventually(Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", server.port())).is_err()));
    assert!(!server.is_running());
    server.restart().await.unwrap();
    assert!(server.is_running());
}

#[tokio::test]
async fn dropping_a_server_kills_it_and_removes_only_an_ephemeral_store() {
    let server = NatsServer::ephemeral().await.unwrap();
    let (pid, store) = (server.pid().unwrap(), server.log_path().parent().unwrap().to_owned());
    assert!(store.join("jetstream").is_dir());
    drop(server);
    assert!(!is_alive(pid) && !store.exists());

    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("made/by the server");
    let server = NatsServer::start(options(&store)).await.unwrap();
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!is_alive(pid) && store.join("jetstream").is_dir());
}

#[tokio::test]
async fn writes_are_synced_always_and_monitoring_answers_when_asked_for() {
    let server = NatsServer::ephemeral_with(|options| options.monitor = true).await.unwrap();
    let address = server.monitor_url().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /jsz HTTP/1.0\r\n\r\n").unwrap();
    let body: String =
        BufReader::new(stream).lines().map(Result::unwrap).skip_while(|line| !line.is_empty()).collect();
    let jsz: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(jsz.pointer("/config/sync_always"), Some(&Value::Bool(true)), "{jsz}");

    let server = NatsServer::ephemeral().await.unwrap();
    assert_eq!(server.monitor_url(), None);
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_cut_the_wait_for_a_server() {
    let mut server = NatsServer::ephemeral().await.unwrap();
    server.restart().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn many_servers_start_at_once_on_ports_of_their_own() {
    let starting: Vec<_> = (0..6).map(|_| tokio::spawn(NatsServer::ephemeral())).collect();
    let mut servers = Vec::new();
    for start in starting {
        servers.push(start.await.unwrap().unwrap());
    }
    let mut ports: Vec<_> = servers.iter().map(NatsServer::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 6);
    for server in &servers {
        make_stream(server);
    }
}

#[tokio::test]
async fn a_config_that_the_server_refuses_gives_its_own_words() {
    let error =
        NatsServer::ephemeral_with(|options| options.config_extra = "max_payload: often".to_owned()).await;
    let error = error.err().unwrap();
    assert!(
        matches!(&error, StartError::Ended { log, .. } if log.contains("nats-server.conf:8")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_never_ready_is_killed_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("sleeping-server");
    fs::write(&script, "#!/bin/sh\necho \"pid $$\"\nexec sleep 60\n").unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let mut late = StartOptions::new(script, folder.path().join("store"));
    late.ready_within = Duration::from_millis(500);

    let error = NatsServer::start(late).await.err().unwrap();
    let StartError::Late { log, .. } = error else { panic!("{error:?}") };
    let pid = log.strip_prefix("pid ").unwrap().parse().unwrap();
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_another_server_is_not_mistaken_for_ours() {
    let other = NatsServer::ephemeral().await.unwrap();
    let error = NatsServer::ephemeral_with(|options| options.port = Some(other.port())).await.err().unwrap();
    assert!(matches!(error, StartError::PortTaken { port } if port == other.port()), "{error:?}");
}

#[tokio::test]
async fn two_servers_never_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = NatsServer::start(options(folder.path())).await.unwrap();
    let error = NatsServer::start(options(folder.path())).await.err().unwrap();
    assert!(matches!(error, StartError::StoreInUse { .. }), "{error:?}");
    drop(first);
    NatsServer::start(options(folder.path())).await.unwrap();
}

/// Not a test of its own: the process that the next test kills.
#[tokio::test]
async fn a_process_that_starts_a_server_and_waits_to_be_killed() {
    let Some(store) = env::var_os("STORE_OF_A_KILLED_PROCESS") else { return };
    let server = NatsServer::start(options(Path::new(&store))).await.unwrap();
    let unfinished = Path::new(&store).join("port.new");
    fs::write(&unfinished, server.port().to_string()).unwrap();
    fs::rename(unfinished, Path::new(&store).join("port")).unwrap();
    // Nothing is ever said here: it ends when the next test's process, which holds the other end, has gone.
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[tokio::test]
async fn a_server_dies_with_the_process_that_started_it_and_frees_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_process_that_starts_a_server_and_waits_to_be_killed"])
        .env("STORE_OF_A_KILLED_PROCESS", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let port_file = folder.path().join("port");
    assert!(eventually(Duration::from_mins(1), || port_file.exists()));
    let port: u16 = fs::read_to_string(&port_file).unwrap().parse().unwrap();
    let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(answers());

    process.kill().unwrap();
    process.wait().unwrap();
    assert!(eventually(Duration::from_secs(10), || !answers()), "the server outlived its process");
    NatsServer::start(options(folder.path())).await.unwrap();
}

use std::time::Duration;

use databridge_broker::{Broker, ConnectError, ensure_topology, names};
use databridge_config::env::NatsEnv;
use databridge_runtime::Clock;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::office::Office;

async fn connect(url: String) -> Result<Broker, ConnectError> {
    Broker::connect(&NatsEnv::at(url), "test", Clock::system(), Duration::from_millis(500)).await
}

/// A server that says it is of this version, and nothing else.
async fn server_of(version: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let info = format!(
        "INFO {{\"server_id\":\"A\",\"server_name\":\"A\",\"version\":\"{version}\",\"go\":\"1\",\"host\":\"h\",\
         \"port\":1,\"headers\":true,\"max_payload\":1048576,\"proto\":1,\"client_id\":1}}\r\n"
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let info = info.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                write.write_all(info.as_bytes()).await.unwrap();
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("PING") {
                        write.write_all(b"PONG\r\n").await.unwrap();
                    }
                }
            });
        }
    });
    format!("nats://someone:hunter2@{address}")
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_by_name() {
    for version in ["2.9.0", "2.14.5", "nightly"] {
        let error = connect(server_of(version).await).await.unwrap_err();
        assert!(matches!(error, ConnectError::TooOld { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("nats-server {version} at 127.0.0.1:")), "{text}");
        assert!(text.contains("2.14.6 or later is needed") && !text.contains("hunter2"), "{text}");
    }
    connect(server_of("2.14.6").await).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_its_variable_and_without_the_password() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = connect(format!("nats://someone:hunter2@{address}")).await.unwrap_err().to_string();
    assert!(error.contains("NATS_URL") && error.contains(&address.to_string()), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_files_for_tls_is_told_by_variable_and_file() {
    let refused = async |settings: NatsEnv| {
        let connected = Broker::connect(&settings, "test", Clock::system(), Duration::from_millis(500)).await;
        connected.unwrap_err().to_string()
    };
    let here = || NatsEnv::at("tls://127.0.0.1:1".to_owned());
    let missing = refused(NatsEnv { nats_ca_file: Some("/nowhere/ca.pem".into()), ..here() }).await;
    assert!(missing.starts_with("NATS_CA_FILE names /nowhere/ca.pem, which cannot be read"), "{missing}");
    let half = refused(NatsEnv { nats_cert_file: Some("Cargo.toml".into()), ..here() }).await;
    assert_eq!(half, "NATS_CERT_FILE and NATS_KEY_FILE go together: set both, or neither");
}

#[tokio::test]
async fn making_everything_ready_twice_changes_nothing() {
    let office = Office::open().await;
    let bucket = office.broker.bucket::<String>(names::TOKENS).await.unwrap();
    bucket.create("clio", &"kept".to_owned()).await.unwrap();
    let config = async |stream: &str| {
        office.broker.jetstream().get_stream(stream).await.unwrap().cached_info().config.clone()
    };
    let streams = [names::SYNC, names::PULL, names::OUTCOME, names::RUN, names::PUSH, names::DEAD];
    let mut before = Vec::new();
    for stream in streams {
        before.push(config(stream).await);
    }
    ensure_topology(&office.broker).await.unwrap();
    for (stream, before) in streams.into_iter().zip(before) {
        assert_eq!(config(stream).await, before);
    }
    assert_eq!(bucket.get("clio").await.unwrap().unwrap().value, "kept");
    let push = office.broker.jetstream().get_stream(names::PUSH).await.unwrap();
    let state = &push.cached_info().state;
    assert_eq!(
        (state.first_sequence, state.messages),
        (1, 1),
        "the message that is first there is there once"
    );
    let first = push.get_raw_message(1).await.unwrap();
    assert_eq!(first.subject.as_str(), names::FIRST_IN_PUSH);
}

#[tokio::test]
async fn how_far_the_outcomes_have_come_survives_a_restart_of_the_broker() {
    let mut office = Office::open().await;
    let jetstream = office.broker.jetstream();
    jetstream.publish("outcome.clio.matters.E-1", "{}".into()).await.unwrap().await.unwrap();
    let before = office.broker.read_after().await.unwrap();
    assert_eq!(before.sequence, 1);
    office.nats.kill9().unwrap();
    office.nats.restart().await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let after = loop {
        match office.broker.read_after().await {
            Ok(after) => break after,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
    };
    assert_eq!(after, before);
}

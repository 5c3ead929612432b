use std::time::Duration;

use databridge_bridge::{Content, ContentError, fetch};
use databridge_broker::{Broker, ensure_topology};
use databridge_config::env::NatsEnv;
use databridge_http::ErrorClass;
use databridge_model::{FailureClass, Source};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use sandbox::GisOptions;
use sandbox::calls::System;
use sandbox::client::GisFile;
use sandbox::faults::{Action, Fault};
use sandbox::gis::GisAuth;
use secret_search::Search;
use tokio::task::JoinHandle;

use crate::stage::{LAYER, Stage, settings};

/// What does not come in so long does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service at work, and one who asks for contents.
struct Desk {
    // Before all that it searches.
    _search: Search,
    stage: Stage,
    broker: Broker,
    stop: CancellationToken,
    service: JoinHandle<Result<(), gis_bridge::RunError>>,
    _nats: NatsServer,
}

impl Desk {
    async fn open(options: GisOptions, env: &[(&str, &str)]) -> Self {
        let stage = Stage::of(options, env).await.looking_at("attachments");
        let nats = NatsServer::ephemeral().await.unwrap();
        let at = NatsEnv::at(nats.url());
        let broker =
            Broker::connect(&at, "gis-bridge", Clock::system(), Duration::from_secs(10)).await.unwrap();
        ensure_topology(&broker).await.unwrap();
        let settings = settings(stage.sandbox.gis_service_url().as_str(), env);
        let stop = CancellationToken::new();
        let service = Box::pin(gis_bridge::run(settings, broker.clone(), Clock::system(), stop.clone()));
        let service = tokio::spawn(service);
        let folder = nats.log_path().parent().unwrap().to_owned();
        let search = Search::new(Vec::new(), stage.sandbox.secrets(), vec![folder]);
        Self { _search: search, stage, broker, stop, service, _nats: nats }
    }

    async fn plain() -> Self {
        Self::open(GisOptions::city(5, 7), &[]).await
    }

    /// Hangs a file on row 2 and gives the record's id.
    async fn add(&self, file: &GisFile) -> String {
        format!("2/{}", self.stage.admin.add_gis_attachment(LAYER, 2, file).await.unwrap())
    }

    async fn fetch(&self, id: &str) -> Result<Content, ContentError> {
        let (system, collection) = ("gis".parse().unwrap(), self.stage.collection.clone());
        let source = Source { system, collection, id: id.to_owned() };
        let asking = async {
            loop {
                match fetch(&self.broker, &source, None).await {
                    Err(ContentError::NobodyThere(_)) => tokio::task::yield_now().await,
                    other => break other,
                }
            }
        };
        tokio::time::timeout(PATIENCE, Box::pin(asking)).await.unwrap()
    }

    async fn bytes(&self, id: &str) -> Vec<u8> {
        let mut content = self.fetch(id).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = content.reader.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        bytes
    }

    async fn there(&self, id: &str) -> Vec<u8> {
        let (row, attachment) = id.split_once('/').unwrap();
        let ids = (row.parse().unwrap(), attachment.parse().unwrap());
        self.stage.admin.gis_attachment_bytes(LAYER, ids).await.unwrap()
    }

    async fn fault_download(&self, action: Action) {
        let fault = Fault::new(System::Gis, action).method("GET").path("/attachments/");
        self.stage.admin.fault(&fault).await.unwrap();
    }
}

#[tokio::test]
async fn the_bytes_of_an_attachment_come_as_they_are() {
    let desk = Desk::plain().await;
    let id = desk.add(&GisFile::generated("a.jpg", "image/jpeg", 5, 3_000_000)).await;
    let content = desk.fetch(&id).await.unwrap();
    assert_eq!(
        (content.object.size, content.object.content_type.as_deref()),
        (3_000_000, Some("image/jpeg"))
    );
    assert_eq!(desk.bytes(&id).await, desk.there(&id).await);
    desk.stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), desk.service).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn the_token_goes_in_a_header_and_is_renewed() {
    let options = GisOptions { auth: GisAuth::GenerateToken, ..GisOptions::city(5, 7) };
    let env = [("GIS_USERNAME", "databridge"), ("GIS_PASSWORD", "sandbox-password")];
    let desk = Desk::open(options, &env).await;
    let id = desk.add(&GisFile::generated("a.jpg", "image/jpeg", 5, 30_000)).await;
    let other = desk.add(&GisFile::generated("b.jpg", "image/jpeg", 6, 40_000)).await;
    assert_eq!(desk.bytes(&id).await, desk.there(&id).await);
    desk.stage.admin.expire_gis_tokens().await.unwrap();
    desk.stage.admin.record_traffic(true).await.unwrap();
    assert_eq!(desk.bytes(&other).await, desk.there(&other).await);
    for call in desk.stage.admin.traffic().await.unwrap() {
        let told = format!("{call:?}").to_lowercase();
        assert!(!told.contains("?token=") && !told.contains("&token="), "{told}");
    }
}

#[tokio::test]
async fn a_download_that_breaks_off_is_a_failure_of_the_moment_and_leaves_nothing() {
    let desk = Desk::plain().await;
    let id = desk.add(&GisFile::generated("a.jpg", "image/jpeg", 5, 2_000_000)).await;
    for action in [
        Action::Truncate,
        Action::DropAfter,
        Action::AppliedThen504,
        Action::ErrorMidway { code: 500, message: "Error".to_owned() },
    ] {
        let told = format!("{action:?}");
        desk.fault_download(action).await;
        let error = desk.fetch(&id).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{told}: {error}");
    }
    assert_eq!(desk.bytes(&id).await, desk.there(&id).await);
}

#[tokio::test]
async fn an_error_that_comes_with_status_200_is_no_content() {
    let desk = Desk::plain().await;
    let id = desk.add(&GisFile::generated("a.jpg", "image/jpeg", 5, 20_000)).await;
    let error = |code| Action::Error200 { code, message: "Something".to_owned(), details: Vec::new() };
    for (action, class) in [
        (error(500), ErrorClass::Transient),
        (error(403), ErrorClass::Unauthorised),
        (Action::Html, ErrorClass::Transient),
    ] {
        let told = format!("{action:?}");
        desk.fault_download(action).await;
        assert_eq!(desk.fetch(&id).await.unwrap_err().class(), class, "{told}");
    }
    assert_eq!(desk.bytes(&id).await, desk.there(&id).await);
}

#[tokio::test]
async fn a_file_that_reads_like_an_error_is_a_content() {
    let desk = Desk::plain().await;
    let error = r#"{"error":{"code":400,"message":"Invalid URL","details":[]}}"#;
    for (kind, text) in [
        ("application/json", error),
        ("text/plain", error),
        ("text/html", "<html>A saved page</html>"),
        ("text/plain", "words"),
        ("application/json", r#"{"a":1}"#),
    ] {
        let id = desk.add(&GisFile::of("file", kind, text)).await;
        assert_eq!(String::from_utf8(desk.bytes(&id).await).unwrap(), text);
    }
}

#[tokio::test]
async fn an_attachment_that_is_not_there_is_gone_and_a_wrong_id_is_refused() {
    let desk = Desk::plain().await;
    for id in ["2/99", "99/1"] {
        let ContentError::Refused(failure) = desk.fetch(id).await.unwrap_err() else { panic!() };
        assert_eq!(failure.class, FailureClass::Gone, "{id}");
    }
    let error = desk.fetch("seventeen").await.unwrap_err();
    assert!(error.to_string().contains("<object id>/<attachment id>"), "{error}");
}

#[tokio::test]
async fn a_download_costs_one_call_once_the_attachment_has_been_listed() {
    let desk = Desk::plain().await;
    let id = desk.add(&GisFile::generated("a.jpg", "image/jpeg", 5, 20_000)).await;
    let mut listed = desk.broker.client().subscribe("run.*.listed").await.unwrap();
    while desk.fetch("0/0").await.is_ok() {}
    desk.broker.client().publish("sync.request.gis.attachments", "".into()).await.unwrap();
    tokio::time::timeout(PATIENCE, listed.next()).await.unwrap().unwrap();
    desk.stage.admin.reset_calls().await.unwrap();
    desk.bytes(&id).await;
    assert_eq!(desk.stage.calls().await.reads, 1);
}

#[tokio::test]
async fn during_a_rest_of_an_hour_who_asks_is_told_to_wait_and_the_bridge_can_stop() {
    let desk = Desk::plain().await;
    let id = desk.add(&GisFile::generated("a.jpg", "image/jpeg", 5, 20_000)).await;
    desk.fault_download(Action::RateLimited { retry_after: 3600 }).await;
    desk.stage.admin.reset_calls().await.unwrap();
    for _ in 0..2 {
        let error = desk.fetch(&id).await.unwrap_err();
        assert!(matches!(error.class(), ErrorClass::Limited(_)), "{error}");
    }
    assert_eq!(desk.stage.calls().await.limited, 1, "it is asked once");
    desk.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), desk.service).await.unwrap().unwrap().unwrap();
}

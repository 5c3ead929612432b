//! The storage behind documents: signed addresses, raw bodies, refusals in XML, bytes of any size.

use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::{Method, RequestBuilder, Response};
use sandbox::calls::System;
use sandbox::clio::hand::{NewDocument, Upload};
use sandbox::faults::{Action, Fault};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::house::{House, error_of, options};

const ADDRESS: &str = "fields=id,etag,latest_document_version{uuid,put_url,put_headers,fully_uploaded}";

/// A house with a matter for documents; its own, or another test's.
pub(crate) struct Shelf<H = House> {
    pub(crate) house: H,
    pub(crate) matter: i64,
}

/// A document that was made and is to be uploaded.
pub(crate) struct Begun {
    pub(crate) id: i64,
    pub(crate) uuid: String,
    pub(crate) address: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Shelf {
    pub(crate) async fn open() -> Self {
        Self::of(House::open().await).await
    }

    pub(crate) async fn of(house: House) -> Self {
        let furniture = house.furnish().await;
        let matter = house.create("matters", &furniture.matter("E-23-00017")).await;
        Self { house, matter }
    }
}

impl<'a> Shelf<&'a House> {
    pub(crate) fn with(house: &'a House, matter: i64) -> Self {
        Self { house, matter }
    }
}

impl<H: std::borrow::Borrow<House>> Shelf<H> {
    fn house(&self) -> &House {
        self.house.borrow()
    }

    pub(crate) fn document(&self, name: &str) -> Value {
        json!({
            "name": name, "parent": {"id": self.matter, "type": "Matter"},
            "external_properties": [{"name": "GIS_ID", "value": "17"}],
        })
    }

    pub(crate) async fn begin(&self, data: &Value) -> Begun {
        let response = self.house().send(Method::POST, &format!("documents?{ADDRESS}"), data).await;
        assert_eq!(response.status(), 201);
        let made = response.json::<Value>().await.unwrap()["data"].clone();
        let version = &made["latest_document_version"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = version["put_headers"].as_array().unwrap();
        Begun {
            id: made["id"].as_i64().unwrap(),
            uuid: text(&version["uuid"]),
            address: text(&version["put_url"]),
            headers: headers.iter().map(|header| (text(&header["name"]), text(&header["value"]))).collect(),
        }
    }

    pub(crate) fn put(&self, begun: &Begun) -> RequestBuilder {
        let request = self.house().http.put(&begun.address);
        begun.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    pub(crate) async fn mark(&self, begun: &Begun) -> Response {
        let data = json!({"uuid": begun.uuid, "fully_uploaded": true});
        self.house().send(Method::PATCH, &format!("documents/{}", begun.id), &data).await
    }

    /// Makes a document and uploads it.
    pub(crate) async fn upload(&self, data: &Value, bytes: &[u8]) -> Begun {
        let begun = self.begin(data).await;
        assert_eq!(self.put(&begun).body(bytes.to_vec()).send().await.unwrap().status(), 200);
        assert_eq!(self.mark(&begun).await.status(), 200);
        begun
    }

    pub(crate) async fn download(&self, id: i64) -> Response {
        let path = format!("documents/{id}/download");
        let answer = self.house().request(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let address = answer.headers()["location"].to_str().unwrap().to_owned();
        self.house().http.get(address).send().await.unwrap()
    }
}

async fn refused(response: Response) -> (u16, String) {
    assert_eq!(response.headers()["content-type"], "application/xml");
    let status = response.status().as_u16();
    let xml = response.text().await.unwrap();
    let code = xml.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).unwrap().0;
    (status, code.to_owned())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn an_upload_takes_two_calls_of_clio_and_one_of_the_storage() {
    let shelf = Shelf::open().await;
    shelf.house.admin.reset_calls().await.unwrap();
    let begun = shelf.upload(&shelf.document("notice.pdf"), b"%PDF-1.7 notice").await;
    let calls = shelf.house.admin.calls().await.unwrap();
    assert_eq!((calls.clio.reads, calls.clio.writes), (0, 2));
    assert_eq!((calls.clio.storage.reads, calls.clio.storage.writes), (0, 1));
    let answer = shelf.download(begun.id).await;
    assert_eq!(answer.headers()["content-type"], "application/pdf");
    assert_eq!(answer.bytes().await.unwrap(), b"%PDF-1.7 notice"[..]);
    let calls = shelf.house.admin.calls().await.unwrap();
    assert_eq!((calls.clio.reads, calls.clio.storage.reads), (1, 1));
    assert_eq!(calls.clio.by_path["GET documents/{id}/download"], 1);
    assert!(calls.clio.by_path.keys().all(|path| !path.contains("storage")));
}

#[tokio::test]
async fn a_token_beside_the_signature_is_refused() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    let with_token = shelf.put(&begun).bearer_auth(&shelf.house.token).body("x").send().await.unwrap();
    assert_eq!(refused(with_token).await, refusal(400, "InvalidArgument"));
    assert_eq!(error_of(shelf.mark(&begun).await).await, (422, "UploadNotFoundError".to_owned()));
    let begun = shelf.upload(&shelf.document("notice.pdf"), b"x").await;
    let answer =
        shelf.house.request(Method::GET, &format!("documents/{}/download", begun.id)).send().await.unwrap();
    let address = answer.headers()["location"].to_str().unwrap();
    let with_token = shelf.house.http.get(address).bearer_auth(&shelf.house.token).send().await.unwrap();
    assert_eq!(refused(with_token).await, refusal(400, "InvalidArgument"));
}

#[tokio::test]
async fn an_address_ends_after_ten_minutes_and_is_never_renewed() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    shelf.house.admin.advance_clock(Duration::from_secs(590)).await.unwrap();
    assert_eq!(shelf.put(&begun).body("x").send().await.unwrap().status(), 200);
    shelf.house.admin.advance_clock(Duration::from_secs(15)).await.unwrap();
    let late = shelf.put(&begun).body("y").send().await.unwrap();
    assert_eq!(refused(late).await, refusal(403, "AccessDenied"));
    let shown = shelf.house.get(&format!("documents/{}?{ADDRESS}", begun.id)).await;
    assert_eq!(shown["data"]["latest_document_version"]["put_url"], json!(begun.address));
    assert_eq!(shelf.mark(&begun).await.status(), 200, "what came in time is there");
    assert_eq!(shelf.download(begun.id).await.text().await.unwrap(), "x");
}

#[tokio::test]
async fn a_person_can_end_an_address_before_its_time() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    shelf.house.admin.end_upload_addresses().await.unwrap();
    let late = shelf.put(&begun).body("y").send().await.unwrap();
    assert_eq!(refused(late).await, refusal(403, "AccessDenied"));
    let next = shelf.begin(&shelf.document("notice.pdf")).await;
    assert_eq!(shelf.put(&next).body("y").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_address_that_was_not_given_out_for_it_is_refused() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    let other = shelf.begin(&shelf.document("other.pdf")).await;
    let wrong =
        |address: String| Begun { address, headers: begun.headers.clone(), uuid: String::new(), id: 0 };
    let bare = begun.address.split_once('?').unwrap().0.to_owned();
    for (address, code) in [
        (bare, "AccessDenied"),
        (begun.address.replace(&begun.uuid, &other.uuid), "SignatureDoesNotMatch"),
        (begun.address.replace("X-Amz-Date=2", "X-Amz-Date=3"), "SignatureDoesNotMatch"),
        (format!("{}0", begun.address), "SignatureDoesNotMatch"),
    ] {
        let answer = shelf.put(&wrong(address.clone())).body("x").send().await.unwrap();
        assert_eq!(refused(answer).await, refusal(403, code), "{address}");
    }
    let read = shelf.house.http.get(&begun.address).send().await.unwrap();
    assert_eq!(refused(read).await, refusal(403, "SignatureDoesNotMatch"), "an address is for one verb");
    let post = shelf.house.http.post(&begun.address).body("x").send().await.unwrap();
    assert_eq!(refused(post).await, refusal(405, "MethodNotAllowed"));
}

#[tokio::test]
async fn an_upload_needs_the_headers_given_out_and_its_length() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    assert_eq!(begun.headers.len(), 2);
    for left_out in 0..2 {
        let mut headers = begun.headers.clone();
        headers.remove(left_out);
        let lacking =
            Begun { headers, address: begun.address.clone(), uuid: begun.uuid.clone(), id: begun.id };
        let answer = shelf.put(&lacking).body("x").send().await.unwrap();
        assert_eq!(refused(answer).await, refusal(403, "SignatureDoesNotMatch"));
    }
    let chunks = reqwest::Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("x")]));
    let chunked = shelf.put(&begun).body(chunks).send().await.unwrap();
    assert_eq!(refused(chunked).await, refusal(501, "NotImplemented"));
    assert_eq!(error_of(shelf.mark(&begun).await).await.0, 422);
}

#[tokio::test]
async fn a_body_is_stored_as_it_is_even_if_it_is_a_form() {
    let shelf = Shelf::open().await;
    let new = NewDocument {
        matter: shelf.matter,
        name: "photo.jpg".to_owned(),
        upload: Upload::form("photo.jpg", "image/jpeg", b"\xFF\xD8\xFF"),
        ..NewDocument::default()
    };
    let page = shelf.house.admin.add_document(&new).await.unwrap();
    let bytes = shelf.download(page.id).await.bytes().await.unwrap();
    let stored = page.current().unwrap();
    assert_eq!(stored.sha256.as_deref(), Some(hex::encode(Sha256::digest(&bytes)).as_str()));
    assert_eq!(stored.size, Some(bytes.len() as u64));
    assert!(bytes.starts_with(b"------WebKitFormBoundary") && bytes.windows(3).any(|w| w == b"\xFF\xD8\xFF"));
    let begun = shelf.begin(&shelf.document("empty.txt")).await;
    assert_eq!(shelf.put(&begun).header("content-length", "0").body("").send().await.unwrap().status(), 200);
    assert_eq!(shelf.mark(&begun).await.status(), 200);
    assert_eq!(shelf.download(begun.id).await.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_download_ends_with_its_address_and_needs_bytes_that_are_there() {
    let shelf = Shelf::open().await;
    let begun = shelf.upload(&shelf.document("notice.pdf"), b"x").await;
    let answer =
        shelf.house.request(Method::GET, &format!("documents/{}/download", begun.id)).send().await.unwrap();
    let address = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(shelf.house.http.get(&address).send().await.unwrap().status(), 200);
    shelf.house.admin.advance_clock(Duration::from_secs(605)).await.unwrap();
    let late = shelf.house.http.get(&address).send().await.unwrap();
    assert_eq!(refused(late).await, refusal(403, "AccessDenied"));
    let begun = shelf.begin(&shelf.document("stub.pdf")).await;
    for path in [format!("documents/{}/download", begun.id), "documents/1/download".to_owned()] {
        let answer = shelf.house.request(Method::GET, &path).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (404, ""), "{path}");
    }
}

/// One MiB that differs from all others.
fn piece(number: u64) -> Vec<u8> {
    let mut piece = vec![u8::try_from(number % 251).unwrap(); 1 << 20];
    piece[..8].copy_from_slice(&number.to_le_bytes());
    piece
}

/// The most memory that this process has had, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_long_upload_passes_without_being_held_in_memory() {
    const PIECES: u64 = 96;
    const SIZE: u64 = PIECES << 20;
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("long.bin")).await;
    let before = peak_memory();
    let body = reqwest::Body::wrap_stream(
        stream::iter(0..PIECES).map(|number| Ok::<_, std::io::Error>(piece(number))),
    );
    let answer = shelf.put(&begun).header("content-length", SIZE).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(shelf.mark(&begun).await.status(), 200);
    let (mut number, mut held) = (0, Vec::new());
    let mut arriving = shelf.download(begun.id).await.bytes_stream();
    while let Some(bytes) = arriving.next().await {
        held.extend_from_slice(&bytes.unwrap());
        while held.len() >= 1 << 20 {
            assert!(held.drain(..1 << 20).as_slice() == piece(number), "MiB {number} differs");
            number += 1;
        }
    }
    assert_eq!((number, held.len()), (PIECES, 0));
    // Other tests run beside this one, so the bound is a loose one.
    assert!(peak_memory() - before < SIZE / 1024 / 2, "{} KiB more", peak_memory() - before);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    shelf.house.admin.fault(&Fault::upload_breaks_off()).await.unwrap();
    shelf.put(&begun).body("first").send().await.unwrap_err();
    assert_eq!(error_of(shelf.mark(&begun).await).await, (422, "UploadNotFoundError".to_owned()));
    // A client that goes away in the midst of a long body, far beyond what the gateway holds.
    let size = 64_u64 << 20;
    let pieces = stream::iter(0..20).map(|number| match number {
        0..19 => Ok(vec![7_u8; 1 << 20]),
        _ => Err(std::io::Error::other("gone away")),
    });
    let body = reqwest::Body::wrap_stream(pieces);
    shelf.put(&begun).header("content-length", size).body(body).send().await.unwrap_err();
    assert_eq!(error_of(shelf.mark(&begun).await).await, (422, "UploadNotFoundError".to_owned()));
    assert_eq!(shelf.put(&begun).body("second").send().await.unwrap().status(), 200);
    assert_eq!(shelf.mark(&begun).await.status(), 200);
    assert_eq!(shelf.download(begun.id).await.text().await.unwrap(), "second");
}

#[tokio::test]
async fn faults_of_the_storage_strike_it_alone() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    for (fault, expected) in [
        (Fault::storage_error(), refusal(500, "InternalError")),
        (Fault::put_url_ended(), refusal(403, "AccessDenied")),
    ] {
        shelf.house.admin.fault(&fault).await.unwrap();
        assert_eq!(shelf.house.status_of_get("documents").await, 200);
        assert_eq!(refused(shelf.put(&begun).body("x").send().await.unwrap()).await, expected);
    }
    assert_eq!(shelf.put(&begun).body("x").send().await.unwrap().status(), 200);
    shelf.house.admin.fault(&Fault::upload_not_found()).await.unwrap();
    let renamed = json!({"name": "renamed.pdf"});
    let rename = shelf.house.send(Method::PATCH, &format!("documents/{}", begun.id), &renamed).await;
    assert_eq!(rename.status(), 200, "the fault strikes the mark alone");
    assert_eq!(error_of(shelf.mark(&begun).await).await, (422, "UploadNotFoundError".to_owned()));
    assert_eq!(shelf.mark(&begun).await.status(), 200);
    shelf.house.admin.fault(&Fault::new(System::Storage, Action::Truncate).method("GET")).await.unwrap();
    assert!(shelf.download(begun.id).await.bytes().await.is_err());
    assert_eq!(shelf.download(begun.id).await.bytes().await.unwrap(), b"x"[..]);
}

#[tokio::test]
async fn a_restart_finds_the_bytes_of_documents() {
    let folder = tempfile::tempdir().unwrap();
    let kept = || sandbox::SandboxOptions { keep: Some(folder.path().join("state.json")), ..options() };
    let shelf = Shelf::of(House::open_with(kept()).await).await;
    let begun = shelf.upload(&shelf.document("notice.pdf"), b"kept").await;
    let documents = shelf.house.admin.documents().await.unwrap();
    let Shelf { house, matter } = shelf;
    let House { sandbox, token, http, .. } = house;
    sandbox.stop().await.unwrap();
    let sandbox = sandbox::Sandbox::start(kept()).await.unwrap();
    let shelf = Shelf { house: House { admin: sandbox.admin(), sandbox, http, token }, matter };
    assert_eq!(shelf.house.admin.documents().await.unwrap(), documents);
    assert_eq!(shelf.download(begun.id).await.text().await.unwrap(), "kept");
}

//! Attachments over a connection: large ones, broken ones, and those that a restart must find again.

use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::header::CONTENT_TYPE;
use sandbox::calls::System;
use sandbox::client::{GisAttachment, GisFile};
use sandbox::faults::{Action, Fault};
use sandbox::{Sandbox, SandboxOptions};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::house::{House, options};

const MEGABYTE: u64 = 1024 * 1024;

impl House {
    fn attachment_url(&self, page: &GisAttachment) -> String {
        let service = self.sandbox.gis_service_url();
        format!("{service}/2/{}/attachments/{}", page.object_id, page.id)
    }

    /// Hangs a file on the first row and gives how it is told.
    async fn hang(&self, file: &GisFile) -> GisAttachment {
        let id = self.admin.add_gis_attachment(2, 1, file).await.unwrap();
        let pages = self.admin.gis_attachments(2).await.unwrap();
        pages.into_iter().find(|page| (page.object_id, page.id) == (1, id)).unwrap()
    }
}

/// What arrived of a download, and whether it ended as a whole one.
async fn downloaded(mut response: reqwest::Response) -> (Vec<u8>, bool) {
    let mut got = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => got.extend_from_slice(&chunk),
            Ok(None) => return (got, true),
            Err(_) => return (got, false),
        }
    }
}

#[tokio::test]
async fn a_download_can_break_off_in_the_middle_or_end_in_an_error() {
    let house = House::open().await;
    let page = house.hang(&GisFile::generated("plan.pdf", "application/pdf", 4, 3 * MEGABYTE)).await;
    let url = house.attachment_url(&page);
    let ask = async |action: Option<Action>| {
        if let Some(action) = action {
            house.admin.fault(&Fault::new(System::Gis, action).path("/attachments/")).await.unwrap();
        }
        house.http.get(&url).send().await.unwrap()
    };
    let (whole, ended) = downloaded(ask(None).await).await;
    assert!(ended && whole.len() as u64 == page.size);
    assert_eq!(hex::encode(Sha256::digest(&whole)), page.sha256);

    let cut = ask(Some(Action::Truncate)).await;
    assert_eq!(cut.content_length(), Some(page.size));
    let (got, ended) = downloaded(cut).await;
    assert!(!ended);
    assert_eq!(got, whole[..whole.len() / 2]);

    let error =
        Action::Error200 { code: 500, message: "Unable to process request.".to_owned(), details: vec![] };
    let instead: Value = ask(Some(error)).await.json().await.unwrap();
    assert_eq!(instead["error"]["code"], 500);

    let expired = Action::ErrorMidway { code: 498, message: "Invalid token.".to_owned() };
    let spoiled = ask(Some(expired)).await;
    assert_eq!((spoiled.status().as_u16(), spoiled.content_length()), (200, None));
    assert_eq!(spoiled.headers()[CONTENT_TYPE], "application/pdf");
    let (got, ended) = downloaded(spoiled).await;
    assert!(ended, "nothing in the frame tells");
    let (first, error) = got.split_at(whole.len() / 2);
    assert_eq!(first, &whole[..whole.len() / 2]);
    assert_eq!(serde_json::from_slice::<Value>(error).unwrap()["error"]["code"], 498);
    assert_eq!(house.admin.calls().await.unwrap().gis.by_path["GET 2/{id}/attachments/{id}"], 4);
}

/// A form whose file has so many bytes, sent as it is made.
fn form(size: u64) -> reqwest::Body {
    let head = "--limit\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"tape.bin\"\r\n\
                Content-Type: application/octet-stream\r\n\r\n";
    let piece = vec![7_u8; usize::try_from(MEGABYTE).unwrap()];
    let pieces = stream::iter(0..size / MEGABYTE).map(move |_| piece.clone());
    let parts = stream::iter([head.as_bytes().to_vec()]).chain(pieces).chain(stream::iter([
        b"\r\n--limit\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\njson\r\n--limit--\r\n".to_vec(),
    ]));
    reqwest::Body::wrap_stream(parts.map(Ok::<_, std::convert::Infallible>))
}

#[tokio::test]
async fn a_long_upload_passes_and_comes_back_as_it_was() {
    let house = House::open().await;
    let size = 40 * MEGABYTE;
    let url = format!("{}/2/1/addAttachment", house.sandbox.gis_service_url());
    let upload = || {
        let kind = "multipart/form-data; boundary=limit";
        house
            .http
            .post(&url)
            .header(CONTENT_TYPE, kind)
            .timeout(Duration::from_mins(2))
            .body(form(size))
            .send()
    };
    let answer: Value = upload().await.unwrap().json().await.unwrap();
    let id = answer["addAttachmentResult"]["objectId"].as_i64().unwrap();
    let page = house.admin.gis_attachments(2).await.unwrap();
    let page = page.into_iter().find(|page| page.id == id && page.object_id == 1).unwrap();
    assert_eq!((page.size, page.name.as_str()), (size, "tape.bin"));
    let (got, ended) = downloaded(house.http.get(house.attachment_url(&page)).send().await.unwrap()).await;
    assert!(ended && got.len() as u64 == size && got.iter().all(|byte| *byte == 7));
    assert_eq!(house.admin.gis_attachment_bytes(2, (1, id)).await.unwrap(), got);

    let fault = Fault::new(System::Gis, Action::AppliedThen504).path("addAttachment").body("tape.bin");
    house.admin.fault(&fault).await.unwrap();
    let before = house.admin.gis_attachments(2).await.unwrap().len();
    assert_eq!(upload().await.unwrap().status(), 504);
    assert_eq!(house.admin.gis_attachments(2).await.unwrap().len(), before + 1);
}

#[tokio::test]
async fn a_restart_finds_attachments_as_they_were_and_removes_what_nobody_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let kept = || SandboxOptions { keep: Some(file.clone()), ..options() };
    let house = House::open_with(kept()).await;
    let first = house.hang(&GisFile::of("a.txt", "text/plain", "first")).await;
    house
        .admin
        .replace_gis_attachment(2, (1, first.id), &GisFile::of("b.txt", "text/plain", "second"))
        .await
        .unwrap();
    let gone = house.hang(&GisFile::of("c.txt", "text/plain", "third")).await;
    house.admin.delete_gis_attachment(2, (1, gone.id)).await.unwrap();
    let before = house.admin.gis_attachments(2).await.unwrap();
    house.sandbox.stop().await.unwrap();

    let sandbox = Sandbox::start(kept()).await.unwrap();
    let admin = sandbox.admin();
    assert_eq!(admin.gis_attachments(2).await.unwrap(), before);
    assert_eq!(admin.gis_attachment_bytes(2, (1, first.id)).await.unwrap(), b"second");
    let files = std::fs::read_dir(folder.path().join("state.attachments")).unwrap().count();
    assert_eq!(files, 1);
    let added = admin.add_gis_attachment(2, 1, &GisFile::of("d.txt", "text/plain", "fourth")).await.unwrap();
    assert!(added > gone.id);
    assert_eq!(admin.gis_attachment_bytes(2, (1, first.id)).await.unwrap(), b"second");
}

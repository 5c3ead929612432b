//! What an earlier program left among the documents: stubs that were never marked as uploaded, files with a form around
//! them, two of one attachment.

use databridge_model::{OutcomeResult, PushRequest, Value};
use sandbox::clio::hand::{DocumentPage, Upload};
use serde_json::json;

use crate::attachments::{Attachments, DOCUMENTS, bridge, picture, push, replaced, see, with_key};
use crate::office::{Office, text};

async fn pages(office: &Office, matter: i64) -> Vec<DocumentPage> {
    let all = office.admin.documents().await.unwrap();
    let is_there = |document: &DocumentPage| document.matter == Some(matter) && document.deleted_at.is_none();
    all.into_iter().filter(is_there).collect()
}

#[tokio::test]
async fn a_stub_is_shown_without_content_and_a_migrate_finishes_it() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    for left in [Upload::None, Upload::unmarked(b"a form")] {
        let stub = office.admin.add_document(&with_key(matter.id, "31", left)).await.unwrap();
        let (records, notices) = office.listed(DOCUMENTS).await;
        let shown = &records[0];
        assert_eq!((records.len(), notices.len(), shown.id.clone()), (1, 0, stub.id.to_string()));
        assert_eq!(shown.key.as_ref().unwrap().as_str(), "31");
        assert_eq!(shown.parent, Some(matter.id.to_string()));
        assert_eq!(
            shown.fields,
            [
                ("GIS_ID", text("31")),
                ("name", text("31.png")),
                ("content_type", Value::Null),
                ("content", Value::Null)
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
        );
        let property = shown.handle["property"].clone();
        assert!(property.is_u64(), "{property}");
        let handle = json!({"etag": stub.etag, "matter": matter.id, "name": "31.png", "property": property,
            "version": 1, "unfinished": true});
        assert_eq!(shown.handle, handle);

        // A listing of everything has shown it, so it is paired, and its content is pushed.
        see(&system, matter.id).await;
        let done = push(&system, replaced(shown, 4), None).await;
        assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
        let now = pages(&office, matter.id).await;
        assert_eq!((now.len(), now[0].versions.len(), now[0].id), (1, 1, stub.id));
        assert_eq!(office.admin.document_bytes(stub.id).await.unwrap(), b"roof"[..]);
        office.admin.delete_document(stub.id).await.unwrap();
    }
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_stub_whose_address_has_ended_gets_a_new_version_in_a_migrate_too() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let stub = office.admin.add_document(&with_key(matter.id, "31", Upload::None)).await.unwrap();
    office.admin.end_upload_addresses().await.unwrap();
    let (records, _) = office.listed(DOCUMENTS).await;
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    let done = push(&system, replaced(&records[0], 4), None).await;
    assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
    assert_eq!(attachments.fetched(), 2, "the bytes were on their way when the address was refused");
    let now = pages(&office, matter.id).await;
    assert_eq!((now.len(), now[0].versions.len(), now[0].id), (1, 2, stub.id));
    assert_eq!(office.admin.document_bytes(stub.id).await.unwrap(), b"roof"[..]);
}

#[tokio::test]
async fn a_create_without_a_listing_finds_the_stub_and_finishes_it() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    for left in [Upload::None, Upload::unmarked(b"a form")] {
        let stub = office.admin.add_document(&with_key(matter.id, "31", left)).await.unwrap();
        let system = bridge(&office, &Attachments::of(b"roof"));
        let incremental = PushRequest { absent_in: None, ..picture(matter.id, 4) };
        let done = push(&system, incremental, None).await;
        assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
        assert_eq!(done.shown.unwrap().id, stub.id.to_string());
        assert_eq!(pages(&office, matter.id).await.len(), 1);
        assert_eq!(office.admin.document_bytes(stub.id).await.unwrap(), b"roof"[..]);
        office.admin.delete_document(stub.id).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_with_a_form_around_it_is_shown_with_its_size_and_replaced() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let form = Upload::form("roof.png", "image/png", b"roof");
    let corrupt = office.admin.add_document(&with_key(matter.id, "31", form)).await.unwrap();
    let size = corrupt.current().unwrap().size.unwrap();
    assert!(size > 4);
    let (records, _) = office.listed(DOCUMENTS).await;
    let shown = &records[0];
    assert_eq!(
        shown.fields,
        [
            ("GIS_ID", text("31")),
            ("name", text("31.png")),
            ("content_type", text("image/png")),
            ("content", text(&size.to_string())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    );
    assert_eq!(shown.handle["version"], 1);
    assert!(shown.handle.get("unfinished").is_none());
    let system = bridge(&office, &Attachments::of(b"roof"));
    see(&system, matter.id).await;
    let done = push(&system, replaced(shown, 4), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
    assert_eq!(done.shown.unwrap().fields["content"], text("4"));
    assert_eq!(office.admin.document_bytes(corrupt.id).await.unwrap(), b"roof"[..]);
    assert_eq!(pages(&office, matter.id).await[0].versions.len(), 2, "the corrupt one is still to be had");
}

#[tokio::test]
async fn two_documents_of_one_attachment_are_both_shown() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let mut ids = Vec::new();
    for left in [Upload::of(b"roof"), Upload::None] {
        ids.push(office.admin.add_document(&with_key(matter.id, "31", left)).await.unwrap().id.to_string());
    }
    let (records, _) = office.listed(DOCUMENTS).await;
    assert_eq!(records.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), ids);
    assert!(records.iter().all(|it| it.key.as_ref().is_some_and(|key| key.as_str() == "31")));
}

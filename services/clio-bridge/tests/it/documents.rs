//! Documents of our matters.

use databridge_bridge::{ContentError, Effect, OutsideSystem, Span, Start};
use databridge_model::{CollectionName, Failure, FailureClass, OutcomeResult, PushRequest, Value};
use sandbox::calls::System;
use sandbox::clio::hand::{DocumentEdit, NewDocument, Upload};
use sandbox::faults::{Action, Fault};

use crate::attachments::{Attachments, DOCUMENTS, attempt, bridge, picture, push, replaced, see, with_key};
use crate::office::{Office, delete, effect, text};

#[tokio::test]
async fn documents_that_came_from_elsewhere_are_shown_and_others_not() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let foreign = office.admin.matters().await.unwrap()[0].id;
    let full = office.admin.add_document(&with_key(matter.id, "31", Upload::of(b"roof"))).await.unwrap();
    let half = office.admin.add_document(&with_key(matter.id, "32", Upload::None)).await.unwrap();
    office.admin.add_document(&with_key(foreign, "33", Upload::of(b"PRIVILEGED"))).await.unwrap();
    let by_hand =
        NewDocument { external_properties: Vec::new(), ..with_key(matter.id, "34", Upload::of(b"x")) };
    office.admin.add_document(&by_hand).await.unwrap();
    let trashed = office.admin.add_document(&with_key(matter.id, "35", Upload::of(b"x"))).await.unwrap();
    office.admin.delete_document(trashed.id).await.unwrap();
    office.admin.reset_calls().await.unwrap();

    let (records, _) = office.listed(DOCUMENTS).await;
    assert_eq!(office.calls().await.reads, 2, "the page, and whose its matters are");
    let told: Vec<_> = records.iter().map(|it| (it.id.clone(), it.fields["content"].clone())).collect();
    assert_eq!(told, [(full.id.to_string(), text("4")), (half.id.to_string(), Value::Null)]);
    assert_eq!(records[0].key.as_ref().unwrap().as_str(), "31");
    assert_eq!(records[0].parent, Some(matter.id.to_string()));
    let documents = CollectionName::parse(DOCUMENTS).unwrap();
    let changed = office.system.start(&documents, &Span::Changed(None), None).await.unwrap();
    assert!(matches!(changed, Start::Nothing(_)), "an incremental listing looks for none: {changed:?}");
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_create_is_two_calls_and_an_upload_and_its_bytes_arrive() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let attachments = Attachments::of(&bytes);
    let system = bridge(&office, &attachments);
    see(&system, matter.id).await;
    office.admin.reset_calls().await.unwrap();
    let done = push(&system, picture(matter.id, bytes.len()), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
    let shown = done.shown.unwrap();
    assert_eq!(shown.fields["content"], text(&bytes.len().to_string()));
    assert_eq!(shown.fields["content_type"], text("image/png"));
    let calls = office.calls().await;
    assert_eq!((calls.writes, calls.reads, calls.storage.writes), (2, 0, 1));
    let id = shown.id.parse().unwrap();
    assert_eq!(office.admin.document_bytes(id).await.unwrap(), bytes);
    assert_eq!(attachments.fetched(), 1);
    assert_eq!(office.shown(DOCUMENTS, id).await, shown);
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_create_that_broke_off_anywhere_is_finished_and_made_once() {
    // At the POST, its answer lost; at the upload; at the mark, its answer lost or not sent at all.
    for (fault, result) in [
        (Fault::new(System::Clio, Action::DropAfter).method("POST"), OutcomeResult::Written),
        (Fault::new(System::Storage, Action::Drop), OutcomeResult::Written),
        (Fault::new(System::Clio, Action::Drop).method("PATCH"), OutcomeResult::Written),
        (Fault::new(System::Clio, Action::DropAfter).method("PATCH"), OutcomeResult::Exists),
    ] {
        let office = Office::ready().await;
        let matter = office.add("E-1", &[]).await;
        let attachments = Attachments::of(b"roof");
        let system = bridge(&office, &attachments);
        office.admin.fault(&fault).await.unwrap();
        let first = effect(&system, DOCUMENTS, picture(matter.id, 4), None).await;
        assert!(matches!(first, Effect::Failed(_)), "{fault:?}: {first:?}");
        let again = push(&system, picture(matter.id, 4), Some(attempt(&office))).await;
        assert_eq!(again.result, result, "{fault:?}: {}", again.error);
        let (records, _) = office.listed(DOCUMENTS).await;
        assert_eq!(records.len(), 1, "{fault:?}");
        assert_eq!(records[0].fields["content"], text("4"));
        let id = records[0].id.parse().unwrap();
        assert_eq!(office.admin.document_bytes(id).await.unwrap(), b"roof"[..]);
    }
}

#[tokio::test]
async fn a_half_made_document_whose_address_has_ended_gets_a_new_version() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let half = office.admin.add_document(&with_key(matter.id, "31", Upload::None)).await.unwrap();
    office.admin.end_upload_addresses().await.unwrap();
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    let unlisted = PushRequest { absent_in: None, ..picture(matter.id, 4) };
    let done = push(&system, unlisted, None).await;
    assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
    assert_eq!(done.shown.unwrap().id, half.id.to_string());
    assert_eq!(office.admin.document_bytes(half.id).await.unwrap(), b"roof"[..]);
}

#[tokio::test]
async fn a_create_finds_its_key_and_two_of_a_key_are_told() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let first = office.admin.add_document(&with_key(matter.id, "31", Upload::of(b"roof"))).await.unwrap();
    let system = bridge(&office, &Attachments::of(b"roof"));
    let unlisted = || PushRequest { absent_in: None, ..picture(matter.id, 4) };
    let found = push(&system, unlisted(), None).await;
    assert_eq!((found.result, found.calls), (OutcomeResult::Exists, 2));
    let second = office.admin.add_document(&with_key(matter.id, "31", Upload::of(b"roof"))).await.unwrap();
    let two = push(&system, unlisted(), None).await;
    assert_eq!((two.result, two.field.as_deref()), (OutcomeResult::Refused, Some("GIS_ID")));
    for id in [first.id, second.id] {
        assert!(two.error.contains(&id.to_string()), "{}", two.error);
    }
}

#[tokio::test]
async fn a_changed_content_is_a_new_version_and_costs_two_calls() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    let shown = push(&system, picture(matter.id, 4), None).await.shown.unwrap();
    let id = shown.id.parse().unwrap();
    attachments.now(b"a new roof");
    let mut change = replaced(&shown, 10);
    change.set.insert("name".to_owned(), text("new roof.png"));
    change.expect.insert("name".to_owned(), text("roof.png"));
    let done = push(&system, change, None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
    let written = done.shown.unwrap();
    assert_eq!((&written.fields["content"], &written.fields["name"]), (&text("10"), &text("new roof.png")));
    assert_eq!(office.admin.document_bytes(id).await.unwrap(), b"a new roof"[..]);
    let page = |all: Vec<sandbox::clio::hand::DocumentPage>| all.into_iter().find(|it| it.id == id).unwrap();
    assert_eq!(page(office.admin.documents().await.unwrap()).versions.len(), 2);
    let again = push(&system, replaced(&shown, 10), Some(attempt(&office))).await;
    assert_eq!((again.result, again.calls), (OutcomeResult::Unchanged, 2), "it was done before");

    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_new_version_that_broke_off_is_finished() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    let shown = push(&system, picture(matter.id, 4), None).await.shown.unwrap();
    attachments.now(b"a new roof");
    office.admin.fault(&Fault::new(System::Storage, Action::Drop)).await.unwrap();
    let first = effect(&system, DOCUMENTS, replaced(&shown, 10), None).await;
    assert!(matches!(first, Effect::Failed(_)), "{first:?}");
    let done = push(&system, replaced(&shown, 10), Some(attempt(&office))).await;
    assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
    assert_eq!(office.admin.document_bytes(shown.id.parse().unwrap()).await.unwrap(), b"a new roof"[..]);
}

#[tokio::test]
async fn bytes_that_are_not_those_told_are_not_marked_as_uploaded() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let attachments = Attachments::of(b"roof");
    *attachments.sha256.lock().unwrap() = Some("0".repeat(64));
    let system = bridge(&office, &attachments);
    let Effect::Failed(failure) = effect(&system, DOCUMENTS, picture(matter.id, 4), None).await else {
        panic!("not failed");
    };
    assert!(failure.message.contains("what was sent is not what was to be sent"), "{}", failure.message);
    let (records, _) = office.listed(DOCUMENTS).await;
    assert_eq!(records[0].fields["content"], Value::Null);
}

#[tokio::test]
async fn what_the_source_cannot_give_is_refused_or_waits_and_makes_nothing() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    let gone = Failure {
        class: FailureClass::Gone,
        message: "the map has no such attachment".to_owned(),
        field: None,
    };
    *attachments.error.lock().unwrap() = Some(ContentError::Refused(gone));
    let done = push(&system, picture(matter.id, 4), None).await;
    assert_eq!((done.result, done.field.as_deref()), (OutcomeResult::Refused, Some("content")));
    assert!(done.error.contains("no such attachment"), "{}", done.error);
    *attachments.error.lock().unwrap() = Some(ContentError::NobodyThere("gis".to_owned()));
    let waits = effect(&system, DOCUMENTS, picture(matter.id, 4), None).await;
    assert!(matches!(waits, Effect::NotNow(_)), "{waits:?}");
    let mut sourceless = picture(matter.id, 4);
    sourceless.source = None;
    let done = push(&system, sourceless, None).await;
    assert_eq!((done.result, done.field.as_deref()), (OutcomeResult::Refused, Some("content")));
    assert!(office.listed(DOCUMENTS).await.0.is_empty());
}

#[tokio::test]
async fn a_delete_puts_the_document_in_the_trash_and_a_locked_one_is_refused_with_words() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let page = office.admin.add_document(&with_key(matter.id, "31", Upload::of(b"roof"))).await.unwrap();
    let shown = office.shown(DOCUMENTS, page.id).await;
    let lock = |locked| DocumentEdit { locked: Some(locked), ..DocumentEdit::default() };
    office.admin.edit_document(page.id, &lock(true)).await.unwrap();
    let locked = office.push_to(DOCUMENTS, delete(&shown), None).await;
    assert_eq!(locked.result, OutcomeResult::Refused);
    assert!(locked.error.contains("unlock it in Clio"), "{}", locked.error);
    office.admin.edit_document(page.id, &lock(false)).await.unwrap();
    assert_eq!(office.push_to(DOCUMENTS, delete(&shown), None).await.result, OutcomeResult::Written);
    assert_eq!(office.push_to(DOCUMENTS, delete(&shown), None).await.result, OutcomeResult::Gone);
    let page = office.admin.documents().await.unwrap().into_iter().find(|it| it.id == page.id).unwrap();
    assert!(page.deleted_at.is_some());
}

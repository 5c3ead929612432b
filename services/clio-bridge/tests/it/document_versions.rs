//! A new content for a document that is there: two calls, and nobody's version is overwritten.

use std::time::Duration;

use databridge_bridge::{Effect, Shown};
use databridge_model::{OutcomeResult, Value};
use sandbox::calls::System;
use sandbox::clio::hand::{ClioSettings, DocumentEdit, DocumentPage, MatterEdit, Upload};
use sandbox::faults::{Action, Fault};

use crate::attachments::{Attachments, DOCUMENTS, attempt, bridge, picture, push, replaced, with_key};
use crate::office::{Office, effect, text};

/// An office with one document from the map, which shows `roof`.
async fn office_with_roof() -> (Office, std::sync::Arc<Attachments>, clio_bridge::ClioSystem, Shown) {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    let shown = push(&system, picture(matter.id, 4), None).await.shown.unwrap();
    attachments.now(b"a new roof");
    (office, attachments, system, shown)
}

fn id(shown: &Shown) -> i64 {
    shown.id.parse().unwrap()
}

async fn page(office: &Office, shown: &Shown) -> DocumentPage {
    office.admin.documents().await.unwrap().into_iter().find(|it| it.id == id(shown)).unwrap()
}

async fn by_hand(office: &Office, shown: &Shown, edit: DocumentEdit) {
    office.admin.edit_document(id(shown), &edit).await.unwrap();
}

fn upload(bytes: &[u8]) -> DocumentEdit {
    DocumentEdit { upload: Some(Upload::of(bytes)), ..DocumentEdit::default() }
}

/// Holds the mark of the new version until a person has done something.
async fn meddled_with(
    office: &Office,
    work: impl Future<Output = Effect>,
    meddle: impl AsyncFnOnce(&Office),
) -> Effect {
    let hold = Fault::new(System::Clio, Action::Hold).method("PATCH").path("documents");
    let hold = office.admin.fault(&hold).await.unwrap();
    let meddling = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while office.admin.fault_status(hold).await.unwrap().unwrap().waiting == 0 {
            assert!(tokio::time::Instant::now() < deadline, "nothing is marked");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        meddle(office).await;
        office.admin.release(hold).await.unwrap();
    };
    tokio::join!(work, meddling).0
}

#[tokio::test]
async fn a_persons_version_is_not_overwritten_and_the_next_push_goes_over_it_as_told() {
    let (office, _, system, shown) = office_with_roof().await;
    by_hand(&office, &shown, upload(b"by hand")).await;
    let stale = push(&system, replaced(&shown, 10), None).await;
    assert_eq!(stale.result, OutcomeResult::Stale, "{}", stale.error);
    assert_eq!(office.admin.document_bytes(id(&shown)).await.unwrap(), b"by hand"[..]);
    let seen = stale.shown.unwrap();
    assert_eq!(seen.fields["content"], text("7"), "what a person sees, and not the version begun");
    assert_eq!(office.shown(DOCUMENTS, id(&shown)).await, seen);
    // Decided again, it goes over the person's version: into the one that was begun.
    let done = push(&system, replaced(&seen, 10), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
    assert_eq!(office.admin.document_bytes(id(&shown)).await.unwrap(), b"a new roof"[..]);
    assert_eq!(page(&office, &shown).await.versions.len(), 3);
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_persons_version_that_comes_during_the_upload_stays_the_latest() {
    let (office, _, system, shown) = office_with_roof().await;
    let work = effect(&system, DOCUMENTS, replaced(&shown, 10), None);
    let effect = meddled_with(&office, work, async |office| {
        by_hand(office, &shown, upload(b"by hand")).await;
    })
    .await;
    let Effect::Settled { result: OutcomeResult::Stale, shown: Some(seen), .. } = effect else {
        panic!("{effect:?}")
    };
    assert_eq!(seen.fields["content"], text("7"));
    assert_eq!(office.admin.document_bytes(id(&shown)).await.unwrap(), b"by hand"[..]);
}

#[tokio::test]
async fn a_rename_during_the_upload_is_not_undone() {
    let (office, _, system, shown) = office_with_roof().await;
    let mut change = replaced(&shown, 10);
    change.set.insert("name".to_owned(), text("new roof.png"));
    change.expect.insert("name".to_owned(), text("roof.png"));
    let effect = meddled_with(&office, effect(&system, DOCUMENTS, change, None), async |office| {
        let edit = DocumentEdit { name: Some("by hand.png".to_owned()), ..DocumentEdit::default() };
        by_hand(office, &shown, edit).await;
    })
    .await;
    assert!(matches!(effect, Effect::Settled { result: OutcomeResult::Stale, .. }), "{effect:?}");
    assert_eq!(page(&office, &shown).await.name, "by hand.png");
}

#[tokio::test]
async fn a_touch_that_changes_nothing_of_it_does_not_stop_the_version() {
    let (office, _, system, shown) = office_with_roof().await;
    let work = effect(&system, DOCUMENTS, replaced(&shown, 10), None);
    let effect =
        meddled_with(&office, work, async |office| by_hand(office, &shown, DocumentEdit::default()).await)
            .await;
    let Effect::Settled { result: OutcomeResult::Written, calls, .. } = effect else { panic!("{effect:?}") };
    assert_eq!(calls, 4, "a look, and the mark again");
    assert_eq!(office.admin.document_bytes(id(&shown)).await.unwrap(), b"a new roof"[..]);
}

#[tokio::test]
async fn what_others_write_on_a_document_that_leaves_us_during_the_upload_is_not_shown() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    let work = effect(&system, DOCUMENTS, picture(matter.id, 4), None);
    let effect = meddled_with(&office, work, async |office| {
        let left = MatterEdit { group: Some("Family Law Team".to_owned()), ..MatterEdit::default() };
        office.admin.edit_matter(matter.id, &left).await.unwrap();
        let all = office.admin.documents().await.unwrap();
        let document = all.iter().find(|it| it.matter == Some(matter.id)).unwrap().id;
        let edit = DocumentEdit { name: Some("PRIVILEGED.png".to_owned()), ..DocumentEdit::default() };
        office.admin.edit_document(document, &edit).await.unwrap();
    })
    .await;
    assert!(
        matches!(effect, Effect::Failed(_)) && !format!("{effect:?}").contains("PRIVILEGED"),
        "{effect:?}"
    );
}

#[tokio::test]
async fn a_version_that_broke_off_hides_nothing_and_is_finished() {
    let (office, _, system, shown) = office_with_roof().await;
    office.admin.fault(&Fault::new(System::Storage, Action::Drop)).await.unwrap();
    let first = effect(&system, DOCUMENTS, replaced(&shown, 10), None).await;
    assert!(matches!(first, Effect::Failed(_)), "{first:?}");
    let (records, _) = office.listed(DOCUMENTS).await;
    assert_eq!(records[0].fields["content"], text("4"), "a person still sees the roof");
    let done = push(&system, replaced(&shown, 10), Some(attempt(&office))).await;
    assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
    assert_eq!(office.admin.document_bytes(id(&shown)).await.unwrap(), b"a new roof"[..]);
    assert_eq!(page(&office, &shown).await.versions.len(), 2);
}

#[tokio::test]
async fn a_version_that_somebody_finished_meanwhile_is_not_overwritten() {
    let (office, _, system, shown) = office_with_roof().await;
    office.admin.fault(&Fault::new(System::Storage, Action::Drop)).await.unwrap();
    effect(&system, DOCUMENTS, replaced(&shown, 10), None).await;
    let unfinished = office.shown(DOCUMENTS, id(&shown)).await;
    by_hand(&office, &shown, upload(b"by hand")).await;
    let stale = push(&system, replaced(&unfinished, 10), None).await;
    assert_eq!(stale.result, OutcomeResult::Stale, "{}", stale.error);
    assert_eq!(office.admin.document_bytes(id(&shown)).await.unwrap(), b"by hand"[..]);
}

#[tokio::test]
async fn a_document_whose_version_is_not_known_is_looked_at_first() {
    let (office, _, system, shown) = office_with_roof().await;
    let mut push_of_old = replaced(&shown, 10);
    push_of_old.target.as_mut().unwrap().handle.as_object_mut().unwrap().remove("version");
    let done = push(&system, push_of_old.clone(), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 4), "{}", done.error);
    by_hand(&office, &shown, upload(b"by hand")).await;
    let stale = push(&system, push_of_old, None).await;
    assert_eq!(stale.result, OutcomeResult::Stale);
}

#[tokio::test]
async fn where_a_version_has_no_number_before_it_is_whole_the_whole_ones_are_looked_at() {
    let (office, _, system, shown) = office_with_roof().await;
    let late = ClioSettings { numbers_uploaded_versions: Some(true), ..ClioSettings::default() };
    office.admin.clio_settings(&late).await.unwrap();
    let done = push(&system, replaced(&shown, 10), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 3), "{}", done.error);
    let written = done.shown.unwrap();
    by_hand(&office, &shown, upload(b"by hand")).await;
    let stale = push(&system, replaced(&written, 10), None).await;
    assert_eq!(stale.result, OutcomeResult::Stale, "{}", stale.error);
    assert_eq!(office.admin.document_bytes(id(&shown)).await.unwrap(), b"by hand"[..]);
    let seen = stale.shown.unwrap();
    assert_eq!(seen.fields["content"], text("7"));
    let done = push(&system, replaced(&seen, 10), None).await;
    assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
}

#[tokio::test]
async fn a_document_in_the_trash_is_gone_and_a_locked_one_is_refused_with_words() {
    let (office, _, system, shown) = office_with_roof().await;
    by_hand(&office, &shown, DocumentEdit { locked: Some(true), ..DocumentEdit::default() }).await;
    let locked = push(&system, replaced(&shown, 10), None).await;
    assert!(locked.result == OutcomeResult::Refused && locked.error.contains("locked"), "{}", locked.error);
    by_hand(&office, &shown, DocumentEdit { locked: Some(false), ..DocumentEdit::default() }).await;
    office.admin.delete_document(id(&shown)).await.unwrap();
    assert_eq!(push(&system, replaced(&shown, 10), None).await.result, OutcomeResult::Gone);
}

#[tokio::test]
async fn a_stub_has_no_content_and_what_lies_behind_an_unfinished_version_is_told() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    for (key, first, second) in [
        ("stub", Upload::None, None),
        ("stub twice", Upload::None, Some(Upload::None)),
        ("whole", Upload::of(b"roof"), Some(Upload::None)),
    ] {
        let document = office.admin.add_document(&with_key(matter.id, key, first)).await.unwrap();
        if second.is_some() {
            let edit = DocumentEdit { upload: second, ..DocumentEdit::default() };
            office.admin.edit_document(document.id, &edit).await.unwrap();
        }
    }
    let (records, _) = office.listed(DOCUMENTS).await;
    let told: Vec<_> = records.iter().map(|it| it.fields["content"].clone()).collect();
    assert_eq!(told, [Value::Null, Value::Null, text("4")]);
}

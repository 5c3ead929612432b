//! Notes on our matters.

use std::time::Duration;

use chrono::TimeDelta;
use databridge_bridge::{Earlier, Effect, OutsideSystem, Span, Start};
use databridge_model::{CollectionName, OutcomeResult, Value};
use sandbox::calls::System;
use sandbox::clio::hand::{NewNote, NoteEdit};
use sandbox::faults::{Action, Fault};

use crate::office::{Office, create_below, delete, push_id, text, update};

const NOTES: &str = "notes";

fn note(matter: i64, subject: &str, detail: &str) -> NewNote {
    NewNote { matter, subject: subject.to_owned(), detail: detail.to_owned(), ..NewNote::default() }
}

/// The attempt at the first push of the link, begun now.
fn first_attempt(office: &Office) -> Earlier {
    Earlier { push: push_id(1), begun: office.clock.now(), others: Vec::new() }
}

#[tokio::test]
async fn notes_of_our_matters_are_shown_as_plain_text_and_those_of_others_never() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let rich = NewNote { is_rich: true, ..note(matter.id, "Board up", "<div>a &amp; <b>b</b></div>") };
    let rich = office.admin.add_note(&rich).await.unwrap();
    office.admin.add_note(&note(matter.id, "Plain", "a < b")).await.unwrap();
    let foreign = office.admin.matters().await.unwrap()[0].id;
    office.admin.add_note(&note(foreign, "PRIVILEGED", "PRIVILEGED")).await.unwrap();

    let (records, notices) = office.listed(NOTES).await;
    assert_eq!((records.len(), notices.len()), (2, 0), "{records:?}");
    assert!(!format!("{records:?}").contains("PRIVILEGED"));
    assert_eq!(records[0].id, rich.id.to_string());
    assert_eq!(records[0].parent, Some(matter.id.to_string()));
    assert_eq!(records[0].fields["detail"], text("a & b"));
    assert_eq!(records[1].fields["detail"], text("a < b"));
    assert_eq!(office.calls().await.reads, 2, "the page, and whose its matters are");
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_listing_from_a_resting_place_shows_the_notes_that_changed() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let first = office.admin.add_note(&note(matter.id, "a", "a")).await.unwrap();
    office.admin.add_note(&note(matter.id, "b", "b")).await.unwrap();
    office.admin.advance_clock(Duration::from_secs(600)).await.unwrap();
    let since = office.admin.now().await.unwrap() - TimeDelta::minutes(3);
    let edit = NoteEdit { detail: Some("c".to_owned()), ..NoteEdit::default() };
    office.admin.edit_note(first.id, &edit).await.unwrap();
    let notes = CollectionName::parse(NOTES).unwrap();
    let Start::Listing(place) = office.system.start(&notes, &Span::Changed(Some(since)), None).await.unwrap()
    else {
        panic!("nothing");
    };
    let page = office.system.page(&notes, &place, 999).await.unwrap();
    assert_eq!(page.records.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [first.id.to_string()]);
}

#[tokio::test]
async fn a_create_is_one_call_and_marks_its_subject_where_nobody_sees_it() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    let values = [("subject", text("Board up")), ("detail", text("a < b")), ("date", text("2026-11-20"))];
    let done = office.push_to(NOTES, create_below(matter.id, &values), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 1), "{}", done.error);
    let shown = done.shown.unwrap();
    for (name, value) in &values {
        assert_eq!(&shown.fields[*name], value, "{name}");
    }
    let page =
        office.admin.notes().await.unwrap().into_iter().find(|it| it.matter == Some(matter.id)).unwrap();
    assert_eq!(page.subject.as_deref(), Some("Board up [DB litigation_notes.C-1.1]"));
    assert_eq!(office.shown(NOTES, page.id).await, shown, "what a write shows is what a pull shows");
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_create_that_may_have_been_done_is_found_by_its_mark() {
    for action in [Action::DropAfter, Action::AppliedThen504, Action::Truncate] {
        let office = Office::ready().await;
        let matter = office.add("E-1", &[]).await;
        let push = || create_below(matter.id, &[("subject", text("Board up")), ("detail", text("x"))]);
        let earlier = first_attempt(&office);
        office.admin.fault(&Fault::new(System::Clio, action.clone()).method("POST")).await.unwrap();
        assert!(matches!(office.effect_in(NOTES, push(), None).await, Effect::Failed(_)), "{action:?}");
        let again = office.push_to(NOTES, push(), Some(earlier.clone())).await;
        assert_eq!((again.result, again.calls), (OutcomeResult::Exists, 2), "{action:?}");

        // The link's next push finds what the one before it left in doubt.
        let next = databridge_model::PushRequest { push: Some(push_id(2)), ..push() };
        let found = office.push_to(NOTES, next.clone(), Some(earlier.clone())).await;
        assert_eq!(found.result, OutcomeResult::Exists);
        let long_ago = Earlier { push: push_id(2), others: vec![push_id(1)], ..earlier };
        assert_eq!(office.push_to(NOTES, next, Some(long_ago)).await.result, OutcomeResult::Exists);
        assert_eq!(office.listed(NOTES).await.0.len(), 1);
    }
}

#[tokio::test]
async fn a_create_that_was_not_done_is_done_after_the_look_up() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    office
        .admin
        .add_note(&note(matter.id, "Board up [DB litigation_notes.C-1.13]", "another"))
        .await
        .unwrap();
    let push = create_below(matter.id, &[("detail", text("x"))]);
    let earlier = first_attempt(&office);
    let done = office.push_to(NOTES, push, Some(earlier)).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
    assert_eq!(done.shown.unwrap().fields["subject"], Value::Null, "it had none but its mark");
}

#[tokio::test]
async fn a_create_without_parent_or_below_a_matter_that_is_gone_is_refused_with_the_field() {
    let office = Office::ready().await;
    let mut push = create_below(1, &[("detail", text("x"))]);
    push.parent = Some("999999".to_owned());
    let gone = office.push_to(NOTES, push.clone(), None).await;
    assert_eq!((gone.result, gone.field.as_deref()), (OutcomeResult::Refused, Some("parent")));
    push.parent = Some("../users/1".to_owned());
    let bad = office.push_to(NOTES, push.clone(), None).await;
    assert_eq!((bad.result, bad.field.as_deref(), bad.calls), (OutcomeResult::Refused, Some("parent"), 0));
    push.parent = None;
    let none = office.push_to(NOTES, push, None).await;
    assert_eq!((none.result, none.field.as_deref(), none.calls), (OutcomeResult::Refused, Some("parent"), 0));
}

#[tokio::test]
async fn a_note_on_a_matter_of_others_is_not_made() {
    let office = Office::ready().await;
    let foreign = office.admin.matters().await.unwrap()[0].id;
    let done = office.push_to(NOTES, create_below(foreign, &[("detail", text("x"))]), None).await;
    assert_eq!((done.result, done.field.as_deref()), (OutcomeResult::Refused, Some("parent")));
    assert!(!done.error.contains(&foreign.to_string()), "{}", done.error);
    assert_eq!(office.calls().await.writes, 0);
}

#[tokio::test]
async fn an_update_is_one_call_and_overwrites_nobodys_edit() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let page =
        office.admin.add_note(&NewNote { is_rich: true, ..note(matter.id, "a", "<b>x</b>") }).await.unwrap();
    let shown = office.shown(NOTES, page.id).await;
    let done = office.push_to(NOTES, update(&shown, &[("detail", text("1 < 2"))]), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 1), "{}", done.error);
    let written = done.shown.unwrap();
    assert_eq!(written.fields["detail"], text("1 < 2"));
    let unsettable =
        office.push_to(NOTES, update(&written, &[("created_at", text("2026-11-20T00:00:00Z"))]), None);
    let unsettable = unsettable.await;
    assert_eq!((unsettable.result, unsettable.calls), (OutcomeResult::Unchanged, 0));
    assert!(unsettable.parked["created_at"].contains("by itself"), "{:?}", unsettable.parked);

    let edit = NoteEdit { detail: Some("by hand".to_owned()), ..NoteEdit::default() };
    office.admin.edit_note(page.id, &edit).await.unwrap();
    let stale = office.push_to(NOTES, update(&written, &[("detail", text("3"))]), None).await;
    assert_eq!((stale.result, stale.calls), (OutcomeResult::Stale, 3));
    assert_eq!(stale.shown.unwrap().fields["detail"], text("by hand"));
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn an_update_that_may_have_been_done_is_looked_up() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let page = office.admin.add_note(&note(matter.id, "a", "x")).await.unwrap();
    let shown = office.shown(NOTES, page.id).await;
    let push = || update(&shown, &[("detail", text("y"))]);
    office.admin.fault(&Fault::new(System::Clio, Action::DropAfter).method("PATCH")).await.unwrap();
    assert!(matches!(office.effect_in(NOTES, push(), None).await, Effect::Failed(_)));
    let again = office.push_to(NOTES, push(), Some(first_attempt(&office))).await;
    assert_eq!((again.result, again.calls), (OutcomeResult::Unchanged, 2));
}

#[tokio::test]
async fn a_delete_removes_ours_and_what_is_not_there_is_gone() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let page = office.admin.add_note(&note(matter.id, "a", "x")).await.unwrap();
    let foreign = office.admin.matters().await.unwrap()[0].id;
    let foreign = office.admin.add_note(&note(foreign, "f", "f")).await.unwrap();
    let shown = office.shown(NOTES, page.id).await;
    assert_eq!(office.push_to(NOTES, delete(&shown), None).await.result, OutcomeResult::Written);
    let again = office.push_to(NOTES, delete(&shown), Some(first_attempt(&office))).await;
    assert_eq!(again.result, OutcomeResult::Gone);
    let mut of_others = delete(&shown);
    of_others.target.as_mut().unwrap().id = foreign.id.to_string();
    assert_eq!(office.push_to(NOTES, of_others, None).await.result, OutcomeResult::Gone);
    assert!(office.admin.notes().await.unwrap().iter().any(|it| it.id == foreign.id));
    assert!(office.shown(NOTES, foreign.id).await.deleted, "nothing of it is told");
}

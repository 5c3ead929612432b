//! Whose a note, an entry or a document is, Clio is asked each time before it is shown.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use databridge_bridge::{Earlier, OutsideSystem, Shown};
use databridge_http::ErrorClass;
use databridge_model::subject::Lane;
use databridge_model::{CollectionName, OutcomeResult, PushRequest};
use sandbox::calls::System;
use sandbox::clio::hand::{
    EntryEdit, MatterEdit, MatterPage, NewDocument, NewEntry, NewNote, NoteEdit, Property, Upload,
};
use sandbox::faults::{Action, Fault};
use serde_json::json;

use crate::office::{Office, create_below, delete, push_id, text, update};

const BELOW_MATTERS: [&str; 3] = ["notes", "calendar_entries", "documents"];
const PRIVILEGED: &str = "PRIVILEGED";

/// A note, an entry of our calendar and a document that came from elsewhere, of one matter.
async fn fill(office: &Office, matter: i64, words: &str) {
    let subject = words.to_owned();
    let note = NewNote { matter, subject: subject.clone(), detail: subject.clone(), ..NewNote::default() };
    office.admin.add_note(&note).await.unwrap();
    let now = office.admin.now().await.unwrap();
    let entry = NewEntry::new("NP Clinic Calendar", &subject, now, now + TimeDelta::hours(1)).on(matter);
    office.admin.add_calendar_entry(&entry).await.unwrap();
    let document = NewDocument {
        matter,
        name: subject,
        external_properties: vec![Property::new("GIS_ID", &matter.to_string())],
        upload: Upload::of(b"roof"),
        ..NewDocument::default()
    };
    office.admin.add_document(&document).await.unwrap();
}

async fn shown(office: &Office) -> BTreeMap<&'static str, Shown> {
    let mut all = BTreeMap::new();
    for collection in BELOW_MATTERS {
        let (mut records, notices) = office.listed(collection).await;
        assert_eq!((records.len(), notices.len()), (1, 0), "{collection}");
        all.insert(collection, records.remove(0));
    }
    all
}

/// Another team takes a matter over, and writes.
async fn leaves(office: &Office, matter: &MatterPage) {
    let edit = MatterEdit { group: Some("Family Law Team".to_owned()), ..MatterEdit::default() };
    office.admin.edit_matter(matter.id, &edit).await.unwrap();
}

async fn others_write(office: &Office, matter: i64) {
    for note in office.admin.notes().await.unwrap().iter().filter(|note| note.matter == Some(matter)) {
        let edit = NoteEdit { detail: Some(PRIVILEGED.to_owned()), ..NoteEdit::default() };
        office.admin.edit_note(note.id, &edit).await.unwrap();
    }
    for entry in office.admin.calendar_entries().await.unwrap().iter().filter(|it| it.matter == Some(matter))
    {
        let edit = EntryEdit { summary: Some(PRIVILEGED.to_owned()), ..EntryEdit::default() };
        office.admin.edit_calendar_entry(entry.id, &edit).await.unwrap();
    }
}

fn change(collection: &str, shown: &Shown) -> PushRequest {
    match collection {
        "notes" => update(shown, &[("detail", text("ours"))]),
        "calendar_entries" => update(shown, &[("summary", text("ours"))]),
        _ => update(shown, &[("name", text("ours"))]),
    }
}

#[tokio::test]
async fn what_hangs_on_a_matter_that_has_just_left_is_shown_no_more() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    fill(&office, matter.id, "ours").await;
    let before = shown(&office).await;
    leaves(&office, &matter).await;
    others_write(&office, matter.id).await;
    for (collection, record) in before {
        let (records, notices) = office.listed(collection).await;
        assert!(records.is_empty() && notices.is_empty(), "{collection}: {records:?} {notices:?}");
        assert!(office.shown(collection, &record.id).await.deleted, "{collection}");
        let in_doubt = Earlier { push: push_id(1), begun: office.clock.now(), others: Vec::new() };
        let mut of_a_person = change(collection, &record);
        of_a_person.target.as_mut().unwrap().handle = serde_json::Value::Null;
        for (push, earlier) in
            [(change(collection, &record), Some(in_doubt)), (delete(&record), None), (of_a_person, None)]
        {
            let done = office.push_to(collection, push, earlier).await;
            assert_eq!(done.result, OutcomeResult::Gone, "{collection}: {}", done.error);
            assert!(done.shown.is_none() && !done.error.contains(PRIVILEGED), "{collection}");
        }
    }
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_write_that_others_have_overtaken_shows_nothing_of_theirs() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    fill(&office, matter.id, "ours").await;
    let before = shown(&office).await;
    leaves(&office, &matter).await;
    others_write(&office, matter.id).await;
    for collection in ["notes", "calendar_entries"] {
        // The etag is not theirs any more, so it is refused, and the record is read.
        let done = office.push_to(collection, change(collection, &before[collection]), None).await;
        assert_eq!(done.result, OutcomeResult::Gone, "{collection}: {}", done.error);
        assert!(done.shown.is_none(), "{collection}: {:?}", done.shown);
    }
}

#[tokio::test]
async fn nothing_is_written_below_a_matter_that_left_two_minutes_ago() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    fill(&office, matter.id, "ours").await;
    let before = shown(&office).await;
    leaves(&office, &matter).await;
    office.clock.advance(TimeDelta::minutes(2));
    office.admin.reset_calls().await.unwrap();
    for (collection, record) in before {
        let done = office.push_to(collection, change(collection, &record), None).await;
        assert_eq!((done.result, done.calls), (OutcomeResult::Gone, 1), "{collection}: {}", done.error);
    }
    let made = office.push_to("notes", create_below(matter.id, &[("detail", text("x"))]), None).await;
    assert_eq!((made.result, made.field.as_deref()), (OutcomeResult::Refused, Some("parent")));
    assert_eq!(office.calls().await.writes, 0);
}

#[tokio::test]
async fn the_matters_of_a_page_are_one_call_and_an_empty_page_asks_for_none() {
    let office = Office::ready().await;
    let foreign = office.admin.matters().await.unwrap()[0].id;
    assert!(office.listed("calendar_entries").await.0.is_empty());
    assert_eq!(office.calls().await.reads, 1);
    for number in 0..3 {
        let matter = office.add(&format!("E-{number}"), &[]).await;
        fill(&office, matter.id, "ours").await;
    }
    fill(&office, foreign, PRIVILEGED).await;
    for collection in BELOW_MATTERS {
        office.admin.reset_calls().await.unwrap();
        let (records, _) = office.listed(collection).await;
        assert_eq!((records.len(), office.calls().await.reads), (3, 2), "{collection}");
        assert!(!format!("{records:?}").contains(PRIVILEGED), "{collection}");
    }
}

#[tokio::test]
async fn an_answer_about_other_matters_makes_nothing_foreign() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    fill(&office, matter.id, "ours").await;
    let note = shown(&office).await.remove("notes").unwrap();
    // As if Clio had not heeded the ids.
    let others = json!({"data": [{"id": matter.id + 1, "group": {"id": 1}, "practice_area": {"id": 1}}]});
    let action = Action::Status { status: 200, body: others.to_string(), headers: BTreeMap::new() };
    office.admin.fault(&Fault::new(System::Clio, action).method("GET").path("matters.json?")).await.unwrap();
    let notes = CollectionName::parse("notes").unwrap();
    let error = office.system.by_ids(&notes, std::slice::from_ref(&note.id)).await.unwrap_err();
    // For good would be too long: a push that meets it would end as refused.
    assert!(error.class == ErrorClass::Transient && error.message.contains("shows others"), "{error}");
    assert!(!office.shown("notes", &note.id).await.deleted, "the next answer is right");
}

#[tokio::test]
async fn writes_below_many_matters_share_their_questions() {
    let office = Office::ready().await;
    let mut matters = Vec::new();
    for number in 0..8 {
        matters.push(office.add(&format!("E-{number}"), &[]).await.id);
    }
    let write = async |office: &Office| {
        office.admin.reset_calls().await.unwrap();
        let creates = matters.iter().map(|matter| {
            let push = create_below(*matter, &[("detail", text("x"))]);
            office.push_to("notes", push, None)
        });
        let done = futures::future::join_all(creates).await;
        assert!(done.iter().all(|done| done.result == OutcomeResult::Written));
        let calls = office.calls().await;
        assert_eq!(calls.writes, 8);
        calls.reads
    };
    assert_eq!(write(&office).await, 1);
    assert_eq!(write(&office).await, 0, "they were ours a moment ago");
    office.clock.advance(TimeDelta::minutes(2));
    assert_eq!(write(&office).await, 1, "with one, those are asked for that are likely to follow");
}

#[tokio::test]
async fn a_migrate_writes_for_two_hours_below_a_matter_that_was_ours() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    let below = || create_below(matter.id, &[("detail", text("x"))]);
    office.clock.advance(TimeDelta::minutes(119));
    office.admin.reset_calls().await.unwrap();
    let made = office.push_in(Lane::Bulk, "notes", below()).await;
    assert_eq!(made.result, OutcomeResult::Written, "{}", made.error);
    let calls = office.calls().await;
    assert!(calls.writes == 1 && !calls.by_path.contains_key("GET matters"), "{calls:?}");
    leaves(&office, &matter).await;
    office.clock.advance(TimeDelta::minutes(1));
    let made = office.push_in(Lane::Bulk, "notes", below()).await;
    assert_eq!(made.result, OutcomeResult::Refused, "{}", made.error);
    assert_eq!(office.calls().await.writes, 1);
}

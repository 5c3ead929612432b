//! Entries of our calendar.

use chrono::{DateTime, TimeDelta, Utc};
use databridge_bridge::{Earlier, Effect, Shown};
use databridge_model::{OutcomeResult, PushRequest, Value};
use sandbox::calls::System;
use sandbox::clio::hand::{EntryEdit, NewEntry};
use sandbox::faults::{Action, Fault};

use crate::office::{Office, create_below, delete, push_id, text, update};

const ENTRIES: &str = "calendar_entries";
const CALENDAR: &str = "NP Clinic Calendar";

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

fn entry(matter: i64, start: &str) -> NewEntry {
    NewEntry::new(CALENDAR, "Court", at(start), at(start) + TimeDelta::hours(2)).on(matter)
}

fn court(matter: i64, start: &str) -> PushRequest {
    create_below(
        matter,
        &[("summary", text("Court")), ("start_at", text(start)), ("location", text("Room 2"))],
    )
}

fn attempt(office: &Office) -> Earlier {
    Earlier { push: push_id(1), begun: office.clock.now(), others: Vec::new() }
}

fn times(shown: &Shown) -> (Value, Value, Value) {
    let field = |name: &str| shown.fields.get(name).cloned().unwrap_or_default();
    (field("start_at"), field("end_at"), field("all_day"))
}

#[tokio::test]
async fn entries_of_our_calendar_and_matters_are_shown_and_one_that_recurs_is_told() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let foreign = office.admin.matters().await.unwrap()[0].id;
    let ours = office.admin.add_calendar_entry(&entry(matter.id, "2026-12-01T15:00:00Z")).await.unwrap();
    for other in [
        NewEntry { calendar: "np clinic calendar".to_owned(), ..entry(matter.id, "2026-12-01T15:00:00Z") },
        NewEntry { summary: "PRIVILEGED".to_owned(), ..entry(foreign, "2026-12-01T15:00:00Z") },
        NewEntry { matter: None, ..entry(foreign, "2026-12-01T15:00:00Z") },
    ] {
        office.admin.add_calendar_entry(&other).await.unwrap();
    }
    let recurring = NewEntry {
        recurrence_rule: Some("FREQ=WEEKLY".to_owned()),
        ..entry(matter.id, "2026-12-01T15:00:00Z")
    };
    let recurring = office.admin.add_calendar_entry(&recurring).await.unwrap();
    office.admin.reset_calls().await.unwrap();
    let (records, notices) = office.listed(ENTRIES).await;
    assert_eq!(office.calls().await.reads, 2, "the page, and whose its matters are");
    assert_eq!(records.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [ours.id.to_string()]);
    assert_eq!(records[0].parent, Some(matter.id.to_string()));
    assert_eq!(notices.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [Some(recurring.id.to_string())]);
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_list_without_order_goes_over_all_its_pages() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    for day in 1..8 {
        let start = format!("2026-12-0{day}T15:00:00Z");
        office.admin.add_calendar_entry(&entry(matter.id, &start)).await.unwrap();
    }
    let entries = databridge_model::CollectionName::parse(ENTRIES).unwrap();
    let mut place = clio_bridge::Place::default();
    let mut ids = std::collections::BTreeSet::new();
    loop {
        let page = databridge_bridge::OutsideSystem::page(&office.system, &entries, &place, 2).await.unwrap();
        ids.extend(page.records.into_iter().map(|it| it.id));
        match page.next {
            databridge_bridge::Next::More(next) => place = next,
            databridge_bridge::Next::End(_) => break,
        }
    }
    assert_eq!(ids.len(), 7);
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_create_is_one_call_and_as_long_as_the_office_says() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await;
    let done = office.push_to(ENTRIES, court(matter.id, "2026-12-01T15:00:00Z"), None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 1), "{}", done.error);
    let shown = done.shown.unwrap();
    assert_eq!(
        times(&shown),
        (text("2026-12-01T15:00:00Z"), text("2026-12-01T15:30:00Z"), Value::Bool(false))
    );
    assert_eq!(office.shown(ENTRIES, &shown.id).await, shown);
    let all_day =
        office.push_to(ENTRIES, court(matter.id, "2026-12-02T06:00:00Z"), None).await.shown.unwrap();
    assert_eq!(all_day.fields["all_day"], Value::Bool(true), "midnight in Chicago");
    assert_eq!(all_day.fields["start_at"], text("2026-12-02T06:00:00Z"));
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_create_that_may_have_been_done_is_found_by_its_property() {
    for action in [Action::DropAfter, Action::AppliedThen504, Action::Truncate] {
        let office = Office::ready().await;
        let matter = office.add("E-1", &[]).await;
        let push = || court(matter.id, "2026-12-01T15:00:00Z");
        office.admin.fault(&Fault::new(System::Clio, action.clone()).method("POST")).await.unwrap();
        assert!(matches!(office.effect_in(ENTRIES, push(), None).await, Effect::Failed(_)), "{action:?}");
        let again = office.push_to(ENTRIES, push(), Some(attempt(&office))).await;
        assert_eq!((again.result, again.calls), (OutcomeResult::Exists, 2), "{action:?}");
        let next = PushRequest { push: Some(push_id(2)), ..push() };
        assert_eq!(office.push_to(ENTRIES, next, Some(attempt(&office))).await.result, OutcomeResult::Exists);
        assert_eq!(office.listed(ENTRIES).await.0.len(), 1);
    }
}

#[tokio::test]
async fn an_entry_without_summary_or_start_is_refused_with_the_field_and_costs_nothing() {
    let office = Office::ready().await;
    for needed in ["summary", "start_at"] {
        let mut push = court(1, "2026-12-01T15:00:00Z");
        push.set.remove(needed);
        let done = office.push_to(ENTRIES, push, None).await;
        assert_eq!((done.result, done.calls), (OutcomeResult::Refused, 0));
        assert_eq!(done.field.as_deref(), Some(needed));
    }
}

#[tokio::test]
async fn a_new_start_takes_the_end_along_and_overwrites_nobodys_edit() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let page = office.admin.add_calendar_entry(&entry(matter.id, "2026-12-01T15:00:00Z")).await.unwrap();
    let shown = office.shown(ENTRIES, page.id).await;
    let push = update(&shown, &[("start_at", text("2026-12-08T16:00:00Z"))]);
    let done = office.push_to(ENTRIES, push, None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 1), "{}", done.error);
    let moved = done.shown.unwrap();
    assert_eq!(
        times(&moved),
        (text("2026-12-08T16:00:00Z"), text("2026-12-08T18:00:00Z"), Value::Bool(false))
    );
    let mut bare = update(&moved, &[("start_at", text("2026-12-09T16:00:00Z"))]);
    bare.target.as_mut().unwrap().handle = serde_json::Value::Null;
    let done = office.push_to(ENTRIES, bare, None).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 3), "{}", done.error);
    let moved = done.shown.unwrap();
    assert_eq!(moved.fields["end_at"], text("2026-12-09T18:00:00Z"));

    let edit = EntryEdit { start_at: Some(at("2026-12-09T15:00:00Z")), ..EntryEdit::default() };
    office.admin.edit_calendar_entry(page.id, &edit).await.unwrap();
    let stale = office.push_to(ENTRIES, update(&moved, &[("start_at", text("2026-12-10T16:00:00Z"))]), None);
    let stale = stale.await;
    assert_eq!(stale.result, OutcomeResult::Stale);
    assert_eq!(stale.shown.unwrap().fields["start_at"], text("2026-12-09T15:00:00Z"));
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_delete_removes_the_entry_and_what_is_not_there_is_gone() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let page = office.admin.add_calendar_entry(&entry(matter.id, "2026-12-01T15:00:00Z")).await.unwrap();
    let shown = office.shown(ENTRIES, page.id).await;
    assert_eq!(office.push_to(ENTRIES, delete(&shown), None).await.result, OutcomeResult::Written);
    assert_eq!(office.push_to(ENTRIES, delete(&shown), None).await.result, OutcomeResult::Gone);
    assert!(office.admin.calendar_entries().await.unwrap().iter().all(|it| it.id != page.id));
}

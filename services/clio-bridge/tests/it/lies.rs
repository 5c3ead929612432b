//! Answers that are not what they should be: lists that go in a circle, pages that come twice, filters that Clio does not
//! heed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_bridge::{Next, OutsideSystem, Shown};
use databridge_http::{CallError, ErrorClass};
use databridge_model::{CollectionName, OutcomeResult, PushRequest};
use sandbox::calls::System;
use sandbox::clio::hand::{NewEntry, NewNote, Upload};
use sandbox::faults::{Action, Fault};
use serde_json::json;

use crate::attachments::{Attachments, DOCUMENTS, attempt, bridge, picture, push, with_key};
use crate::office::{Office, create, create_below, text};

/// The records of each kind in an office of these tests.
const RECORDS: usize = 7;

const KINDS: [&str; 4] = ["matters", "notes", "calendar_entries", DOCUMENTS];

/// An office with some records of each kind.
async fn office() -> Office {
    let office = Office::ready().await;
    for number in 0..RECORDS {
        let matter = office.add(&format!("E-{number}"), &[]).await.id;
        let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
        let entry = NewEntry::new("NP Clinic Calendar", "Court", start, start + TimeDelta::hours(1));
        office.admin.add_calendar_entry(&entry.on(matter)).await.unwrap();
        office.admin.add_note(&NewNote { matter, ..NewNote::default() }).await.unwrap();
        let document = with_key(matter, &number.to_string(), Upload::of(b"roof"));
        office.admin.add_document(&document).await.unwrap();
    }
    office
}

/// What a listing by pages of two came to: the records as often as they were shown, and why it broke off.
async fn listed(
    office: &Office,
    kind: &str,
    from: &mut clio_bridge::Place,
) -> (Vec<Shown>, Option<CallError>) {
    let kind = CollectionName::parse(kind).unwrap();
    let mut records = Vec::new();
    for _ in 0..10 * RECORDS {
        let page = match office.system.page(&kind, from, 2).await {
            Ok(page) => page,
            Err(error) => return (records, Some(error)),
        };
        records.extend(page.records);
        match page.next {
            Next::More(next) => *from = next,
            Next::End(_) => return (records, None),
        }
    }
    panic!("the listing of {kind} has no end: {from:?}");
}

/// The listing breaks off with a word about the circle; once Clio tells the truth again it goes on, and lacks nothing.
async fn breaks_off_and_goes_on(office: &Office, lie: &Fault) {
    for kind in KINDS {
        let mut place = clio_bridge::Place::default();
        let lie = Fault { path: Some(format!("/{kind}.json?")), ..lie.clone() };
        office.admin.fault(&lie).await.unwrap();
        let (mut shown, error) = listed(office, kind, &mut place).await;
        let error = error.unwrap_or_else(|| panic!("{kind} is listed to an end: {lie:?} {shown:?}"));
        assert!(error.class == ErrorClass::Invalid && error.message.contains("circle"), "{kind}: {error}");
        office.admin.clear_faults().await.unwrap();
        let (rest, error) = listed(office, kind, &mut place).await;
        if let Some(error) = error {
            // It began anew just before, so a page of the circle may be the place where it stands: the next begins anew.
            assert!(error.message.contains("circle"), "{kind}: {error}");
            office.clock.advance(TimeDelta::minutes(11));
            let (again, error) = listed(office, kind, &mut place).await;
            assert!(error.is_none(), "{kind}: {error:?}");
            shown.extend(again);
        }
        shown.extend(rest);
        let ids: BTreeSet<_> = shown.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids.len(), RECORDS, "{kind}: {lie:?}");
    }
}

#[tokio::test]
async fn a_next_page_that_leads_back_ends_with_an_error_that_says_so_and_no_record_is_lost() {
    let office = office().await;
    let back = Fault::new(System::Clio, Action::NextLeadsBack).method("GET").forever();
    // Each page to itself; the second to the first; the third to the first.
    for skip in [0, 1, 2] {
        breaks_off_and_goes_on(&office, &back.clone().skip(skip)).await;
    }
}

#[tokio::test]
async fn a_page_that_repeats_ends_with_an_error_that_says_so_and_no_record_is_lost() {
    let office = office().await;
    let again = Fault::new(System::Clio, Action::SameAgain).method("GET").forever();
    for skip in [0, 1] {
        breaks_off_and_goes_on(&office, &again.clone().skip(skip)).await;
    }
}

/// A page of custom fields with one of them, and where the next is.
fn page_of(office: &Office, id: u64, next: &str) -> Action {
    let next = office.sandbox.url().join(next).unwrap();
    let field =
        json!({"id": id, "name": format!("Field {id}"), "parent_type": "Matter", "field_type": "text_line"});
    let list = json!({"data": [field], "meta": {"paging": {"next": next}}});
    Action::Status { status: 200, body: list.to_string(), headers: BTreeMap::new() }
}

#[tokio::test]
async fn custom_fields_in_a_circle_of_several_pages_end_a_bootstrap_with_words() {
    let office = Office::bare().await;
    let fields = |page: &str| format!("api/v4/custom_fields.json?page_token={page}");
    for (page, id, next) in [("page_token=b", 2, fields("a")), ("custom_fields.json", 1, fields("b"))] {
        let fault = Fault::new(System::Clio, page_of(&office, id, &next)).path(page).forever();
        office.admin.fault(&fault).await.unwrap();
    }
    let done = tokio::time::timeout(Duration::from_secs(20), office.bootstrap()).await;
    let error = done.expect("it goes round for ever").unwrap_err().to_string();
    assert!(error.contains("circle"), "{error}");
    let made: Vec<_> = office.admin.groups().await.unwrap().into_iter().map(|group| group.name).collect();
    assert!(!made.contains(&"NP Clinic".to_owned()), "nothing is made before everything is read: {made:?}");
}

fn ignoring(parameters: &[&str]) -> Fault {
    let parameters = parameters.iter().map(|it| (*it).to_owned()).collect();
    Fault::new(System::Clio, Action::Ignores { parameters }).method("GET").forever()
}

#[tokio::test]
async fn filters_that_clio_does_not_heed_show_nothing_of_others() {
    let office = office().await;
    let foreign = office.admin.matters().await.unwrap()[0].id;
    let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    let entry = NewEntry::new("NP Clinic Calendar", "PRIVILEGED", start, start + TimeDelta::hours(1));
    office.admin.add_calendar_entry(&entry.on(foreign)).await.unwrap();
    let note = NewNote { matter: foreign, detail: "PRIVILEGED".to_owned(), ..NewNote::default() };
    office.admin.add_note(&note).await.unwrap();
    office.admin.add_document(&with_key(foreign, "99", Upload::of(b"PRIVILEGED"))).await.unwrap();
    let names = ["group_id", "practice_area_id", "calendar_id", "external_property_name", "updated_since"];
    office.admin.fault(&ignoring(&names)).await.unwrap();
    for kind in KINDS {
        let (shown, error) = listed(&office, kind, &mut clio_bridge::Place::default()).await;
        assert!(error.is_none(), "{kind}: {error:?}");
        assert_eq!(shown.len(), RECORDS, "{kind}");
        assert!(!format!("{shown:?}").contains("PRIVILEGED"), "{kind}");
    }
    office.admin.clear_faults().await.unwrap();
    office.admin.fault(&ignoring(&["ids[]"])).await.unwrap();
    let asked = [office.admin.matters().await.unwrap().last().unwrap().id.to_string()];
    let page = office.system.by_ids(&Office::collection(), &asked).await.unwrap();
    let told: Vec<_> = page.records.iter().map(|it| (it.id.as_str(), it.deleted)).collect();
    assert_eq!(told, [(asked[0].as_str(), false)]);
}

#[tokio::test]
async fn an_answer_to_another_question_does_not_tell_that_a_record_is_gone() {
    let office = Office::ready().await;
    let (one, other) =
        (office.add("E-1", &[]).await.id.to_string(), office.add("E-2", &[]).await.id.to_string());
    // A cache of a proxy answers the second question with the answer to the first.
    let again = Fault::new(System::Clio, Action::SameAgain).path("matters.json").times(2);
    office.admin.fault(&again).await.unwrap();
    let asked =
        async |id: &String| office.system.by_ids(&Office::collection(), std::slice::from_ref(id)).await;
    assert_eq!(asked(&one).await.unwrap().records[0].id, one);
    let error = asked(&other).await.unwrap_err();
    assert!(
        error.class == ErrorClass::Transient && error.message.contains("whether these are gone"),
        "{error}"
    );
    let shown = asked(&other).await.unwrap().records.remove(0);
    assert!(!shown.deleted && shown.id == other, "{shown:?}");
    // Nor does a page of others.
    office.admin.fault(&ignoring(&["ids[]"])).await.unwrap();
    asked(&"999999".to_owned()).await.unwrap_err();
    office.admin.clear_faults().await.unwrap();
    assert!(asked(&"999999".to_owned()).await.unwrap().records[0].deleted);
}

#[tokio::test]
async fn what_was_made_twice_by_one_push_is_told_of_with_its_ids() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-1").await.id;
    let start = text("2026-12-01T15:00:00Z");
    for (kind, values) in [
        ("notes", vec![("detail", text("Boarded up"))]),
        ("calendar_entries", vec![("summary", text("Court")), ("start_at", start)]),
    ] {
        office.admin.fault(&Fault::new(System::Clio, Action::ApplyTwice).method("POST")).await.unwrap();
        let done = office.push_to(kind, create_below(matter, &values), None).await;
        assert_eq!(done.result, OutcomeResult::Written, "{kind}");
        let (records, notices) = office.listed(kind).await;
        let [one, other] = records.as_slice() else { panic!("{kind}: {records:?}") };
        assert!(one.made_by.is_some() && one.made_by == other.made_by, "{kind}: {records:?}");
        let [notice] = notices.as_slice() else { panic!("{kind}: {notices:?}") };
        let ids = format!("{} and {}", one.id, other.id);
        assert!(
            notice.reason.contains(&ids) && notice.reason.contains("more than once"),
            "{}",
            notice.reason
        );
    }
}

/// More records than a page holds.
const MORE_THAN_A_PAGE: usize = 201;

#[tokio::test]
async fn what_is_looked_up_is_found_behind_a_page_of_others_where_clio_does_not_heed_the_filter() {
    let office = Office::ready().await;
    let matter = office.add_seen("E-0").await.id;
    let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    for number in 1..=MORE_THAN_A_PAGE {
        office.add(&format!("E-{number}"), &[]).await;
        office.admin.add_document(&with_key(matter, &format!("A-{number}"), Upload::None)).await.unwrap();
        let entry = NewEntry::new("NP Clinic Calendar", "Court", start, start + TimeDelta::hours(1));
        office.admin.add_calendar_entry(&entry.on(matter)).await.unwrap();
    }
    let attachments = Attachments::of(b"roof");
    let system = bridge(&office, &attachments);
    crate::attachments::see(&system, matter).await;
    let earlier = attempt(&office);
    let court =
        create_below(matter, &[("summary", text("Court")), ("start_at", text("2026-12-01T15:00:00Z"))]);
    let first = office.push_to("calendar_entries", court.clone(), None).await;
    assert_eq!(first.result, OutcomeResult::Written);
    assert_eq!(push(&system, picture(matter, 4), None).await.result, OutcomeResult::Written);

    let warrant = office.found().await.custom_fields["Civil Warrant"].id;
    let by_warrant = format!("custom_field_values[{warrant}]");
    let fault = ignoring(&[&by_warrant, "external_property_name", "external_property_value"]);
    office.admin.fault(&fault).await.unwrap();
    let last = create(&format!("E-{MORE_THAN_A_PAGE}"), &[]);
    let found = office.push(PushRequest { absent_in: None, ..last }, false).await;
    assert_eq!(found.result, OutcomeResult::Exists, "{}", found.error);
    let found = office.push_to("calendar_entries", court, Some(earlier.clone())).await;
    assert_eq!(found.result, OutcomeResult::Exists, "{}", found.error);
    let found = push(&system, picture(matter, 4), Some(earlier)).await;
    assert_eq!(found.result, OutcomeResult::Exists, "{}", found.error);
}

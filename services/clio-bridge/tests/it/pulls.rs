//! Listings and look-ups.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use databridge_bridge::{Next, OutsideSystem, Span};
use databridge_model::Value;
use sandbox::calls::System;
use sandbox::clio::hand::{FieldEdit, MatterEdit, NewMatter};
use sandbox::faults::{Action, Fault};

use crate::office::{Office, STATUS, WARRANT, text};

#[tokio::test]
async fn a_listing_goes_over_all_pages_and_shows_our_matters_only() {
    let office = Office::ready().await;
    for number in 0..7 {
        office.add(&format!("E-{number}"), &[(STATUS, "Hearing"), ("GIS Object ID", "12")]).await;
    }
    let mut place = office.begin(Span::Whole, None).await;
    let (mut keys, mut pages) = (Vec::new(), 0);
    let rested = loop {
        let page = office.page(&place, 3).await;
        assert!(page.records.len() <= 3 && page.notices.is_empty(), "{page:?}");
        assert!(!format!("{page:?}").contains("PRIVILEGED"));
        for record in page.records {
            assert_eq!(record.fields[STATUS], text("Hearing"));
            assert_eq!(record.fields["GIS Object ID"], text("12"));
            assert_eq!(record.fields["Location"], Value::Null);
            keys.push(record.key.unwrap().as_str().to_owned());
        }
        pages += 1;
        match page.next {
            Next::More(next) => place = next,
            Next::End(rested) => break rested,
        }
    };
    assert_eq!((keys.len(), pages), (7, 3));
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 7);
    assert!(rested.next.is_none() && rested.since.is_none() && rested.watermark.is_some());
    assert_eq!(
        office.calls().await.reads,
        4,
        "a page is a call, and the custom fields are read once before them"
    );
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_listing_from_a_resting_place_shows_what_changed_and_costs_one_call() {
    let office = Office::ready().await;
    let first = office.add("E-1", &[]).await;
    office.add("E-2", &[]).await;
    let place = office.begin(Span::Whole, None).await;
    let Next::End(rested) = office.page(&place, 999).await.next else { panic!("more than a page") };

    office.admin.advance_clock(Duration::from_secs(300)).await.unwrap();
    office.admin.reset_calls().await.unwrap();
    let place = office.begin(Span::Changed(None), Some(&rested)).await;
    let Next::End(rested_again) = office.page(&place, 999).await.next else { panic!("more than a page") };
    office.admin.advance_clock(Duration::from_secs(300)).await.unwrap();
    office.admin.edit_matter(first.id, &MatterEdit::field(STATUS, Some("Stay"))).await.unwrap();
    let place = office.begin(Span::Changed(None), Some(&rested_again)).await;
    let changed = office.page(&place, 999).await;
    assert_eq!(changed.records.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), [first.id.to_string()]);
    assert_eq!(office.calls().await.reads, 2, "one call a listing");
    let moved = rested_again.watermark.unwrap() - rested.watermark.unwrap();
    assert!((TimeDelta::seconds(299)..TimeDelta::seconds(310)).contains(&moved), "by Clio's clock: {moved}");
}

#[tokio::test]
async fn an_edit_within_the_overlap_is_read_again() {
    let office = Office::ready().await;
    office.add("E-1", &[]).await;
    let place = office.begin(Span::Whole, None).await;
    let Next::End(rested) = office.page(&place, 999).await.next else { panic!("more than a page") };
    let place = office.begin(Span::Changed(None), Some(&rested)).await;
    assert_eq!(office.page(&place, 999).await.records.len(), 1);
}

#[tokio::test]
async fn an_edit_in_the_very_second_from_which_a_listing_reads_is_not_missed() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    // Clio tells of whole seconds, and compares with "after".
    for since in [matter.updated_at, matter.updated_at + TimeDelta::milliseconds(900)] {
        let place = office.begin(Span::Changed(Some(since)), None).await;
        assert_eq!(office.page(&place, 999).await.records.len(), 1, "{since}");
    }
}

#[tokio::test]
async fn no_list_is_asked_for_more_than_clio_gives_at_once() {
    let office = Office::ready().await;
    for number in 0..201 {
        office.add(&format!("E-{number}"), &[]).await;
    }
    let (records, _) = office.listed("matters").await;
    assert_eq!(records.len(), 201);
    let ids: Vec<_> = records.into_iter().map(|it| it.id).collect();
    assert_eq!(office.system.by_ids(&Office::collection(), &ids).await.unwrap().records.len(), 201);
    let traffic = office.admin.traffic().await.unwrap();
    let limits =
        traffic.iter().flat_map(|one| one.query.split('&')).filter_map(|it| it.strip_prefix("limit="));
    let limits: BTreeSet<u32> = limits.map(|it| it.parse().unwrap()).collect();
    assert_eq!(limits.last(), Some(&200), "{limits:?}");
    assert!(traffic.iter().all(|one| one.status < 400));
}

#[tokio::test]
async fn a_page_that_clio_does_not_know_any_more_begins_the_listing_anew_and_misses_nothing() {
    let office = Office::ready().await;
    for number in 0..4 {
        office.add(&format!("E-{number}"), &[]).await;
    }
    let place = office.begin(Span::Whole, None).await;
    let first = office.page(&place, 2).await;
    let Next::More(mut second) = first.next else { panic!("one page") };
    let watermark = second.watermark;
    second.next = second.next.map(|next| next.replace("page_token=", "page_token=old"));
    let anew = office.page(&second, 2).await;
    assert_eq!(anew.records.len(), 2);
    assert_eq!(anew.records[0].id, first.records[0].id);
    let Next::More(rest) = anew.next else { panic!("one page") };
    assert_eq!(rest.watermark, watermark, "what changed meanwhile is read again by the next listing");
    let Next::End(_) = office.page(&rest, 2).await.next else { panic!("more") };

    let again = second.clone();
    let again = clio_bridge::Place { begun_anew: Some(office.clock.now()), ..again };
    office.system.page(&Office::collection(), &again, 2).await.unwrap_err();
}

#[tokio::test]
async fn pages_that_go_in_a_circle_end_in_an_error() {
    let office = Office::ready().await;
    for number in 0..4 {
        office.add(&format!("E-{number}"), &[]).await;
    }
    let place = office.begin(Span::Whole, None).await;
    let Next::More(second) = office.page(&place, 2).await.next else { panic!("one page") };
    let circle =
        clio_bridge::Place { last_id: Some(u64::MAX), begun_anew: Some(office.clock.now()), ..second };
    let error = office.system.page(&Office::collection(), &circle, 2).await.unwrap_err();
    assert!(error.message.contains("circle"), "{error}");
}

#[tokio::test]
async fn by_ids_gives_ours_and_tells_the_others_as_gone() {
    let office = Office::ready().await;
    let ours = office.add("E-1", &[]).await;
    let foreign = office.admin.matters().await.unwrap()[0].id;
    let ids = [ours.id.to_string(), foreign.to_string(), "999999".to_owned(), "x/../y".to_owned()];
    let page = office.system.by_ids(&Office::collection(), &ids).await.unwrap();
    let told: Vec<_> = page.records.iter().map(|r| (r.id.as_str(), r.deleted)).collect();
    assert_eq!(told, [(ids[0].as_str(), false), (ids[1].as_str(), true), ("999999", true), ("x/../y", true)]);
    assert!(page.records.iter().filter(|r| r.deleted).all(|r| r.fields.is_empty()));
    assert_eq!(office.calls().await.reads, 1);
}

#[tokio::test]
async fn an_option_that_is_new_in_clio_is_learned_by_one_more_read() {
    let office = Office::ready().await;
    let edit = FieldEdit { add_option: Some("Appeal".to_owned()), ..FieldEdit::default() };
    office.admin.edit_custom_field(STATUS, &edit).await.unwrap();
    office.add("E-1", &[(STATUS, "Appeal")]).await;
    let place = office.begin(Span::Changed(Some(office.clock.now() - TimeDelta::days(1))), None).await;
    let page = office.page(&place, 999).await;
    assert_eq!(page.records[0].fields[STATUS], text("Appeal"));
    assert_eq!(office.calls().await.reads, 2);
    office.page(&place, 999).await;
    assert_eq!(office.calls().await.reads, 3, "it is known now");
}

#[tokio::test]
async fn an_option_that_clio_lists_no_more_leaves_out_its_field_and_is_told() {
    let office = Office::ready().await;
    office.add("E-1", &[(STATUS, "Stay"), ("Location", "here")]).await;
    let edit = FieldEdit { remove_option: Some("Stay".to_owned()), ..FieldEdit::default() };
    office.admin.edit_custom_field(STATUS, &edit).await.unwrap();
    office.clock.advance(TimeDelta::minutes(61));
    let place = office.begin(Span::Changed(Some(office.clock.now() - TimeDelta::days(1))), None).await;
    for reads in [3, 4] {
        let page = office.page(&place, 999).await;
        assert!(!page.records[0].fields.contains_key(STATUS));
        assert_eq!(page.records[0].fields["Location"], text("here"));
        assert_eq!(page.notices.len(), 1);
        assert_eq!(page.notices[0].field.as_deref(), Some(STATUS));
        assert_eq!(office.calls().await.reads, reads, "it is not looked for with each page");
    }
}

#[tokio::test]
async fn a_custom_field_deleted_a_while_ago_is_not_shown_as_empty_by_an_incremental_listing() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[("Location", "here"), (STATUS, "Stay")]).await;
    let place = office.begin(Span::Changed(Some(office.clock.now() - TimeDelta::days(1))), None).await;
    assert_eq!(office.page(&place, 999).await.records[0].fields["Location"], text("here"));
    let edit = FieldEdit { delete: true, ..FieldEdit::default() };
    office.admin.edit_custom_field("Location", &edit).await.unwrap();
    office.clock.advance(TimeDelta::seconds(61));
    let shown = office.page(&place, 999).await.records.remove(0);
    assert!(!shown.fields.contains_key("Location"), "{shown:?}");
    assert_eq!(shown.fields["Defendent"], Value::Null, "what is empty is shown so");
    let shown = office.pull(matter.id).await;
    assert!(!shown.fields.contains_key("Location"), "{shown:?}");
}

#[tokio::test]
async fn a_custom_field_deleted_in_clio_is_told_and_not_shown_as_empty() {
    let office = Office::ready().await;
    office.add("E-1", &[("Location", "here")]).await;
    let edit = FieldEdit { delete: true, ..FieldEdit::default() };
    office.admin.edit_custom_field("Location", &edit).await.unwrap();
    // By a listing of everything a minute later, not only by the hour.
    office.clock.advance(TimeDelta::seconds(61));
    let place = office.begin(Span::Whole, None).await;
    let page = office.page(&place, 999).await;
    assert!(!page.records[0].fields.contains_key("Location"));
    assert!(page.notices[0].reason.contains("Clio has no custom field \"Location\""), "{:?}", page.notices);

    office.admin.edit_custom_field(WARRANT, &edit).await.unwrap();
    office.clock.advance(TimeDelta::seconds(61));
    let error = office.system.page(&Office::collection(), &place, 999).await.unwrap_err();
    assert!(error.message.contains("Civil Warrant"), "without its key nothing can be paired: {error}");
}

#[tokio::test]
async fn custom_fields_are_read_again_hourly() {
    let office = Office::ready().await;
    let place = clio_bridge::Place { since: Some(office.clock.now()), ..clio_bridge::Place::default() };
    office.page(&place, 999).await;
    office.clock.advance(TimeDelta::minutes(59));
    office.page(&place, 999).await;
    assert_eq!(office.calls().await.reads, 2);
    office.clock.advance(TimeDelta::minutes(2));
    office.page(&place, 999).await;
    office.page(&place, 999).await;
    assert_eq!(office.calls().await.reads, 5);
}

#[tokio::test]
async fn a_matter_without_key_comes_without_one() {
    let office = Office::ready().await;
    let matter = NewMatter {
        client: "NP Clinic Client".to_owned(),
        description: "by hand".to_owned(),
        group: Some("NP Clinic".to_owned()),
        practice_area: Some("Neighborhood Preservation".to_owned()),
        ..NewMatter::default()
    };
    office.admin.add_matter(&matter).await.unwrap();
    let place = office.begin(Span::Whole, None).await;
    let page = office.page(&place, 999).await;
    assert_eq!((page.records.len(), page.records[0].key.as_ref()), (1, None));
}

#[tokio::test]
async fn faults_of_the_moment_are_got_over() {
    for action in [
        Action::Status { status: 503, body: String::new(), headers: [].into() },
        Action::Html,
        Action::Truncate,
        Action::Drop,
    ] {
        let office = Office::ready().await;
        office.add("E-1", &[]).await;
        office.admin.fault(&Fault::new(System::Clio, action.clone()).path("matters").times(2)).await.unwrap();
        let place = office.begin(Span::Whole, None).await;
        assert_eq!(office.page(&place, 999).await.records.len(), 1, "{action:?}");
    }
}

#[tokio::test]
async fn a_429_closes_the_gate_and_is_waited_out() {
    let office = Office::ready().await;
    office.admin.fault(&Fault::new(System::Clio, Action::RateLimited { retry_after: 2 })).await.unwrap();
    let started = std::time::Instant::now();
    let place = office.begin(Span::Whole, None).await;
    office.page(&place, 999).await;
    assert!(started.elapsed() >= Duration::from_secs(2));
}

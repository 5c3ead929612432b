use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use databridge_bridge::{Next, OutsideSystem, Shown, Span, Start};
use databridge_http::ErrorClass;
use databridge_model::{CollectionName, Key};
use gis_bridge::Place;
use sandbox::GisOptions;
use sandbox::city::City;
use sandbox::client::{GisEdit, GisFile};
use sandbox::faults::Action;
use sandbox::gis::GisAuth;
use serde_json::json;

use crate::stage::{LAYER, Stage, object_id, result, task};

/// A city of so many litigations with so many attachments.
fn city(litigations: usize, attachments: usize) -> GisOptions {
    GisOptions::of_city(City { attachments, ..City::new(litigations, 7) })
}

async fn stage(litigations: usize, attachments: usize) -> Stage {
    Stage::of(city(litigations, attachments), &[]).await.looking_at("attachments")
}

async fn whole(stage: &Stage) -> (Vec<Shown>, Place) {
    let (pages, rest) = stage.listed(Span::Whole, None, 999).await;
    (pages.into_iter().flat_map(|page| page.records).collect(), rest)
}

/// What the sandbox has, as the bridge would tell it.
async fn there(stage: &Stage) -> BTreeSet<String> {
    let all = stage.admin.gis_attachments(LAYER).await.unwrap();
    all.iter().map(|one| format!("{}/{}", one.object_id, one.id)).collect()
}

fn ids(records: &[Shown]) -> BTreeSet<String> {
    records.iter().map(|record| record.id.clone()).collect()
}

fn photo(seed: u64) -> GisFile {
    GisFile::generated("court photo.jpg", "image/jpeg", seed, 4_321)
}

#[tokio::test]
async fn what_hangs_on_rows_comes_just_after_them() {
    let stage = stage(1, 0).await;
    let names: Vec<String> = stage.system.collections().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["active_litigations", "attachments", "litigation_history"]);
    assert!(!stage.system.in_batches(&stage.collection));
}

#[tokio::test]
async fn a_whole_listing_of_a_thousand_rows_costs_the_page_and_two_calls() {
    let stage = stage(1000, 600).await;
    stage.admin.reset_calls().await.unwrap();
    let (records, _) = whole(&stage).await;
    assert_eq!(stage.calls().await.reads, 3, "the layer's page, the rows, their attachments");
    assert_eq!(records.len(), 600);
    assert_eq!(ids(&records), there(&stage).await);
}

#[tokio::test]
async fn just_after_the_rows_it_costs_one_call() {
    let stage = stage(1000, 600).await.looking_at("active_litigations");
    stage.listed(Span::Whole, None, 999).await;
    let stage = stage.looking_at("attachments");
    stage.admin.reset_calls().await.unwrap();
    let (records, rest) = whole(&stage).await;
    assert_eq!(stage.calls().await.reads, 1, "the page and the rows are known");
    assert_eq!(ids(&records), there(&stage).await);
    let id = stage.admin.add_gis_attachment(LAYER, 1000, &photo(1)).await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    let records: Vec<_> = pages.into_iter().flat_map(|page| page.records).collect();
    assert!(ids(&records).contains(&format!("1000/{id}")), "what came after is found by the next listing");
}

#[tokio::test]
async fn a_listing_after_the_first_asks_for_as_many_rows_as_one_answer_holds() {
    let gis = GisOptions { max_record_count: 100, ..city(300, 400) };
    let stage = Stage::of(gis, &[]).await.looking_at("attachments");
    let (first, _) = whole(&stage).await;
    assert_eq!(ids(&first), there(&stage).await);
    // The answer with this row is then cut once, and asked for in parts.
    for seed in 0..20 {
        stage.admin.add_gis_attachment(LAYER, 3, &photo(seed)).await.unwrap();
    }
    whole(&stage).await;
    stage.admin.reset_calls().await.unwrap();
    let (again, _) = whole(&stage).await;
    assert_eq!(ids(&again), there(&stage).await);
    // The page, the rows, and 420 attachments by fewer than 100 at a time: 4.2 answers at least.
    assert!(stage.calls().await.reads <= 2 + 5, "{:?}", stage.calls().await.by_path);
}

#[tokio::test]
async fn an_attachment_shows_its_row_name_type_and_size() {
    let stage = stage(3, 0).await;
    let id = stage.admin.add_gis_attachment(LAYER, 2, &photo(1)).await.unwrap();
    let (records, _) = whole(&stage).await;
    let shown = &records[0];
    assert_eq!(
        (shown.id.as_str(), shown.parent.as_deref().map(object_id)),
        (format!("2/{id}").as_str(), Some(2))
    );
    assert_eq!(shown.parent, Some(stage.looking_at("active_litigations").by_id(2).await.id));
    assert_eq!(shown.key, Key::parse(&id.to_string()));
    assert_eq!(
        serde_json::to_value(&shown.fields).unwrap(),
        json!({"id": id.to_string(), "name": "court photo.jpg", "content_type": "image/jpeg", "content": "4321"})
    );
    assert!(shown.handle.is_null());
}

#[tokio::test]
async fn a_cycle_in_which_nothing_changed_costs_one_call_for_the_layer_and_its_attachments() {
    let stage = stage(50, 30).await.looking_at("active_litigations");
    let (_, rows_rest) = stage.listed(Span::Whole, None, 999).await;
    let stage = stage.looking_at("attachments");
    let (_, rest) = stage.listed(Span::Whole, None, 999).await;
    stage.admin.reset_calls().await.unwrap();
    for _ in 0..3 {
        let rows = CollectionName::parse("active_litigations").unwrap();
        let of_rows = stage.system.start(&rows, &Span::Changed(None), Some(&rows_rest)).await.unwrap();
        assert!(matches!(of_rows, Start::Nothing(_)));
        assert!(matches!(stage.start(Span::Changed(None), Some(&rest)).await, Start::Nothing(_)));
    }
    assert_eq!(stage.calls().await.reads, 3);
}

#[tokio::test]
async fn a_look_at_the_layer_serves_its_attachments_once() {
    let stage = stage(5, 0).await.looking_at("active_litigations");
    stage.listed(Span::Whole, None, 999).await;
    let stage = stage.looking_at("attachments");
    let (_, rest) = stage.listed(Span::Whole, None, 999).await;
    stage.admin.add_gis_attachment(LAYER, 2, &photo(1)).await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert_eq!(pages.len(), 1, "the layer is looked at again though it was just now");
    assert_eq!(pages[0].records.len(), 1);
}

#[tokio::test]
async fn a_whole_listing_just_after_that_of_the_rows_costs_a_call_however_long_that_took() {
    let mut stage = stage(50, 30).await;
    for (minutes, calls) in [(9, 1), (10, 3)] {
        stage = stage.looking_at("active_litigations");
        stage.listed(Span::Whole, None, 999).await;
        stage.clock.advance(TimeDelta::minutes(minutes));
        stage.admin.reset_calls().await.unwrap();
        stage = stage.looking_at("attachments");
        assert_eq!(ids(&whole(&stage).await.0), there(&stage).await);
        assert_eq!(stage.calls().await.reads, calls, "after {minutes} minutes");
    }
}

#[tokio::test]
async fn an_attachment_that_is_added_comes_with_the_next_listing_at_two_calls_and_the_page() {
    let stage = stage(1000, 600).await;
    let (_, rest) = whole(&stage).await;
    let id = stage.admin.add_gis_attachment(LAYER, 1000, &photo(1)).await.unwrap();
    stage.admin.reset_calls().await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert_eq!(stage.calls().await.reads, 3);
    let records: Vec<_> = pages.into_iter().flat_map(|page| page.records).collect();
    assert!(ids(&records).contains(&format!("1000/{id}")));
    assert!(
        records.iter().all(|record| record.parent.as_deref().map(object_id) == Some(1000)),
        "of that row only"
    );
}

#[tokio::test]
async fn a_content_that_is_replaced_shows_another_tag() {
    let stage = stage(3, 0).await;
    let id = stage.admin.add_gis_attachment(LAYER, 2, &photo(1)).await.unwrap();
    let (_, rest) = whole(&stage).await;
    let other = GisFile::of("scan.pdf", "application/pdf", "%PDF-");
    stage.admin.replace_gis_attachment(LAYER, (2, id), &other).await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    let fields = serde_json::to_value(&pages[0].records[0].fields).unwrap();
    assert_eq!((&fields["content"], &fields["id"]), (&json!("5"), &json!(id.to_string())));
}

#[tokio::test]
async fn what_is_taken_off_its_row_is_lacking_in_a_whole_listing_only() {
    let stage = stage(3, 0).await;
    let first = stage.admin.add_gis_attachment(LAYER, 2, &photo(1)).await.unwrap();
    let (records, rest) = whole(&stage).await;
    assert_eq!(records.len(), 1);
    stage.admin.delete_gis_attachment(LAYER, (2, first)).await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert!(pages.iter().all(|page| page.records.is_empty()));
    assert!(whole(&stage).await.0.is_empty());
}

#[tokio::test]
async fn an_answer_that_was_cut_in_silence_is_asked_for_in_parts() {
    for limit in [10, 40, 100] {
        let options = GisOptions { max_record_count: limit, ..city(300, 400) };
        let stage = Stage::of(options, &[]).await.looking_at("attachments");
        let (records, _) = whole(&stage).await;
        assert_eq!(records.len(), 400, "with the limit {limit}");
        assert_eq!(ids(&records), there(&stage).await);
    }
}

#[tokio::test]
async fn many_attachments_cost_no_more_than_twice_what_their_number_asks_for() {
    let options = GisOptions { max_record_count: 200, ..city(1000, 1900) };
    let stage = Stage::of(options, &[]).await.looking_at("attachments");
    stage.admin.reset_calls().await.unwrap();
    let (records, _) = whole(&stage).await;
    let calls = stage.calls().await.reads - 1;
    assert_eq!(ids(&records), there(&stage).await);
    assert!(calls <= 2 * 1900 / 200, "{calls} calls");
}

#[tokio::test]
async fn a_row_with_more_attachments_than_an_answer_holds_is_listed_by_itself() {
    let options = GisOptions { max_record_count: 5, ..city(4, 0) };
    let stage = Stage::of(options, &[]).await.looking_at("attachments");
    for seed in 0..12 {
        stage.admin.add_gis_attachment(LAYER, 3, &photo(seed)).await.unwrap();
    }
    let (records, _) = whole(&stage).await;
    assert_eq!(records.len(), 12);
}

#[tokio::test]
async fn where_many_rows_cannot_be_asked_for_at_once_each_is_asked_for_and_a_person_is_told() {
    let stage = stage(30, 20).await;
    stage.admin.layer_settings(LAYER, json!({"query_attachments": false})).await.unwrap();
    stage.admin.reset_calls().await.unwrap();
    let (pages, _) = stage.listed(Span::Whole, None, 999).await;
    assert_eq!(
        stage.calls().await.reads,
        2 + 30 + 1,
        "a call for each row, and one for the GlobalIDs of all"
    );
    assert!(pages[0].notices[0].reason.contains("supportsQueryAttachments"));
    let records: Vec<_> = pages.into_iter().flat_map(|page| page.records).collect();
    assert_eq!(ids(&records), there(&stage).await);
}

#[tokio::test]
async fn a_layer_that_has_lost_its_attachments_breaks_the_listing_off() {
    let stage = stage(3, 2).await;
    stage.admin.layer_settings(LAYER, json!({"attachments": false})).await.unwrap();
    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    let error = stage.system.page(&stage.collection, &place, 999).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Invalid);
    assert!(error.message.contains("turn them on"), "{error}");
}

#[tokio::test]
async fn attachments_are_read_by_their_ids_and_one_that_is_not_there_is_deleted() {
    let stage = stage(5, 0).await;
    let id = stage.admin.add_gis_attachment(LAYER, 2, &photo(1)).await.unwrap();
    let asked: Vec<String> = [format!("2/{id}"), format!("3/{id}"), "99/1".into(), "no id".into()].into();
    stage.system.by_ids(&stage.collection, &asked).await.unwrap();
    stage.admin.reset_calls().await.unwrap();
    let page = stage.system.by_ids(&stage.collection, &asked).await.unwrap();
    assert_eq!(stage.calls().await.reads, 1);
    let told: Vec<_> = page.records.iter().map(|record| (record.id.as_str(), record.deleted)).collect();
    let first = format!("2/{id}");
    let second = format!("3/{id}");
    assert_eq!(told, [(first.as_str(), false), (second.as_str(), true), ("99/1", true), ("no id", true)]);
}

#[tokio::test]
async fn a_listing_that_broke_off_goes_on_at_the_row_where_it_was_and_loses_none() {
    let stage = stage(30, 0).await;
    for row in [4, 4, 4, 9, 20] {
        stage.admin.add_gis_attachment(LAYER, row, &photo(1)).await.unwrap();
    }
    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    let page = stage.system.page(&stage.collection, &place, 999).await.unwrap();
    let within = stage.system.place_after(&place, &page.records[1]);
    let again = stage.system.page(&stage.collection, &within, 999).await.unwrap();
    assert_eq!(ids(&again.records), ids(&page.records), "the other attachments of the row come again");
    let within = stage.system.place_after(&place, &page.records[3]);
    let again = stage.system.page(&stage.collection, &within, 999).await.unwrap();
    let rows: Vec<_> =
        again.records.iter().filter_map(|record| record.parent.as_deref()).map(object_id).collect();
    assert_eq!(rows, [9, 20]);
    assert!(matches!(again.next, Next::End(_)));
}

#[tokio::test]
async fn a_listing_that_a_person_has_bounded_stops_at_a_row_and_goes_on_there() {
    let stage = stage(30, 0).await;
    for row in [1, 2, 3, 4, 25] {
        stage.admin.add_gis_attachment(LAYER, row, &photo(1)).await.unwrap();
    }
    let (pages, _) = stage.listed(Span::Whole, None, 2).await;
    assert_eq!(pages[0].records.len(), 2);
    assert_eq!(pages.iter().map(|page| page.records.len()).sum::<usize>(), 5);

    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    let page = stage.system.page(&stage.collection, &place, 2).await.unwrap();
    let back = stage.system.place_after(&place, &page.records[0]);
    let again = stage.system.page(&stage.collection, &back, 2).await.unwrap();
    assert_eq!(ids(&again.records), ids(&page.records), "rows that were passed are asked for anew");
}

#[tokio::test]
async fn an_edit_of_a_row_does_not_hide_that_its_attachments_are_the_same() {
    let stage = stage(10, 6).await;
    let (_, rest) = whole(&stage).await;
    stage.admin.advance_clock(Duration::from_secs(600)).await.unwrap();
    let edit = GisEdit::field("Court_Status", "Stay");
    stage.admin.edit_feature(LAYER, 1, &edit).await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert!(
        pages
            .iter()
            .flat_map(|page| &page.records)
            .all(|record| record.parent.as_deref().map(object_id) == Some(1))
    );
}

#[tokio::test]
async fn attachments_are_not_written() {
    let stage = stage(1, 0).await;
    let effects = stage.apply(vec![task(json!({"op": "delete", "target": {"id": "1/1"}}))]).await;
    assert_eq!(result(&effects[0]), databridge_model::OutcomeResult::Refused);
}

#[tokio::test]
async fn a_token_that_ends_between_two_listings_is_renewed() {
    let options = GisOptions { auth: GisAuth::GenerateToken, ..city(10, 6) };
    let env = [("GIS_USERNAME", "databridge"), ("GIS_PASSWORD", "sandbox-password")];
    let stage = Stage::of(options, &env).await.looking_at("attachments");
    whole(&stage).await;
    stage.admin.expire_gis_tokens().await.unwrap();
    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    stage.admin.expire_gis_tokens().await.unwrap();
    let page = stage.system.page(&stage.collection, &place, 999).await.unwrap();
    assert_eq!(page.records.len(), 6);
}

#[tokio::test]
async fn half_an_answer_is_asked_for_again() {
    let stage = stage(10, 6).await;
    for action in [Action::Truncate, Action::Html, Action::DropAfter] {
        stage.fault(action, "queryAttachments").await;
        assert_eq!(whole(&stage).await.0.len(), 6);
    }
}

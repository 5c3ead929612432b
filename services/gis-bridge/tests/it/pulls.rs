use std::collections::BTreeSet;
use std::time::Duration;

use databridge_bridge::{Next, OutsideSystem, Page, Span, Start};
use databridge_http::ErrorClass;
use databridge_model::Value;
use gis_bridge::Place;
use sandbox::client::GisEdit;
use sandbox::faults::Action;
use serde_json::json;

use crate::stage::{LAYER, Stage, object_id};

fn ids(pages: &[Page<Place>]) -> Vec<i64> {
    pages.iter().flat_map(|page| &page.records).map(|record| object_id(&record.id)).collect()
}

#[tokio::test]
async fn every_row_comes_once_in_order_however_small_the_pages() {
    let stage = Stage::city(120).await;
    stage.admin.layer_settings(LAYER, json!({"service_limit": 17})).await.unwrap();
    let (pages, rest) = stage.listed(Span::Changed(None), None, 999).await;
    let ids = ids(&pages);
    assert_eq!(ids.len(), 120);
    assert!(ids.is_sorted());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 120);
    assert!(rest.settled && rest.after.is_none());
    let (pages, _) = stage.listed(Span::Whole, None, 7).await;
    assert_eq!(pages.len(), 18);
    assert!(pages.iter().all(|page| page.records.len() <= 7));
}

#[tokio::test]
async fn a_record_shows_the_declared_fields_in_canonical_form() {
    let stage = Stage::city(5).await;
    let row = stage.admin.features(LAYER).await.unwrap().remove(0);
    let (pages, _) = stage.listed(Span::Whole, None, 999).await;
    let record = &pages[0].records[0];
    let text = |name: &str| row.attributes[name].as_str().unwrap().to_owned();
    assert_eq!(record.key.as_ref().unwrap().as_str(), text("CivilWarrant"));
    assert_eq!(record.fields["ADDRESS1"], Value::Text(text("ADDRESS1")));
    assert_eq!(record.fields["OBJECTID"], Value::Int(row.attributes["OBJECTID"].as_i64().unwrap()));
    assert_eq!(record.revision, row.attributes["LAST_MODIFIED_DATE"].as_i64());
    let Value::Point(point) = record.fields["shape"] else { panic!("{record:?}") };
    assert!((point.lon - row.lon.unwrap()).abs() < 1e-6 && (point.lat - row.lat.unwrap()).abs() < 1e-6);
    assert!(record.handle["global_id"].is_string());
    assert_eq!(record.fields.len(), 14, "just the declared fields: {record:?}");
}

#[tokio::test]
async fn a_cycle_without_edits_costs_one_call() {
    let stage = Stage::city(1000).await;
    let (_, rest) = stage.listed(Span::Changed(None), None, 999).await;
    stage.admin.reset_calls().await.unwrap();
    assert_eq!(stage.start(Span::Changed(None), Some(&rest)).await, Start::Nothing(rest));
    let calls = stage.calls().await;
    assert_eq!((calls.reads, calls.writes, calls.other), (1, 0, 0));
}

#[tokio::test]
async fn an_edit_is_listed_alone_until_its_overlap_has_passed() {
    let stage = Stage::city(300).await;
    let (_, rest) = stage.listed(Span::Changed(None), None, 999).await;
    stage.admin.edit_feature(LAYER, 42, &GisEdit::field("Court_Status", "Stay")).await.unwrap();
    let (pages, rest) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert_eq!(ids(&pages), [42]);
    assert_eq!(pages[0].records[0].fields["Court_Status"], Value::Text("Stay".into()));
    let (pages, rest) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert_eq!(ids(&pages), [42], "an edit may come to light late, so its time is looked at again");
    stage.admin.advance_clock(Duration::from_mins(3)).await.unwrap();
    let (_, rest) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert!(matches!(stage.start(Span::Changed(None), Some(&rest)).await, Start::Nothing(_)));
    stage.admin.edit_feature(LAYER, 43, &GisEdit::field("Court_Status", "Stay")).await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert_eq!(ids(&pages), [43]);
}

#[tokio::test]
async fn a_layer_that_tells_no_last_edit_is_asked_for_rows_each_time() {
    let stage = Stage::city(30).await;
    stage.admin.layer_settings(LAYER, json!({"last_edit_date": false})).await.unwrap();
    let (pages, rest) = stage.listed(Span::Changed(None), None, 999).await;
    assert_eq!(ids(&pages).len(), 30);
    let (pages, rest) = stage.listed(Span::Changed(None), Some(&rest), 999).await;
    assert!(ids(&pages).is_empty());
    stage.admin.edit_feature(LAYER, 5, &GisEdit::field("Court_Status", "Stay")).await.unwrap();
    assert_eq!(ids(&stage.listed(Span::Changed(None), Some(&rest), 999).await.0), [5]);
}

#[tokio::test]
async fn without_editor_tracking_everything_is_read_and_a_notice_says_so() {
    let stage = Stage::city(10).await;
    let (_, rest) = stage.listed(Span::Changed(None), None, 999).await;
    stage.admin.layer_settings(LAYER, json!({"edit_tracking": false})).await.unwrap();
    stage.admin.edit_feature(LAYER, 5, &GisEdit::field("Court_Status", "Stay")).await.unwrap();
    let (pages, _) = stage.listed(Span::Changed(None), Some(&rest), 4).await;
    assert_eq!(ids(&pages).len(), 10);
    let reasons: Vec<_> = pages.iter().flat_map(|page| &page.notices).map(|notice| &notice.reason).collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].contains("editor tracking"), "{reasons:?}");
}

#[tokio::test]
async fn a_field_gone_from_the_layer_is_told_once_and_the_others_pass() {
    let stage = Stage::city(10).await;
    stage.listed(Span::Whole, None, 999).await;
    stage.admin.layer_settings(LAYER, json!({"remove_field": "ce_name"})).await.unwrap();
    // By id there is no look at the layer first: the refused query brings it.
    assert!(!stage.by_id(3).await.fields.contains_key("ce_name"));
    let (pages, _) = stage.listed(Span::Whole, None, 3).await;
    let notices: Vec<_> = pages.iter().flat_map(|page| &page.notices).collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(notices[0].field.as_deref(), Some("ce_name"));
    assert_eq!(pages.iter().flat_map(|page| &page.records).count(), 10);
    assert!(pages[0].records[0].fields.contains_key("ADDRESS1"));
}

#[tokio::test]
async fn a_listing_goes_on_after_any_record_of_a_page() {
    let stage = Stage::city(10).await;
    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    let page = stage.system.page(&stage.collection, &place, 999).await.unwrap();
    let within = stage.system.place_after(&place, &page.records[6]);
    // A bridge that has started anew has not looked at the layer yet.
    let fresh = crate::stage::system(stage.sandbox.gis_service_url().as_str(), &[]);
    let rest = fresh.page(&stage.collection, &within, 999).await.unwrap();
    assert_eq!(ids(&[rest]), [8, 9, 10]);
}

#[tokio::test]
async fn rows_asked_for_by_id_come_in_order_and_missing_ones_as_deleted() {
    let stage = Stage::city(50).await;
    stage.admin.layer_settings(LAYER, json!({"service_limit": 3})).await.unwrap();
    let mut asked = Vec::new();
    for number in [9, 1, 2, 3, 4, 50] {
        asked.push(stage.by_id(number).await.id);
    }
    // A row whose number another one had before, a number that no row has, and what is no number.
    let before = format!("5@{}", asked[0].split('@').nth(1).unwrap());
    let missing = [before.as_str(), "7000", "no number"];
    asked.extend(missing.map(str::to_owned));
    let page = stage.system.by_ids(&stage.collection, &asked).await.unwrap();
    let told: Vec<(String, bool)> =
        page.records.iter().map(|record| (record.id.clone(), record.deleted)).collect();
    let expected: Vec<(String, bool)> =
        asked.iter().map(|id| (id.clone(), missing.contains(&id.as_str()))).collect();
    assert_eq!(told, expected);
    // By the number alone, which a person or an old list has: the row as it is, and that no id is just this.
    let page = stage.system.by_ids(&stage.collection, &["9".to_owned()]).await.unwrap();
    let told: Vec<_> = page.records.iter().map(|record| (record.id.as_str(), record.deleted)).collect();
    assert_eq!(told, [(asked[0].as_str(), false), ("9", true)]);
}

#[tokio::test]
async fn a_bad_answer_to_a_read_is_asked_for_again() {
    let stage = Stage::city(10).await;
    for action in [
        Action::Html,
        Action::Truncate,
        Action::Drop,
        Action::Status { status: 502, body: "<html>".into(), headers: std::collections::BTreeMap::new() },
        Action::Error200 { code: 500, message: "Unable to complete operation.".into(), details: Vec::new() },
        Action::RateLimited { retry_after: 1 },
    ] {
        let what = format!("{action:?}");
        stage.fault(action, "/2/query").await;
        assert_eq!(stage.listed(Span::Whole, None, 999).await.0[0].records.len(), 10, "{what}");
        assert!(stage.admin.faults().await.unwrap().iter().all(|fault| fault.fired == 1), "{what}");
        stage.admin.clear_faults().await.unwrap();
    }
}

#[tokio::test]
async fn a_layer_that_is_not_there_is_named() {
    let stage = Stage::city(1).await;
    let url = format!("{}x", stage.sandbox.gis_service_url());
    let system = crate::stage::system(&url.replace("FeatureServerx", "MapServer"), &[]);
    let error = system.start(&stage.collection, &Span::Whole, None).await.unwrap_err();
    assert!(matches!(error.class, ErrorClass::Invalid | ErrorClass::Transient), "{error}");
    assert!(error.to_string().contains("layer 2"), "{error}");
}

/// What a server says that cannot give so many rows, by way of its gateway or by itself.
fn too_many() -> [Action; 4] {
    let page = |status| Action::Status { status, body: "<html>".into(), headers: [].into() };
    let message = "Unable to complete operation.".to_owned();
    [page(500), page(504), page(413), Action::Error200 { code: 400, message, details: Vec::new() }]
}

/// Refuses every query of more than so many rows of a listing, or by this many ids or more.
async fn refuse_more_than(stage: &Stage, rows: usize, refusal: &Action) {
    for asked in rows + 1..=120 {
        let fault =
            sandbox::faults::Fault::new(sandbox::calls::System::Gis, refusal.clone()).path("/2/query");
        stage.admin.fault(&fault.body(&format!("resultRecordCount={asked}")).forever()).await.unwrap();
    }
}

#[tokio::test]
async fn where_a_server_manages_fewer_rows_than_it_says_fewer_are_asked_for() {
    for refusal in too_many() {
        let stage = Stage::city(120).await;
        stage.admin.layer_settings(LAYER, json!({"max_record_count": 100})).await.unwrap();
        refuse_more_than(&stage, 70, &refusal).await;
        let (pages, _) = stage.listed(Span::Whole, None, 999).await;
        let all = ids(&pages);
        assert!(all.len() == 120 && all.is_sorted(), "{refusal:?}: {all:?}");
        let calls = stage.calls().await.reads;
        assert!(calls <= 1 + 4 + 3 + 1, "{refusal:?}: the layer, what was refused, and three pages: {calls}");
        stage.admin.reset_calls().await.unwrap();
        stage.listed(Span::Whole, None, 999).await;
        assert_eq!(stage.calls().await.reads, 4, "{refusal:?}: it is known now");
    }
}

#[tokio::test]
async fn a_server_that_is_out_of_order_ends_a_listing_soon_however_few_are_asked_for() {
    let stage = Stage::city(120).await;
    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    let [refusal, ..] = too_many();
    let fault = sandbox::faults::Fault::new(sandbox::calls::System::Gis, refusal).path("/2/query").forever();
    stage.admin.fault(&fault).await.unwrap();
    let error = stage.system.page(&stage.collection, &place, 120).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    assert!(stage.calls().await.reads < 25, "{:?}", stage.calls().await);
}

#[tokio::test]
async fn rows_that_come_and_go_between_two_pages_move_no_other_row() {
    let stage = Stage::city(30).await;
    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    let first = stage.system.page(&stage.collection, &place, 10).await.unwrap();
    let Next::More(second) = first.next.clone() else { panic!() };
    // By number of rows passed over, the second page would begin three rows later.
    for object_id in [1, 4, 10, 15] {
        stage.admin.delete_feature(LAYER, object_id).await.unwrap();
    }
    let mut row = stage.admin.features(LAYER).await.unwrap().remove(0);
    row.attributes.insert("CivilWarrant".to_owned(), json!("E-NEW"));
    let new = stage.admin.add_features(LAYER, &[row]).await.unwrap()[0];
    let mut pages = vec![first];
    let mut place = second;
    loop {
        let page = stage.system.page(&stage.collection, &place, 10).await.unwrap();
        let next = page.next.clone();
        pages.push(page);
        let Next::More(more) = next else { break };
        place = more;
    }
    let expected: Vec<i64> = (1..=30).filter(|id| *id != 15).chain([new]).collect();
    assert_eq!(ids(&pages), expected);
}

#[tokio::test]
async fn a_page_that_repeats_or_comes_in_another_order_is_no_page() {
    let stage = Stage::city(30).await;
    let Start::Listing(place) = stage.start(Span::Whole, None).await else { panic!() };
    let again = sandbox::faults::Fault::new(sandbox::calls::System::Gis, Action::SameAgain);
    stage.admin.fault(&again.path("/2/query").forever()).await.unwrap();
    let first = stage.system.page(&stage.collection, &place, 10).await.unwrap();
    let Next::More(second) = first.next.clone() else { panic!() };
    let error = stage.system.page(&stage.collection, &second, 10).await.unwrap_err();
    assert!(error.class == ErrorClass::Transient && error.message.contains("order"), "{error}");
    stage.admin.clear_faults().await.unwrap();
    // The order is asked for and not heeded.
    let body = json!({"features": [{"attributes": {"OBJECTID": 12}}, {"attributes": {"OBJECTID": 11}}]});
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    stage.fault(Action::Status { status: 200, body: body.to_string(), headers }, "/2/query").await;
    let error = stage.system.page(&stage.collection, &second, 10).await.unwrap_err();
    assert!(error.message.contains("11 after 12"), "{error}");
    // It goes on where it was, and lacks nothing.
    let third = stage.system.page(&stage.collection, &second, 10).await.unwrap();
    assert_eq!(ids(&[first, third]), (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_answer_to_another_question_does_not_tell_that_a_row_is_gone() {
    let stage = Stage::city(3).await;
    let (one, other) = (stage.by_id(1).await.id, stage.by_id(2).await.id);
    let again = sandbox::faults::Fault::new(sandbox::calls::System::Gis, Action::SameAgain);
    stage.admin.fault(&again.path("/2/query").times(2)).await.unwrap();
    let asked = async |id: &String| stage.system.by_ids(&stage.collection, std::slice::from_ref(id)).await;
    assert_eq!(asked(&one).await.unwrap().records[0].id, one);
    let error = asked(&other).await.unwrap_err();
    assert!(
        error.class == ErrorClass::Transient && error.message.contains("whether these are gone"),
        "{error}"
    );
    let shown = asked(&other).await.unwrap().records.remove(0);
    assert!(!shown.deleted && shown.id == other, "{shown:?}");
}

use databridge_bridge::{Earlier, Effect, OutsideSystem, PushTask, Span};
use databridge_model::OutcomeResult::{Exists, Gone, Refused, Stale, Written};
use databridge_model::{Key, PushId, Value};
use databridge_runtime::Clock;
use sandbox::GisOptions;
use sandbox::city::City;
use sandbox::faults::Action;
use serde_json::{Value as Json, json};

use crate::stage::{Stage, object_id, result, task};

/// The history layer.
const HISTORY: u32 = 6;

async fn stage() -> Stage {
    let city = City { history: false, ..City::new(3, 7) };
    let stage = Stage::of(GisOptions::of_city(city), &[]).await.looking_at("litigation_history");
    stage.listed(Span::Whole, None, 999).await;
    stage.admin.reset_calls().await.unwrap();
    stage
}

fn uuid(number: u32) -> String {
    format!("0a1b2c3d-0000-4000-8000-{number:012x}")
}

fn event(number: u32) -> Json {
    json!({"GlobalID": uuid(number), "CivilWarrant": format!("E-26-{number:05}"), "CouncilDistrict": 5,
        "Status_1": "Dismissed", "NextSetting": "2026-12-01T15:00:00Z"})
}

fn create(set: &Json) -> PushTask {
    task(json!({"op": "create", "set": set}))
}

/// The same push, after an attempt of which nobody knows what came of it.
fn doubtful(push: PushTask) -> PushTask {
    let begun = Clock::system().now();
    let earlier = Earlier { push: PushId::of_person(1), begun, others: Vec::new() };
    PushTask { doubtful: true, earlier: Some(earlier), ..push }
}

async fn rows(stage: &Stage) -> usize {
    stage.admin.features(HISTORY).await.unwrap().len()
}

#[tokio::test]
async fn events_are_made_with_our_global_ids_in_one_call() {
    let stage = stage().await;
    let effects = stage.apply((1..=5).map(|number| create(&event(number))).collect()).await;
    let calls = stage.calls().await;
    assert_eq!((calls.reads, calls.writes), (0, 1));
    for (effect, number) in effects.iter().zip(1..) {
        let Effect::Settled { result: Written, shown: Some(shown), .. } = effect else {
            panic!("{effect:?}")
        };
        assert_eq!(shown.key, Key::parse(&uuid(number)));
        let there = stage.by_id(object_id(&shown.id)).await;
        assert_eq!((&there.key, &there.handle), (&shown.key, &shown.handle));
        for (name, value) in &shown.fields {
            assert_eq!(there.fields.get(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn a_global_id_is_shown_in_lower_case_without_braces_however_it_is_written() {
    let stage = stage().await;
    let mut set = event(1);
    set["GlobalID"] = json!(format!("{{{}}}", uuid(0xab).to_uppercase()));
    stage.apply(vec![create(&set)]).await;
    let (pages, _) = stage.listed(Span::Whole, None, 999).await;
    assert_eq!(pages[0].records[0].key, Key::parse(&uuid(0xab)));
    assert_eq!(pages[0].records[0].fields["GlobalID"], Value::Text(uuid(0xab)));
}

#[tokio::test]
async fn an_event_that_an_earlier_attempt_has_made_is_found_and_not_made_again() {
    let stage = stage().await;
    for action in [Action::AppliedThen504, Action::DropAfter] {
        let before = rows(&stage).await;
        let number = u32::try_from(before).unwrap() + 1;
        stage.fault(action, "applyEdits").await;
        let lost = stage.apply(vec![create(&event(number))]).await;
        assert!(matches!(lost[0], Effect::Failed(_)), "{lost:?}");
        stage.admin.reset_calls().await.unwrap();
        let again = stage.apply(vec![doubtful(create(&event(number)))]).await;
        assert_eq!(result(&again[0]), Exists);
        let calls = stage.calls().await;
        assert_eq!((calls.reads, calls.writes), (1, 0));
        assert_eq!(rows(&stage).await, before + 1);
    }
}

#[tokio::test]
async fn a_doubtful_event_that_was_not_made_is_made() {
    let stage = stage().await;
    let effects = stage.apply(vec![doubtful(create(&event(1)))]).await;
    assert_eq!(result(&effects[0]), Written);
    assert_eq!(rows(&stage).await, 1);
}

#[tokio::test]
async fn a_request_that_a_gateway_repeats_makes_one_row() {
    let stage = stage().await;
    stage.fault(Action::ApplyTwice, "applyEdits").await;
    let effects = stage.apply(vec![create(&event(1))]).await;
    assert_eq!(result(&effects[0]), Exists, "the second answer says that it is there; then it is looked up");
    assert_eq!(rows(&stage).await, 1);
}

#[tokio::test]
async fn new_rows_go_in_a_request_of_their_own() {
    let stage = stage().await;
    let first = stage.apply(vec![create(&event(1))]).await;
    let Effect::Settled { shown: Some(shown), .. } = &first[0] else { panic!() };
    let object_id = object_id(&shown.id);
    let update = stage.update(object_id, json!({"CourtNotes": "Moved"})).await;
    stage.admin.reset_calls().await.unwrap();
    let effects = stage.apply(vec![create(&event(2)), update]).await;
    assert!(effects.iter().all(|effect| result(effect) == Written), "{effects:?}");
    let calls = stage.calls().await;
    assert_eq!((calls.reads, calls.writes), (1, 2));
    assert_eq!(stage.by_id(object_id).await.key, Key::parse(&uuid(1)));
    assert_eq!(rows(&stage).await, 2);
}

#[tokio::test]
async fn an_event_without_a_global_id_of_its_own_is_refused() {
    let stage = stage().await;
    for global_id in [Json::Null, json!("17"), json!("")] {
        let mut set = event(1);
        set["GlobalID"] = global_id;
        let effects = stage.apply(vec![create(&set)]).await;
        let Effect::Settled { result: Refused, error: Some(failure), .. } = &effects[0] else { panic!() };
        assert_eq!(failure.field.as_deref(), Some("GlobalID"));
    }
    assert_eq!(rows(&stage).await, 0);
}

#[tokio::test]
async fn where_the_layer_takes_no_global_ids_the_row_is_found_by_the_fields_that_are_named() {
    let stage = stage().await;
    stage.admin.layer_settings(HISTORY, json!({"client_global_ids": false})).await.unwrap();
    stage.listed(Span::Whole, None, 999).await;
    stage.fault(Action::AppliedThen504, "applyEdits").await;
    let lost = stage.apply(vec![create(&event(1))]).await;
    assert!(matches!(lost[0], Effect::Failed(_)), "{lost:?}");
    let again = stage.apply(vec![doubtful(create(&event(1)))]).await;
    let Effect::Settled { result: Exists, shown: Some(shown), .. } = &again[0] else { panic!("{again:?}") };
    assert_ne!(shown.key, Key::parse(&uuid(1)), "the layer chose another");
    assert_eq!(rows(&stage).await, 1);

    let mut other = event(1);
    other["NextSetting"] = json!("2026-12-08T15:00:00Z");
    let effects = stage.apply(vec![doubtful(create(&other))]).await;
    let Effect::Settled { result: Written, shown: Some(shown), .. } = &effects[0] else { panic!() };
    assert_eq!(shown.key, stage.by_id(object_id(&shown.id)).await.key);
    assert_eq!(rows(&stage).await, 2, "another setting is another event");
}

#[tokio::test]
async fn a_row_that_was_there_long_before_the_attempt_is_not_what_it_made() {
    let stage = stage().await;
    stage.admin.layer_settings(HISTORY, json!({"client_global_ids": false})).await.unwrap();
    stage.listed(Span::Whole, None, 999).await;
    stage.apply(vec![create(&event(1))]).await;
    let mut push = doubtful(create(&event(1)));
    push.earlier.as_mut().unwrap().begun += chrono::TimeDelta::hours(1);
    let effects = stage.apply(vec![push]).await;
    assert_eq!(result(&effects[0]), Written);
}

#[tokio::test]
async fn a_row_is_deleted_if_it_still_shows_what_is_believed() {
    let stage = stage().await;
    let made = stage.apply(vec![create(&event(1))]).await;
    let Effect::Settled { shown: Some(shown), .. } = &made[0] else { panic!() };
    let delete = |notes: Json, status: &str| {
        task(json!({"op": "delete", "target": {"id": shown.id, "handle": shown.handle},
            "expect": {"Status_1": status, "CourtNotes": notes, "NextSetting": "2026-12-01T15:00:00.000Z"}}))
    };
    let effects = stage.apply(vec![delete(Json::Null, "Hearing")]).await;
    assert_eq!(result(&effects[0]), Stale);
    assert_eq!(rows(&stage).await, 1);
    stage.admin.reset_calls().await.unwrap();
    let effects = stage.apply(vec![delete(json!(""), "Dismissed")]).await;
    assert_eq!(result(&effects[0]), Written);
    let calls = stage.calls().await;
    assert_eq!((calls.reads, calls.writes), (1, 1));
    assert_eq!(rows(&stage).await, 0);
    let effects = stage.apply(vec![delete(Json::Null, "Dismissed")]).await;
    assert_eq!(result(&effects[0]), Gone);
}

#[tokio::test]
async fn the_history_can_be_a_table_without_places() {
    let city = City { history: false, history_table: true, ..City::new(3, 7) };
    let stage = Stage::of(GisOptions::of_city(city), &[]).await.looking_at("litigation_history");
    let effects = stage.apply(vec![create(&event(1))]).await;
    assert_eq!(result(&effects[0]), Written);
    let collection = stage.collection.clone();
    assert!(stage.system.in_batches(&collection));
}

use databridge_bridge::{Effect, OutsideSystem, Span, StillMine};
use databridge_model::OutcomeResult::{Refused, Written};
use databridge_model::{FailureClass, OutcomeResult, Value};
use sandbox::client::GisEdit;
use sandbox::faults::Action;
use serde_json::json;

use crate::stage::{LAYER, Stage, object_id, result, task};

fn unknown(effect: &Effect) -> bool {
    matches!(effect, Effect::Failed(failure) if failure.class == FailureClass::Unknown)
}

#[tokio::test]
async fn many_updates_cost_one_query_and_one_edit() {
    let stage = Stage::city(60).await;
    stage.listed(Span::Whole, None, 999).await;
    let mut tasks = Vec::new();
    for object_id in 1..=40 {
        tasks.push(stage.update(object_id, json!({"INCIDENT_NUMBER": format!("I-{object_id}")})).await);
    }
    stage.admin.reset_calls().await.unwrap();
    let effects = stage.apply(tasks).await;
    let calls = stage.calls().await;
    assert_eq!((calls.reads, calls.writes), (1, 1));
    assert!(effects.iter().all(|effect| result(effect) == OutcomeResult::Written));
    assert!(matches!(effects[0], Effect::Settled { calls: 2, .. }));
    assert!(matches!(effects[1], Effect::Settled { calls: 0, .. }));
    assert_eq!(stage.attribute(40, "INCIDENT_NUMBER").await, json!("I-40"));
    let Effect::Settled { shown: Some(shown), .. } = &effects[4] else { panic!() };
    assert_eq!((object_id(&shown.id), shown.revision), (5, None));
    assert_eq!(
        shown.fields,
        stage.by_id(5).await.fields,
        "what is shown is what the layer shows from now on"
    );
}

#[tokio::test]
async fn an_update_leaves_other_fields_and_the_place_alone() {
    let stage = Stage::city(3).await;
    let before = stage.by_id(2).await;
    let push = stage.update(2, json!({"Court_Status": "Stay"})).await;
    assert_eq!(result(&stage.apply(vec![push]).await[0]), OutcomeResult::Written);
    let mut expected = before.fields.clone();
    expected.insert("Court_Status".to_owned(), Value::Text("Stay".into()));
    assert_eq!(stage.by_id(2).await.fields, expected);
}

#[tokio::test]
async fn a_point_is_written_in_degrees_and_read_back() {
    let stage = Stage::city(3).await;
    let point = json!({"lon": -90.05, "lat": 35.15});
    let push = stage.update(2, json!({"shape": point})).await;
    assert_eq!(result(&stage.apply(vec![push]).await[0]), OutcomeResult::Written);
    assert_eq!(serde_json::to_value(&stage.by_id(2).await.fields["shape"]).unwrap(), point);
    let push = stage.update(2, json!({"shape": null})).await;
    assert_eq!(result(&stage.apply(vec![push]).await[0]), OutcomeResult::Written);
    assert_eq!(stage.by_id(2).await.fields["shape"], Value::Null);
}

#[tokio::test]
async fn a_persons_edit_made_meanwhile_is_not_overwritten() {
    let stage = Stage::city(5).await;
    let mine = stage.update(1, json!({"ADDRESS1": "1 Ours St"})).await;
    let overtaken = stage.update(2, json!({"ADDRESS1": "2 Ours St"})).await;
    stage.admin.edit_feature(LAYER, 2, &GisEdit::field("ADDRESS1", "2 Theirs St")).await.unwrap();
    let effects = stage.apply(vec![mine, overtaken]).await;
    assert_eq!(result(&effects[0]), OutcomeResult::Written);
    assert_eq!(result(&effects[1]), OutcomeResult::Stale);
    let Effect::Settled { shown: Some(shown), .. } = &effects[1] else { panic!() };
    assert_eq!(shown.fields["ADDRESS1"], Value::Text("2 Theirs St".into()));
    assert!(shown.fields.contains_key("CivilWarrant") && shown.revision.is_some());
    assert_eq!(stage.attribute(2, "ADDRESS1").await, json!("2 Theirs St"));
}

#[tokio::test]
async fn what_is_shown_already_makes_no_write() {
    let stage = Stage::city(5).await;
    let push = stage.update(1, json!({"ADDRESS1": "1 Same St"})).await;
    stage.admin.edit_feature(LAYER, 1, &GisEdit::field("ADDRESS1", "1 Same St")).await.unwrap();
    stage.admin.reset_calls().await.unwrap();
    assert_eq!(result(&stage.apply(vec![push]).await[0]), OutcomeResult::Unchanged);
    assert_eq!(stage.calls().await.writes, 0);
}

#[tokio::test]
async fn a_row_that_is_gone_or_another_one_by_now_is_not_touched() {
    let stage = Stage::city(5).await;
    let gone = stage.update(1, json!({"Court_Status": "Stay"})).await;
    stage.admin.delete_feature(LAYER, 1).await.unwrap();
    let mut other = stage.update(3, json!({"Court_Status": "Stay"})).await;
    stage.admin.republish(LAYER).await.unwrap();
    // Even if the row that has the id now happens to show what is expected.
    other.push.expect.clear();
    stage.admin.reset_calls().await.unwrap();
    let effects = stage.apply(vec![gone, other]).await;
    assert_eq!(effects.iter().map(result).collect::<Vec<_>>(), [OutcomeResult::Gone, OutcomeResult::Gone]);
    assert_eq!(stage.calls().await.writes, 0);
}

#[tokio::test]
async fn a_value_that_the_layer_cannot_take_is_parked_and_the_others_are_written() {
    let stage = Stage::city(5).await;
    let long = stage.update(1, json!({"INCIDENT_NUMBER": "x".repeat(60), "ADDRESS1": "1 New St"})).await;
    // The layer itself refuses text that looks like HTML.
    let html = stage.update(2, json!({"NPA_Inspect_Summary": "<b>bad</b>", "ADDRESS1": "2 New St"})).await;
    let only_html = stage.update(3, json!({"NPA_Inspect_Summary": "<b>bad</b>"})).await;
    let kept = stage.update(4, json!({"OBJECTID": 9, "ADDRESS1": "4 New St"})).await;
    let good = stage.update(5, json!({"ADDRESS1": "5 New St"})).await;
    let effects = stage.apply(vec![long, html, only_html, kept, good]).await;
    let parked = |index: usize| match &effects[index] {
        Effect::Settled { parked, .. } => parked.keys().map(String::as_str).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((result(&effects[0]), parked(0)), (OutcomeResult::Written, vec!["INCIDENT_NUMBER"]));
    assert_eq!((result(&effects[1]), parked(1)), (OutcomeResult::Written, vec!["NPA_Inspect_Summary"]));
    assert_eq!((result(&effects[3]), parked(3)), (OutcomeResult::Written, vec!["OBJECTID"]));
    assert_eq!((result(&effects[4]), parked(4)), (OutcomeResult::Written, vec![]));
    let Effect::Settled { result, error: Some(failure), .. } = &effects[2] else { panic!("{effects:?}") };
    assert_eq!((*result, failure.field.as_deref()), (OutcomeResult::Refused, Some("NPA_Inspect_Summary")));
    for object_id in [1, 2, 4, 5] {
        assert_eq!(stage.attribute(object_id, "ADDRESS1").await, json!(format!("{object_id} New St")));
    }
}

#[tokio::test]
async fn after_a_lost_answer_the_next_attempt_finds_what_was_done() {
    let stage = Stage::city(5).await;
    for (object_id, action) in
        [(1, Action::AppliedThen504), (2, Action::DropAfter), (3, Action::Truncate), (4, Action::Html)]
    {
        let done = !matches!(action, Action::Html);
        let set = json!({"ADDRESS1": format!("{object_id} Lost St")});
        let mut push = stage.update(object_id, set).await;
        stage.fault(action, "applyEdits").await;
        let effects = stage.apply(vec![push.clone()]).await;
        assert!(unknown(&effects[0]), "{effects:?}");
        push.doubtful = true;
        let effects = stage.apply(vec![push]).await;
        let expected = if done { OutcomeResult::Unchanged } else { OutcomeResult::Written };
        assert_eq!(result(&effects[0]), expected);
        assert_eq!(stage.attribute(object_id, "ADDRESS1").await, json!(format!("{object_id} Lost St")));
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_goes_in_halves() {
    let stage = Stage::city(20).await;
    let mut tasks = Vec::new();
    for object_id in 1..=8 {
        tasks.push(stage.update(object_id, json!({"ADDRESS1": format!("{object_id} Half St")})).await);
    }
    for status in [413, 500] {
        let headers = std::collections::BTreeMap::new();
        stage.fault(Action::Status { status, body: "<html>".into(), headers }, "applyEdits").await;
    }
    stage.admin.reset_calls().await.unwrap();
    let effects = stage.apply(tasks).await;
    assert!(effects.iter().all(|effect| result(effect) == OutcomeResult::Written), "{effects:?}");
    // One of eight and one of four are refused; then four, two and two pass.
    assert_eq!(stage.calls().await.writes, 5);
    assert_eq!(stage.attribute(8, "ADDRESS1").await, json!("8 Half St"));
}

#[tokio::test]
async fn one_row_that_spoils_a_batch_is_found_and_the_others_are_written() {
    let stage = Stage::city(20).await;
    let mut tasks = Vec::new();
    for object_id in 1..=4 {
        tasks.push(stage.update(object_id, json!({"ADDRESS1": format!("{object_id} Good St")})).await);
    }
    // A server that rolls back whatever it was asked: everything that holds row 3 is refused whole.
    let refused = Action::Error200 {
        code: 400,
        message: "Unable to complete operation.".into(),
        details: vec!["Operation rolled back.".into(); 4],
    };
    let fault = sandbox::faults::Fault::new(sandbox::calls::System::Gis, refused);
    stage.admin.fault(&fault.path("applyEdits").body("3+Good+St").forever()).await.unwrap();
    let effects = stage.apply(tasks).await;
    let results: Vec<_> = effects.iter().map(result).collect();
    assert_eq!(results, [Written, Written, Refused, Written]);
}

#[tokio::test]
async fn a_limit_is_waited_out_and_is_no_attempt() {
    let stage = Stage::city(3).await;
    let push = stage.update(1, json!({"ADDRESS1": "1 Slow St"})).await;
    stage.fault(Action::RateLimited { retry_after: 1 }, "applyEdits").await;
    let effects = stage.apply(vec![push.clone()]).await;
    assert!(matches!(&effects[0], Effect::NotNow(wait) if wait.time.as_secs() == 1), "{effects:?}");
    let begun = std::time::Instant::now();
    assert_eq!(stage.system.capacity().await, 250);
    assert!(begun.elapsed().as_millis() > 700);
    assert_eq!(result(&stage.apply(vec![push]).await[0]), OutcomeResult::Written);
}

#[tokio::test]
async fn a_push_that_is_anothers_by_now_is_not_sent() {
    let stage = Stage::city(3).await;
    let mut push = stage.update(1, json!({"ADDRESS1": "1 Late St"})).await;
    push.still_mine = StillMine(std::sync::Arc::new(|| false));
    stage.admin.reset_calls().await.unwrap();
    assert!(matches!(stage.apply(vec![push]).await[0], Effect::NotNow(_)));
    assert_eq!(stage.calls().await.writes, 0);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_makes_no_second_row() {
    let stage = Stage::city(3).await;
    let mut create = task(
        json!({"op": "create", "absent_in": 1, "set": {"CivilWarrant": "E-O'New", "ADDRESS1": "9 New St",
        "Court_Status": null, "shape": {"lon": -90.0, "lat": 35.0}}}),
    );
    stage.fault(Action::DropAfter, "applyEdits").await;
    assert!(unknown(&stage.apply(vec![create.clone()]).await[0]));
    create.doubtful = true;
    let effects = stage.apply(vec![create.clone()]).await;
    assert_eq!(result(&effects[0]), OutcomeResult::Exists);
    let Effect::Settled { shown: Some(shown), .. } = &effects[0] else { panic!() };
    assert_eq!(object_id(&shown.id), 4);
    assert_eq!(stage.admin.features(LAYER).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_new_row_comes_back_with_its_ids_and_can_be_deleted() {
    let stage = Stage::city(3).await;
    let create = task(json!({"op": "create", "set": {"CivilWarrant": "E-NEW", "ADDRESS1": "9 New St"}}));
    let effects = stage.apply(vec![create]).await;
    assert_eq!(result(&effects[0]), OutcomeResult::Written);
    let Effect::Settled { shown: Some(shown), .. } = &effects[0] else { panic!() };
    let read = stage.by_id(4).await;
    assert_eq!((&shown.id, &shown.key, &shown.handle), (&read.id, &read.key, &read.handle));
    let delete = task(json!({"op": "delete", "target": {"id": "4", "handle": read.handle}}));
    assert_eq!(result(&stage.apply(vec![delete.clone()]).await[0]), OutcomeResult::Written);
    assert!(stage.by_id(4).await.deleted);
    assert_eq!(result(&stage.apply(vec![delete]).await[0]), OutcomeResult::Gone);
}

#[tokio::test]
async fn a_server_that_gives_few_rows_at_once_hides_no_key_that_is_there() {
    let stage = Stage::city(30).await;
    let (pages, _) = stage.listed(Span::Whole, None, 999).await;
    let records = pages.iter().flat_map(|page| &page.records);
    let creates: Vec<_> = records
        .map(|shown| {
            task(json!({"op": "create", "set": {"CivilWarrant": shown.key, "ADDRESS1": "1 Twice St"}}))
        })
        .collect();
    // The bridge has not looked at the layer since: it learns of the limit by being given less.
    stage.admin.layer_settings(LAYER, json!({"max_record_count": 4})).await.unwrap();
    let effects = stage.apply(creates).await;
    assert!(effects.iter().all(|effect| result(effect) == OutcomeResult::Exists), "{effects:?}");
    assert_eq!(stage.admin.features(LAYER).await.unwrap().len(), 30);
}

#[tokio::test]
async fn a_field_that_the_layer_lost_is_parked_when_a_row_is_made_and_not_told_as_written() {
    let stage = Stage::city(3).await;
    stage.listed(Span::Whole, None, 999).await;
    stage.admin.layer_settings(LAYER, json!({"remove_field": "ce_name"})).await.unwrap();
    let create = task(json!({"op": "create", "set": {"CivilWarrant": "E-NEW", "ce_name": "Ada"}}));
    let effects = stage.apply(vec![create]).await;
    assert_eq!(result(&effects[0]), OutcomeResult::Written);
    let Effect::Settled { shown: Some(shown), parked, .. } = &effects[0] else { panic!() };
    assert!(parked["ce_name"].contains("no field `ce_name`"), "{parked:?}");
    assert!(!shown.fields.contains_key("ce_name"), "{shown:?}");
}

#[tokio::test]
async fn a_push_without_a_row_is_refused_and_the_one_beside_it_passes() {
    let stage = Stage::city(3).await;
    let nowhere = task(json!({"op": "update", "target": {"id": "E-1"}, "set": {"ADDRESS1": "x"}}));
    let good = stage.update(1, json!({"ADDRESS1": "1 Good St"})).await;
    let twice = stage.update(1, json!({"Court_Status": "Stay"})).await;
    let effects = stage.apply(vec![nowhere, good, twice]).await;
    let results: Vec<_> = effects.iter().map(result).collect();
    assert_eq!(results, [OutcomeResult::Refused, OutcomeResult::Written, OutcomeResult::Written]);
    assert_eq!(stage.attribute(1, "Court_Status").await, json!("Stay"));
}

#[tokio::test]
async fn pushes_wait_when_the_rows_cannot_be_read() {
    let stage = Stage::city(3).await;
    let push = stage.update(1, json!({"ADDRESS1": "1 Blind St"})).await;
    let refused =
        Action::Error200 { code: 400, message: "Cannot perform query.".into(), details: Vec::new() };
    let fault = sandbox::faults::Fault::new(sandbox::calls::System::Gis, refused);
    stage.admin.fault(&fault.path("/2/query").forever()).await.unwrap();
    stage.admin.reset_calls().await.unwrap();
    let effects = stage.apply(vec![push]).await;
    assert!(matches!(effects[0], Effect::Failed(_)), "{effects:?}");
    assert_eq!(stage.calls().await.writes, 0);
}

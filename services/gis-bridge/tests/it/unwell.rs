//! A server that is unwell: batches that take too long, gateways in between, long rests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use databridge_bridge::{Effect, OutsideSystem};
use databridge_model::{FailureClass, OutcomeResult};
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use serde_json::json;

use crate::stage::{LAYER, Stage, result, task};

fn page(status: u16) -> Action {
    Action::Status { status, body: "<html>".into(), headers: BTreeMap::new() }
}

async fn updates(stage: &Stage, count: i64) -> Vec<databridge_bridge::PushTask> {
    let mut tasks = Vec::new();
    for object_id in 1..=count {
        tasks.push(stage.update(object_id, json!({"ADDRESS1": format!("{object_id} Slow St")})).await);
    }
    stage.admin.reset_calls().await.unwrap();
    tasks
}

#[tokio::test]
async fn a_batch_that_a_gateway_gives_up_goes_in_halves() {
    for status in [404, 408, 502, 504] {
        let stage = Stage::city(20).await;
        let tasks = updates(&stage, 8).await;
        stage.fault(page(status), "applyEdits").await;
        let effects = stage.apply(tasks).await;
        assert!(effects.iter().all(|it| result(it) == OutcomeResult::Written), "{status}: {effects:?}");
        assert_eq!(stage.calls().await.writes, 3, "{status}");
        assert_eq!(stage.attribute(8, "ADDRESS1").await, json!("8 Slow St"));
    }
}

#[tokio::test]
async fn a_batch_that_was_applied_behind_a_504_is_looked_up_and_not_written_again() {
    let stage = Stage::city(20).await;
    let mut tasks = updates(&stage, 6).await;
    // No GlobalID of ours tells these from others.
    let new = |key: &str| json!({"op": "create", "absent_in": 1, "set": {"CivilWarrant": key, "ADDRESS1": "1 New St"}});
    tasks.extend([task(new("E-NEW-1")), task(new("E-NEW-2"))]);
    stage.fault(Action::AppliedThen504, "applyEdits").await;
    let effects = stage.apply(tasks).await;
    let (updated, made) = effects.split_at(6);
    assert!(updated.iter().all(|it| result(it) == OutcomeResult::Unchanged), "{effects:?}");
    assert!(made.iter().all(|it| result(it) == OutcomeResult::Exists), "{effects:?}");
    assert_eq!(stage.calls().await.writes, 1);
    assert_eq!(stage.admin.features(LAYER).await.unwrap().len(), 22);
}

#[tokio::test]
async fn a_server_out_of_order_is_not_asked_for_each_edit_of_a_batch_and_the_others_wait() {
    let stage = Stage::city(60).await;
    let mut tasks = updates(&stage, 50).await;
    let id =
        stage.admin.fault(&Fault::new(System::Gis, page(502)).path("applyEdits").forever()).await.unwrap();
    let effects = stage.apply(tasks.clone()).await;
    let calls = stage.calls().await.writes;
    assert!(calls <= 16, "{calls} writes for nothing");
    let tried = effects.iter().filter(|it| matches!(it, Effect::Failed(_))).count();
    let waiting = effects.iter().filter(|it| matches!(it, Effect::Halfway(_))).count();
    assert_eq!((tried, waiting), (4, 46), "{effects:?}");
    stage.admin.remove_fault(id).await.unwrap();
    for task in &mut tasks {
        task.doubtful = true;
    }
    let effects = stage.apply(tasks).await;
    assert!(effects.iter().all(|it| result(it) == OutcomeResult::Written), "{effects:?}");
}

#[tokio::test]
async fn one_row_that_the_server_breaks_down_at_stops_only_itself() {
    let stage = Stage::city(20).await;
    let tasks = updates(&stage, 16).await;
    for bad in ["3+Slow", "4+Slow", "9+Slow"] {
        // Not 13 and 14.
        let body = format!("%22{bad}");
        let fault = Fault::new(System::Gis, page(500)).path("applyEdits").body(&body).forever();
        stage.admin.fault(&fault).await.unwrap();
    }
    let effects = stage.apply(tasks).await;
    for (effect, number) in effects.iter().zip(1..) {
        let is_bad = [3, 4, 9].contains(&number);
        assert_eq!(matches!(effect, Effect::Failed(_)), is_bad, "{number}: {effect:?}");
    }
    assert_eq!(stage.attribute(16, "ADDRESS1").await, json!("16 Slow St"));
}

#[tokio::test]
async fn a_rest_of_an_hour_after_a_doubt_keeps_the_doubt() {
    let stage = Stage::city(3).await;
    let new = |key: &str| task(json!({"op": "create", "absent_in": 1, "set": {"CivilWarrant": key}}));
    stage.fault(Action::AppliedThen504, "applyEdits").await;
    stage.fault(Action::RateLimited { retry_after: 3600 }, "/2/query").await;
    let mut tasks = vec![new("E-NEW-1"), new("E-NEW-2")];
    let effects = stage.apply(tasks.clone()).await;
    for effect in &effects {
        let Effect::Halfway(wait) = effect else { panic!("{effects:?}") };
        assert!(wait.time > Duration::from_secs(3500), "{wait:?}");
    }
    // As after an hour, which is long.
    let fresh = crate::stage::system(stage.sandbox.gis_service_url().as_str(), &[]);
    for task in &mut tasks {
        task.doubtful = true;
    }
    let effects = fresh.apply(&stage.collection, tasks).await;
    assert!(effects.iter().all(|it| result(it) == OutcomeResult::Exists), "{effects:?}");
    assert_eq!(stage.admin.features(LAYER).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_rest_of_an_hour_holds_up_no_push_and_is_asked_for_once() {
    for (path, retry_after) in [("/2/query", 3600), ("applyEdits", 3600), ("applyEdits", u64::MAX)] {
        let stage = Stage::city(3).await;
        let tasks = updates(&stage, 1).await;
        stage.fault(Action::RateLimited { retry_after }, path).await;
        let begun = Instant::now();
        for _ in 0..3 {
            let effects = stage.apply(tasks.clone()).await;
            let Effect::NotNow(wait) = &effects[0] else { panic!("{path}: {effects:?}") };
            assert!(wait.time > Duration::from_secs(3500), "{path}: {wait:?}");
            assert_eq!(wait.why.as_ref().unwrap().class, FailureClass::Limited);
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{path}: {:?}", begun.elapsed());
        assert!(stage.system.closed_for().unwrap() > Duration::from_secs(3500), "{path}");
        let calls = stage.calls().await;
        assert!(calls.reads + calls.writes <= 2, "{path}: {calls:?}");
    }
}

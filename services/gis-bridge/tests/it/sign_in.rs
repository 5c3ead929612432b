use std::time::Duration;

use databridge_bridge::{Effect, OutsideSystem, Span};
use databridge_http::ErrorClass;
use databridge_model::OutcomeResult;
use sandbox::GisOptions;
use sandbox::gis::GisAuth;
use serde_json::json;

use crate::stage::{Stage, result, system};

async fn stage(auth: GisAuth, env: &[(&str, &str)]) -> Stage {
    Stage::of(GisOptions { auth, ..GisOptions::city(20, 7) }, env).await
}

const LOGIN: [(&str, &str); 2] = [("GIS_USERNAME", "databridge"), ("GIS_PASSWORD", "sandbox-password")];

#[tokio::test]
async fn a_fixed_token_opens_the_service() {
    let stage = stage(GisAuth::Token, &[("GIS_TOKEN", "sandbox-token")]).await;
    assert_eq!(stage.listed(Span::Whole, None, 999).await.0[0].records.len(), 20);
    assert_eq!(stage.calls().await.other, 0);
}

#[tokio::test]
async fn without_a_sign_in_the_error_says_what_to_set() {
    let stage = stage(GisAuth::Token, &[]).await;
    let error = stage.system.start(&stage.collection, &Span::Whole, None).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorised);
    assert!(error.to_string().contains("GIS_USERNAME"), "{error}");
    let wrong = system(stage.sandbox.gis_service_url().as_str(), &[("GIS_TOKEN", "hunter2")]);
    let error = wrong.start(&stage.collection, &Span::Whole, None).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorised);
    assert!(error.to_string().contains("GIS_TOKEN") && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_token_is_got_by_name_and_password_and_kept() {
    let stage = stage(GisAuth::GenerateToken, &LOGIN).await;
    assert_eq!(stage.listed(Span::Whole, None, 3).await.0.len(), 7);
    let push = stage.update(1, json!({"Court_Status": "Stay"})).await;
    assert_eq!(result(&stage.apply(vec![push]).await[0]), OutcomeResult::Written);
    let made = stage.calls().await.by_path.into_iter().filter(|(path, _)| path.contains("generateToken"));
    assert_eq!(made.map(|(_, times)| times).sum::<u64>(), 1);
}

#[tokio::test]
async fn a_token_that_ends_in_mid_run_is_renewed_once_for_all_calls_under_way() {
    let stage = stage(GisAuth::GenerateToken, &LOGIN).await;
    stage.listed(Span::Whole, None, 999).await;
    let push = stage.update(1, json!({"ADDRESS1": "1 Renewed St"})).await;
    stage.admin.expire_gis_tokens().await.unwrap();
    stage.admin.reset_calls().await.unwrap();
    let (effects, one, two) = tokio::join!(stage.apply(vec![push]), stage.by_id(2), stage.by_id(3));
    assert_eq!(result(&effects[0]), OutcomeResult::Written);
    assert!(!one.deleted && !two.deleted);
    let made = stage.calls().await.by_path.into_iter().filter(|(path, _)| path.contains("generateToken"));
    assert_eq!(made.map(|(_, times)| times).sum::<u64>(), 1);
    // Between the query and the edit, too.
    let push = stage.update(1, json!({"ADDRESS1": "2 Renewed St"})).await;
    let gone = sandbox::faults::Action::Error200 {
        code: 498,
        message: "Invalid token.".into(),
        details: Vec::new(),
    };
    stage.fault(gone, "applyEdits").await;
    assert_eq!(result(&stage.apply(vec![push]).await[0]), OutcomeResult::Written);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let stage = stage(GisAuth::GenerateToken, &LOGIN).await;
    stage.admin.gis_settings(json!({"token_lifetime_seconds": 600})).await.unwrap();
    stage.listed(Span::Whole, None, 999).await;
    stage.clock.advance(chrono::TimeDelta::seconds(601));
    stage.admin.advance_clock(Duration::from_secs(601)).await.unwrap();
    stage.admin.record_traffic(true).await.unwrap();
    stage.listed(Span::Whole, None, 999).await;
    let traffic = format!("{:?}", stage.admin.traffic().await.unwrap());
    assert!(traffic.contains("generateToken") && !traffic.contains("Invalid token"), "{traffic}");
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_pushes_wait() {
    let stage =
        stage(GisAuth::GenerateToken, &[("GIS_USERNAME", "databridge"), ("GIS_PASSWORD", "hunter2")]).await;
    let error = stage.system.start(&stage.collection, &Span::Whole, None).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorised);
    assert!(error.to_string().contains("GIS_PASSWORD") && !error.to_string().contains("hunter2"), "{error}");
    let push = crate::stage::task(json!({"op": "update", "target": {"id": "1"}, "set": {"ADDRESS1": "x"}}));
    assert!(matches!(stage.apply(vec![push]).await[0], Effect::NotNow(_)));
    let made = stage.calls().await.by_path.into_iter().filter(|(path, _)| path.contains("generateToken"));
    assert_eq!(made.map(|(_, times)| times).sum::<u64>(), 1, "many wrong sign-ins lock an account");
}

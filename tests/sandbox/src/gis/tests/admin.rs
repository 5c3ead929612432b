use std::time::Duration;

use axum::http::StatusCode;

use super::*;
use crate::gis::GisAuth;

#[tokio::test]
async fn a_person_adds_edits_and_deletes_and_each_is_dated() {
    let server = Server::of(&["A"]);
    let added = json!([{ "attributes": { "CivilWarrant": "B", "Owner": "Eve" }, "lon": -90.0, "lat": 35.0 }]);
    assert_eq!(server.admin("POST", "layers/2/features", added).await, (StatusCode::OK, json!([2])));
    server.clock.advance(Duration::from_secs(100));
    let before = server.clock.now().timestamp_millis() / 1000 * 1000;
    let edit = json!({ "attributes": { "Floors": 2 }, "lon": -90.1 });
    assert_eq!(server.admin("PATCH", "layers/2/features/2", edit).await.0, StatusCode::OK);
    let (_, rows) = server.admin("GET", "layers/2/features", Value::Null).await;
    let row = &rows[1];
    assert!(
        (row["lon"].as_f64().unwrap() + 90.1).abs() < 1e-8
            && (row["lat"].as_f64().unwrap() - 35.0).abs() < 1e-8
    );
    assert_eq!(row["attributes"]["Floors"], 2);
    assert_eq!(row["attributes"]["last_edited_user"], "map.editor");
    assert!(row["attributes"]["LAST_MODIFIED_DATE"].as_i64().unwrap() >= before);
    assert!(row["attributes"]["CREATION_DATE"].as_i64().unwrap() < before);
    server.admin("PATCH", "layers/2/features/2", json!({ "lon": null, "lat": null })).await;
    let (_, rows) = server.admin("GET", "layers/2/features", Value::Null).await;
    assert_eq!((&rows[1]["lon"], &rows[1]["lat"]), (&Value::Null, &Value::Null));
    server.admin("DELETE", "layers/2/features/2", Value::Null).await;
    assert_eq!(server.warrants("1=1").await, ["A"]);
    let edited =
        server.get(&format!("{LAYER}?f=json")).await["editingInfo"]["lastEditDate"].as_i64().unwrap();
    assert!(edited >= before);
}

#[tokio::test]
async fn what_the_server_would_refuse_is_refused_to_a_person_too() {
    let server = Server::of(&["A"]);
    let before = server.state.snapshot().unwrap();
    let long = json!({ "attributes": { "CivilWarrant": "12345678901" } });
    let (status, reason) = server.admin("PATCH", "layers/2/features/1", long).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reason["error"].as_str().unwrap().contains("1016"), "{reason}");
    for (method, path, body, expected) in [
        ("PATCH", "layers/2/features/1", json!({ "attributes": { "Warrant": "x" } }), 422),
        ("PATCH", "layers/2/features/1", json!({ "attribute": {} }), 422),
        ("POST", "layers/2/features", json!([{ "attributes": { "Owner": "Eve", "Warrant": "x" } }]), 422),
        ("PATCH", "layers/2/features/9", json!({}), 404),
        ("DELETE", "layers/2/features/9", json!({}), 404),
        ("GET", "layers/3/features", json!({}), 404),
        ("POST", "layers/2/settings", json!({ "remove_field": "Nothing" }), 404),
        ("POST", "layers/2/settings", json!({ "max_records": 1 }), 422),
        ("POST", "settings", json!({ "auth": "basic" }), 422),
        ("POST", "layers/2/features", json!([{ "attributes": { "Owner": "E" }, "lon": 1.0 }]), 422),
    ] {
        let (status, answer) = server.admin(method, path, body).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}: {answer}");
    }
    assert_eq!(server.state.snapshot().unwrap(), before);
}

#[tokio::test]
async fn a_person_may_not_add_half_of_a_list() {
    let server = Server::of(&[]);
    let added = json!([{ "attributes": { "Owner": "Eve" } }, { "attributes": {} }]);
    assert_eq!(server.admin("POST", "layers/2/features", added).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(server.warrants("1=1").await.is_empty());
}

#[tokio::test]
async fn switches_of_a_layer_take_effect() {
    let server = Server::of(&["A", "B", "C"]);
    let switch = |body: Value| server.admin("POST", "layers/2/settings", body);
    switch(json!({ "service_limit": 1 })).await;
    let page = server.query(&[("where", "1=1")]).await;
    assert_eq!(
        (page["features"].as_array().unwrap().len(), &page["exceededTransferLimit"]),
        (1, &json!(true))
    );
    assert_eq!(server.get(&format!("{LAYER}?f=json")).await["maxRecordCount"], 2000);
    switch(json!({ "service_limit": null, "max_record_count": 2 })).await;
    assert_eq!(server.query(&[("where", "1=1")]).await["features"].as_array().unwrap().len(), 2);
    assert_eq!(server.get(&format!("{LAYER}?f=json")).await["maxRecordCount"], 2);
    switch(json!({ "remove_field": "floors" })).await;
    assert_eq!(code(&server.query(&[("where", "1=1"), ("outFields", "Floors")]).await), 400);
    switch(json!({ "remove_field": "LAST_MODIFIED_DATE" })).await;
    assert_eq!(server.get(&format!("{LAYER}?f=json")).await["editFieldsInfo"], Value::Null);
}

#[tokio::test]
async fn republishing_moves_every_row_to_other_ids() {
    let server = Server::of(&["A", "B", "C"]);
    let (_, before) = server.admin("GET", "layers/2/features", Value::Null).await;
    assert_eq!(server.admin("POST", "layers/2/republish", json!({})).await.0, StatusCode::OK);
    for row in before.as_array().unwrap() {
        let attributes = &row["attributes"];
        let condition = format!("CivilWarrant = '{}'", attributes["CivilWarrant"].as_str().unwrap());
        let now = server.query(&[("where", &condition), ("outFields", "*")]).await;
        assert_ne!(now["features"][0]["attributes"]["OBJECTID"], attributes["OBJECTID"]);
        assert_ne!(now["features"][0]["attributes"]["GlobalID"], attributes["GlobalID"]);
    }
}

#[tokio::test]
async fn a_snapshot_brings_back_rows_switches_and_tokens() {
    let options = || GisOptions { auth: GisAuth::GenerateToken, ..GisOptions::city(5, 1) };
    let server = Server::with(options());
    let sign_in = [("username", "databridge"), ("password", "sandbox-password")];
    let answer = json_of(server.send(form_request("/arcgis/tokens/generateToken", &sign_in)).await).await;
    let token = answer["token"].as_str().unwrap().to_owned();
    let edit = json!({ "attributes": { "Court_Status": "Stay" } });
    server.admin("PATCH", "layers/2/features/3", edit).await;
    server.admin("POST", "layers/2/settings", json!({ "service_limit": 4 })).await;
    let text = server.state.snapshot().unwrap().to_string();

    let other = Server::with(GisOptions { layers: Vec::new(), ..options() });
    other.state.restore(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(other.state.snapshot().unwrap().to_string(), text);
    let page = other.query(&[("where", "1=1"), ("token", &token), ("outFields", "*")]).await;
    assert_eq!(page["features"].as_array().unwrap().len(), 4);
    let (_, rows) = other.admin("GET", "layers/2/features", Value::Null).await;
    assert_eq!(rows[2]["attributes"]["Court_Status"], "Stay");
    assert_eq!(rows, server.admin("GET", "layers/2/features", Value::Null).await.1);
    assert!(other.state.restore(json!({ "layers": 5 })).is_err());
}

#[tokio::test]
async fn a_query_and_a_refused_edit_change_nothing() {
    let server = Server::of(&["A"]);
    let contents = || {
        let mut contents = server.state.snapshot().unwrap();
        contents["queries"] = Value::Null;
        contents
    };
    let before = contents();
    server.warrants("1=1").await;
    server.post("deleteFeatures", &[("objectIds", "9")]).await;
    assert_eq!(contents(), before);
}

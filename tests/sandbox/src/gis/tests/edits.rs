use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;

use super::*;

fn codes(results: &Value) -> Vec<Option<i64>> {
    let results = results.as_array().unwrap_or_else(|| panic!("{results}"));
    results
        .iter()
        .map(|item| {
            assert_eq!(item["success"], item.get("error").is_none());
            item["error"]["code"].as_i64()
        })
        .collect()
}

/// Applies updates without rollback and gives the error code of each.
async fn update_codes(server: &Server, attributes: Value) -> Vec<Option<i64>> {
    let updates: Vec<Value> =
        attributes.as_array().unwrap().iter().map(|attributes| json!({ "attributes": attributes })).collect();
    let updates = Value::from(updates).to_string();
    codes(
        &server.post("applyEdits", &[("updates", &updates), ("rollbackOnFailure", "false")]).await["updateResults"],
    )
}

async fn last_edit(server: &Server) -> i64 {
    server.get(&format!("{LAYER}?f=json")).await["editingInfo"]["lastEditDate"].as_i64().unwrap()
}

#[tokio::test]
async fn results_come_in_the_order_of_the_request_with_ids() {
    let server = Server::of(&["A", "B", "C"]);
    let adds = json!([
        { "attributes": { "CivilWarrant": "D", "Owner": "Eve" } },
        { "attributes": { "CivilWarrant": "E" } },
        { "attributes": { "civilwarrant": "F", "OWNER": "Eve", "OBJECTID": 77, "Nothing": 1 } },
    ])
    .to_string();
    let updates = json!([
        { "attributes": { "OBJECTID": 3, "Floors": 3 } },
        { "attributes": { "OBJECTID": 99, "Floors": 3 } },
        { "attributes": { "Floors": 3 } },
        { "attributes": { "OBJECTID": 1, "Floors": 1 } },
    ])
    .to_string();
    let form = [
        ("adds", adds.as_str()),
        ("updates", &updates),
        ("deletes", "2, 98"),
        ("rollbackOnFailure", "false"),
    ];
    let answer = server.post("applyEdits", &form).await;
    assert_eq!(codes(&answer["addResults"]), [None, Some(1001), None]);
    assert_eq!(codes(&answer["updateResults"]), [None, Some(1011), Some(1011), None]);
    assert_eq!(codes(&answer["deleteResults"]), [None, Some(1011)]);
    assert_eq!(
        (&answer["addResults"][0]["objectId"], &answer["addResults"][2]["objectId"]),
        (&json!(4), &json!(5))
    );
    assert!(answer["addResults"][1].get("objectId").is_none());
    assert!(answer["addResults"][1]["error"]["description"].is_string());
    assert_eq!(answer["updateResults"][0]["globalId"], server.row(3).await["attributes"]["GlobalID"]);
    assert_eq!(server.warrants("1=1").await, ["A", "C", "D", "F"]);
}

#[tokio::test]
async fn one_failure_takes_all_back_unless_told_otherwise() {
    let server = Server::of(&["A", "B", "C"]);
    let edited = last_edit(&server).await;
    let adds = json!([{ "attributes": { "CivilWarrant": "D", "Owner": "Eve" } }]).to_string();
    let updates = json!([
        { "attributes": { "OBJECTID": 1, "Floors": 1 } },
        { "attributes": { "OBJECTID": 1, "Floors": 2 } },
        { "attributes": { "OBJECTID": 2, "Floors": "many" } },
    ])
    .to_string();
    let before = server.row(1).await;
    let form = [("adds", adds.as_str()), ("updates", &updates), ("deletes", "[3]")];
    let answer = server.post("applyEdits", &form).await;
    assert_eq!(answer["error"]["code"], 400);
    assert_eq!(answer["error"]["message"], "Unable to complete operation.");
    assert_eq!(answer["error"]["details"], json!(vec!["Operation rolled back."; 5]));
    assert_eq!(server.warrants("1=1").await, ["A", "B", "C"]);
    assert_eq!(server.row(1).await, before);
    assert_eq!(last_edit(&server).await, edited);
}

#[tokio::test]
async fn only_what_is_sent_changes_and_the_edit_is_dated() {
    let server = Server::of(&["A"]);
    server.clock.advance(Duration::from_hours(1));
    let before = server.row(1).await;
    let asked = server.clock.now().timestamp_millis();
    let updates = json!([{
        "attributes": { "objectid": 1, "floors": 4, "LAST_MODIFIED_DATE": 5, "GlobalID": "x", "Nothing": 1 },
        "geometry": { "x": -90.0, "y": 35.0, "spatialReference": { "wkid": 4326 } },
    }])
    .to_string();
    let answer = server.post("applyEdits", &[("updates", &updates), ("returnEditMoment", "true")]).await;
    assert_eq!(codes(&answer["updateResults"]), [None]);
    let moment = answer["editMoment"].as_i64().unwrap();
    assert!((asked..asked + 60_000).contains(&moment));
    assert_eq!(last_edit(&server).await, moment);
    let after = server.row(1).await;
    assert!((after["geometry"]["x"].as_f64().unwrap() + 90.0).abs() < 1e-8);
    let mut expected = before["attributes"].clone();
    expected["Floors"] = json!(4);
    expected["LAST_MODIFIED_DATE"] = json!(moment / 1000 * 1000);
    expected["last_edited_user"] = json!("Esri_Anonymous");
    assert_eq!(after["attributes"], expected);

    let keep = json!([{ "attributes": { "OBJECTID": 1 }, "geometry": null }]).to_string();
    server.post("updateFeatures", &[("features", &keep)]).await;
    assert_eq!(server.row(1).await["geometry"], after["geometry"]);
}

#[tokio::test]
async fn values_that_a_field_cannot_take_are_refused_by_code() {
    let server = Server::of(&["A"]);
    let attributes = json!([
        { "OBJECTID": 1, "CivilWarrant": "12345678901" },
        { "OBJECTID": 1, "CivilWarrant": "1234567890" },
        { "OBJECTID": 1, "CivilWarrant": 5 },
        { "OBJECTID": 1, "Floors": "5" },
        { "OBJECTID": 1, "Floors": 5.5 },
        { "OBJECTID": 1, "Floors": 3_000_000_000_i64 },
        { "OBJECTID": 1, "Score": 5 },
        { "OBJECTID": 1, "NextCourtDate": "2026-11-20" },
        { "OBJECTID": 1, "NextCourtDate": 1_795_000_000_000_i64 },
        { "OBJECTID": 1, "Owner": null },
        { "OBJECTID": 1, "Owner": "see <b>file</b>" },
        { "OBJECTID": 1, "Owner": "a < b" },
        { "OBJECTID": 1, "Sealed": "x" },
        { "OBJECTID": "1", "Floors": 5 },
        { "OBJECTID": 1, "Floors": true },
    ]);
    let expected = [
        Some(1016),
        None,
        Some(1016),
        Some(1016),
        Some(1016),
        Some(1016),
        None,
        Some(1016),
        None,
        Some(1001),
        Some(1006),
        None,
        Some(1023),
        Some(1011),
        Some(1016),
    ];
    assert_eq!(update_codes(&server, attributes).await, expected);
    let geometry =
        json!([{ "attributes": { "OBJECTID": 1 }, "geometry": { "x": "-90", "y": "35" } }]).to_string();
    let form = [("features", geometry.as_str()), ("rollbackOnFailure", "false")];
    assert_eq!(codes(&server.post("updateFeatures", &form).await["updateResults"]), [Some(1015)]);
}

#[tokio::test]
async fn an_item_that_fails_changes_nothing_of_its_row() {
    let server = Server::of(&["A"]);
    let before = server.row(1).await;
    let codes = update_codes(&server, json!([{ "OBJECTID": 1, "CivilWarrant": "B", "Floors": "x" }])).await;
    assert_eq!(codes, [Some(1016)]);
    assert_eq!(server.row(1).await, before);
}

#[tokio::test]
async fn a_date_is_kept_in_whole_seconds_unless_it_has_high_precision() {
    let server = Server::of(&["A"]);
    let edit = json!([{ "OBJECTID": 1, "NextCourtDate": 1_795_000_000_999_i64 }]);
    update_codes(&server, edit.clone()).await;
    assert_eq!(server.row(1).await["attributes"]["NextCourtDate"], 1_795_000_000_000_i64);
    server.admin("POST", "layers/2/settings", json!({ "high_precision": true })).await;
    update_codes(&server, edit).await;
    assert_eq!(server.row(1).await["attributes"]["NextCourtDate"], 1_795_000_000_999_i64);
}

#[tokio::test]
async fn chosen_global_ids_make_an_add_that_cannot_happen_twice() {
    let server = Server::of(&["A"]);
    let id = "0a1b2c3d-0000-4000-8000-00000000abcd";
    let stored = "{0A1B2C3D-0000-4000-8000-00000000ABCD}";
    let adds = json!([{ "attributes": { "GlobalID": id, "Owner": "Eve" } }]).to_string();
    let form = [("adds", adds.as_str()), ("useGlobalIds", "true"), ("rollbackOnFailure", "false")];
    let first = server.post("applyEdits", &form).await;
    assert_eq!(first["addResults"][0]["globalId"], stored);
    let second = server.post("applyEdits", &form).await;
    assert_eq!(codes(&second["addResults"]), [Some(1022)]);

    let bare =
        json!([{ "attributes": { "Owner": "Eve" } }, { "attributes": { "GlobalID": "", "Owner": "Eve" } }])
            .to_string();
    let form = [("adds", bare.as_str()), ("useGlobalIds", "true"), ("rollbackOnFailure", "false")];
    assert_eq!(codes(&server.post("applyEdits", &form).await["addResults"]), [Some(1020), Some(1021)]);

    let update = json!([{ "attributes": { "GlobalID": stored, "Floors": 9 } }]).to_string();
    let deletes = json!([id]).to_string();
    let form = [("updates", update.as_str()), ("deletes", &deletes), ("useGlobalIds", "true")];
    let answer = server.post("applyEdits", &form).await;
    assert_eq!((codes(&answer["updateResults"]), codes(&answer["deleteResults"])), (vec![None], vec![None]));
    assert_eq!(server.warrants("1=1").await, ["A"]);

    // Without the parameter the server chooses, and the one sent is passed over.
    let answer = server.post("addFeatures", &[("features", &adds)]).await;
    assert_eq!(codes(&answer["addResults"]), [None]);
    assert_ne!(answer["addResults"][0]["globalId"], stored);
}

#[tokio::test]
async fn rows_are_deleted_by_id_or_by_condition() {
    let server = Server::of(&["A", "B", "C", "D"]);
    let answer = server.post("deleteFeatures", &[("objectIds", "1")]).await;
    assert_eq!(answer["deleteResults"][0]["objectId"], 1);
    assert_eq!(code(&server.post("deleteFeatures", &[("objectIds", "2,1")]).await), 400);
    server.post("deleteFeatures", &[("where", "CivilWarrant IN ('B', 'C')")]).await;
    assert_eq!(server.warrants("1=1").await, ["D"]);
    assert_eq!(code(&server.post("deleteFeatures", &[]).await), 400);
    // Ids are not given again.
    let adds = json!([{ "attributes": { "Owner": "Eve" } }]).to_string();
    assert_eq!(server.post("addFeatures", &[("features", &adds)]).await["addResults"][0]["objectId"], 5);
}

#[tokio::test]
async fn edits_are_posted_as_forms_or_not_at_all() {
    let server = Server::of(&["A"]);
    for operation in ["applyEdits", "addFeatures", "updateFeatures", "deleteFeatures"] {
        let address = format!("{LAYER}/{operation}?f=json&deletes=1&objectIds=1");
        let response = server.send(Request::get(&address).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    let as_json = Request::post(format!("{LAYER}/applyEdits?f=json"))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(json!({ "deletes": "1" }).to_string()))
        .unwrap();
    assert_eq!(code(&json_of(server.send(as_json).await).await), 400);
    for (name, value) in [("adds", "{}"), ("updates", "[1]"), ("deletes", "a"), ("adds", "[{\"attributes\":")]
    {
        assert_eq!(code(&server.post("applyEdits", &[(name, value)]).await), 400, "{name}={value}");
    }
    assert_eq!(server.warrants("1=1").await, ["A"]);
}

#[tokio::test]
async fn without_tracking_an_edit_leaves_no_date() {
    let server = Server::of(&["A"]);
    server
        .admin("POST", "layers/2/settings", json!({ "edit_tracking": false, "last_edit_date": false }))
        .await;
    let layer = server.get(&format!("{LAYER}?f=json")).await;
    assert_eq!(layer["editFieldsInfo"], Value::Null);
    assert!(layer.get("editingInfo").is_none());
    let before = server.row(1).await["attributes"]["LAST_MODIFIED_DATE"].clone();
    assert_eq!(update_codes(&server, json!([{ "OBJECTID": 1, "Floors": 5 }])).await, [None]);
    assert_eq!(server.row(1).await["attributes"]["LAST_MODIFIED_DATE"], before);
}

#[tokio::test]
async fn an_edit_that_asks_for_what_is_not_played_is_refused_and_does_nothing() {
    let server = Server::of(&["A"]);
    for (name, value) in [
        ("async", "true"),
        ("attachments", "{}"),
        ("geometry", "0,0,1,1"),
        ("returnEditResults", "false"),
        ("gdbVersion", "SDE.DEFAULT"),
    ] {
        for operation in ["applyEdits", "deleteFeatures"] {
            let form = [("deletes", "1"), ("where", "1=1"), (name, value)];
            assert_eq!(code(&server.post(operation, &form).await), 400, "{operation} {name}");
        }
    }
    assert_eq!(server.warrants("1=1").await, ["A"]);
}

#[tokio::test]
async fn a_form_larger_than_a_server_takes_is_refused_with_413() {
    let server = Server::of(&["A"]);
    let adds = json!([{ "attributes": { "Owner": "x".repeat(2 << 20) } }]).to_string();
    let form = form_request(&format!("{LAYER}/applyEdits"), &[("adds", &adds)]);
    assert_eq!(server.send(form).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

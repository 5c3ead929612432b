//! A second layer with names of its own: the history, whose rows bring their own global ids.

use super::*;
use crate::city::City;

const HISTORY: &str = "/arcgis/rest/services/Code/Litigations/FeatureServer/6";
const CHOSEN: &str = "0a1b2c3d-0000-4000-8000-00000000abcd";
const STORED: &str = "{0A1B2C3D-0000-4000-8000-00000000ABCD}";

fn city() -> Server {
    Server::with(GisOptions::of_city(City { history: false, ..City::new(5, 1) }))
}

impl Server {
    async fn to_history(&self, operation: &str, form: &[(&str, &str)]) -> Value {
        json_of(self.send(form_request(&format!("{HISTORY}/{operation}"), form)).await).await
    }

    /// Adds rows with these global ids, without rollback, and gives the error code of each.
    async fn add(&self, global_ids: &[Value]) -> Vec<Option<i64>> {
        let row = |id: &Value| json!({ "attributes": { "GlobalID": id, "CivilWarrant": "E-1" } });
        let adds = Value::from(global_ids.iter().map(row).collect::<Vec<_>>()).to_string();
        let form = [("adds", adds.as_str()), ("useGlobalIds", "true"), ("rollbackOnFailure", "false")];
        let answer = self.to_history("applyEdits", &form).await;
        let results = answer["addResults"].as_array().unwrap_or_else(|| panic!("{answer}"));
        results.iter().map(|result| result["error"]["code"].as_i64()).collect()
    }

    async fn history_ids(&self, condition: &str) -> Vec<String> {
        let answer = self.to_history("query", &[("where", condition), ("outFields", "GlobalID")]).await;
        let features = answer["features"].as_array().unwrap_or_else(|| panic!("{answer}"));
        features.iter().map(|row| row["attributes"]["GlobalID"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn each_layer_tells_its_own_names() {
    let server = city();
    let litigations = server.get(&format!("{LAYER}?f=json")).await;
    let history = server.get(&format!("{HISTORY}?f=json")).await;
    assert_eq!(litigations["editFieldsInfo"]["editDateField"], "LAST_MODIFIED_DATE");
    assert_eq!(history["editFieldsInfo"]["editDateField"], "last_edited_date");
    assert_eq!(history["editFieldsInfo"]["creationDateField"], "created_date");
    assert_eq!((&litigations["hasAttachments"], &history["hasAttachments"]), (&json!(true), &json!(false)));
    let hosted =
        Layer::named(3, "Hosted", crate::gis::SystemNames::of_a_hosted_layer(), vec![Field::text("Name", 9)]);
    let server = Server::with(GisOptions::layers(vec![hosted]));
    let address = "/arcgis/rest/services/Code/Litigations/FeatureServer/3";
    let adds = json!([{ "attributes": { "Name": "x", "EditDate": 1 } }]).to_string();
    let added =
        json_of(server.send(form_request(&format!("{address}/applyEdits"), &[("adds", &adds)])).await).await;
    assert_eq!(added["addResults"][0]["objectId"], 1);
    let form = [("where", "EditDate > DATE '2020-01-01'"), ("outFields", "Editor")];
    let rows = json_of(server.send(form_request(&format!("{address}/query"), &form)).await).await;
    assert_eq!(rows["features"][0]["attributes"], json!({ "Editor": "Esri_Anonymous" }));
}

#[tokio::test]
async fn a_row_keeps_the_global_id_that_its_client_chose_and_a_second_one_of_it_is_refused() {
    let server = city();
    assert_eq!(server.add(&[json!(CHOSEN)]).await, [None]);
    let other = "{11111111-0000-4000-8000-00000000ABCD}";
    assert_eq!(
        server.add(&[json!(STORED), json!(other), Value::Null, json!("x")]).await,
        [Some(1022), None, Some(1021), Some(1021)]
    );
    assert_eq!(server.add(&[json!(other.to_lowercase())]).await, [Some(1022)]);
    let mut all = server.history_ids("1=1").await;
    all.sort();
    assert_eq!(all, [STORED, other]);
    let adds = json!([{ "attributes": { "CivilWarrant": "E-1" } }]).to_string();
    let form = [("adds", adds.as_str()), ("useGlobalIds", "true"), ("rollbackOnFailure", "false")];
    assert_eq!(server.to_history("applyEdits", &form).await["addResults"][0]["error"]["code"], 1020);
}

#[tokio::test]
async fn a_row_is_found_by_its_global_id_in_any_case_with_braces_and_without() {
    let server = city();
    server.add(&[json!(CHOSEN), json!("11111111-0000-4000-8000-00000000abcd")]).await;
    for text in [CHOSEN, STORED, &CHOSEN.to_uppercase(), &STORED.to_lowercase()] {
        assert_eq!(server.history_ids(&format!("GlobalID = '{text}'")).await, [STORED], "{text}");
        assert_eq!(server.history_ids(&format!("globalid IN ('{text}')")).await, [STORED], "{text}");
    }
    let refused = server.to_history("query", &[("where", "GlobalID = 'x'")]).await;
    assert_eq!(code(&refused), 400);
}

#[tokio::test]
async fn a_layer_that_takes_no_client_global_ids_refuses_them() {
    let server = city();
    server.admin("POST", "layers/6/settings", json!({ "client_global_ids": false })).await;
    let service = server.get("/arcgis/rest/services/Code/Litigations/FeatureServer?f=json").await;
    assert_eq!(service["supportsApplyEditsWithGlobalIds"], false);
    assert_eq!(server.get(&format!("{HISTORY}?f=json")).await["supportsApplyEditsWithGlobalIds"], false);
    assert_eq!(server.get(&format!("{LAYER}?f=json")).await["supportsApplyEditsWithGlobalIds"], true);
    let adds = json!([{ "attributes": { "GlobalID": CHOSEN } }]).to_string();
    assert_eq!(
        code(&server.to_history("applyEdits", &[("adds", &adds), ("useGlobalIds", "true")]).await),
        400
    );
    assert!(server.history_ids("1=1").await.is_empty());
}

#[tokio::test]
async fn without_use_global_ids_and_with_add_features_the_server_chooses() {
    let server = city();
    let adds = json!([{ "attributes": { "GlobalID": CHOSEN } }]).to_string();
    server.to_history("applyEdits", &[("adds", &adds)]).await;
    // Esri's addFeatures has no parameter useGlobalIds.
    server.to_history("addFeatures", &[("features", &adds), ("useGlobalIds", "true")]).await;
    let ids = server.history_ids("1=1").await;
    assert!(ids.len() == 2 && !ids.contains(&STORED.to_owned()), "{ids:?}");
}

#[tokio::test]
async fn the_history_can_be_a_table() {
    let server = city();
    assert_eq!(server.get(&format!("{HISTORY}?f=json")).await["type"], "Feature Layer");
    server.admin("POST", "layers/6/settings", json!({ "table": true })).await;
    assert_eq!(server.get(&format!("{HISTORY}?f=json")).await["type"], "Table");
    let adds =
        json!([{ "attributes": { "CivilWarrant": "E-1" }, "geometry": { "x": 1.0, "y": 1.0 } }]).to_string();
    server.to_history("applyEdits", &[("adds", &adds)]).await;
    let row = &server.to_history("query", &[("where", "1=1")]).await["features"][0];
    assert!(row.get("geometry").is_none());
    let table = City { history_table: true, ..City::new(50, 1) };
    let server = Server::with(GisOptions::of_city(table));
    let service = server.get("/arcgis/rest/services/Code/Litigations/FeatureServer?f=json").await;
    assert_eq!(service["tables"][0]["id"], 6);
}

#[tokio::test]
async fn a_person_adds_edits_and_deletes_rows_of_history() {
    let server = city();
    let added = json!([{ "attributes": { "CivilWarrant": "E-1", "Status_1": "Dismissed" }, "lon": -90.0, "lat": 35.0 }]);
    let (_, ids) = server.admin("POST", "layers/6/features", added).await;
    let path = format!("layers/6/features/{}", ids[0]);
    server.admin("PATCH", &path, json!({ "attributes": { "DismissStatus": "Dismissed with costs" } })).await;
    let (_, rows) = server.admin("GET", "layers/6/features", Value::Null).await;
    assert_eq!(rows[0]["attributes"]["DismissStatus"], "Dismissed with costs");
    assert_eq!(rows[0]["attributes"]["last_edited_user"], "map.editor");
    server.admin("DELETE", &path, Value::Null).await;
    assert!(server.history_ids("1=1").await.is_empty());
}

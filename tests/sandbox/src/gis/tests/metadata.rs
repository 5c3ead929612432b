use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use serde_json::Map;

use super::*;
use crate::calls::Effect;
use crate::gis::effect;

const SERVICE: &str = "/arcgis/rest/services/Code/Litigations/FeatureServer";

#[tokio::test]
async fn a_layer_tells_its_ids_fields_limits_and_tracking() {
    let server = Server::of(&["A"]);
    let layer = server.get(&format!("{LAYER}?f=json")).await;
    assert_eq!(layer["objectIdField"], "OBJECTID");
    assert_eq!(layer["globalIdField"], "GlobalID");
    assert_eq!(layer["maxRecordCount"], 2000);
    assert_eq!(layer["type"], "Feature Layer");
    assert_eq!(layer["extent"]["spatialReference"]["wkid"], 102_100);
    assert_eq!(layer["editFieldsInfo"]["editDateField"], "LAST_MODIFIED_DATE");
    assert_eq!(layer["editFieldsInfo"]["creationDateField"], "CREATION_DATE");
    assert_eq!(layer["advancedQueryCapabilities"]["supportsPagination"], true);
    assert!(layer["editingInfo"]["lastEditDate"].as_i64().unwrap() > 1_600_000_000_000);
    let fields: Map<String, Value> = layer["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| (field["name"].as_str().unwrap().to_owned(), field.clone()))
        .collect();
    assert_eq!(fields["OBJECTID"]["type"], "esriFieldTypeOID");
    assert_eq!(fields["GlobalID"]["type"], "esriFieldTypeGlobalID");
    assert_eq!(fields["CivilWarrant"]["length"], 10);
    assert_eq!(
        (&fields["Owner"]["nullable"], &fields["CivilWarrant"]["nullable"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(fields["LAST_MODIFIED_DATE"]["editable"], false);
    assert_eq!(fields["NextCourtDate"]["type"], "esriFieldTypeDate");
}

#[tokio::test]
async fn the_sample_city_has_the_layers_of_the_service() {
    let city = crate::city::City { history: false, ..crate::city::City::new(10, 1) };
    let server = Server::with(GisOptions::of_city(city));
    let service = server.get(&format!("{SERVICE}?f=pjson")).await;
    let ids: Vec<_> =
        service["layers"].as_array().unwrap().iter().map(|layer| layer["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [2, 6]);
    assert_eq!(server.query(&[("where", "1=1"), ("returnCountOnly", "true")]).await, json!({ "count": 10 }));
    let history = server.get(&format!("{SERVICE}/6/query?where=1%3D1&returnIdsOnly=true&f=json")).await;
    assert_eq!(history["objectIds"], Value::Null);
}

#[tokio::test]
async fn a_table_has_no_geometry() {
    let server = Server::with(GisOptions::layers(vec![cases(&["A"]).without_geometry()]));
    let table = server.get(&format!("{LAYER}?f=json")).await;
    assert_eq!(table["type"], "Table");
    assert!(table.get("geometryType").is_none() && table.get("extent").is_none());
    let answer = server.query(&[("where", "1=1")]).await;
    assert!(answer["features"][0].get("geometry").is_none() && answer.get("spatialReference").is_none());
}

#[tokio::test]
async fn without_a_format_the_answer_is_a_page() {
    let server = Server::of(&["A"]);
    for path in [format!("{LAYER}/query?where=1%3D1"), LAYER.to_owned(), "/arcgis/rest/info".to_owned()] {
        let response = server.send(Request::get(&path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{path}");
        assert!(text_of(response).await.starts_with("<!DOCTYPE html>"));
    }
    assert_eq!(code(&server.get(&format!("{LAYER}/query?where=1%3D1&f=geojson")).await), 400);
}

#[tokio::test]
async fn the_server_tells_where_tokens_are_made() {
    let server = Server::of(&[]);
    let request = Request::get("/arcgis/rest/info?f=json").header("host", "gis.example:81");
    let info = json_of(server.send(request.body(Body::empty()).unwrap()).await).await;
    assert_eq!(info["authInfo"]["tokenServicesUrl"], "http://gis.example:81/arcgis/tokens/");
}

#[tokio::test]
async fn what_the_service_does_not_have_is_refused_with_http_200() {
    let server = Server::of(&["A"]);
    assert_eq!(code(&server.get(&format!("{SERVICE}/3?f=json")).await), 400);
    assert_eq!(code(&server.get(&format!("{LAYER}/queryAttachments?f=json")).await), 400);
    assert_eq!(code(&server.get(&format!("{LAYER}/query/more?f=json")).await), 400);
    assert_eq!(code(&server.get("/arcgis/rest/services/Code/Other/FeatureServer/2?f=json").await), 404);
}

#[tokio::test]
async fn a_query_string_over_2048_bytes_is_answered_404_as_by_iis() {
    let server = Server::of(&["A"]);
    let long = format!("{LAYER}/query?f=json&where=CivilWarrant%20IN%20({})", "'A',".repeat(600) + "'A'");
    let response = server.send(Request::get(&long).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let in_the_form = format!("CivilWarrant IN ({})", "'A',".repeat(60_000) + "'A'");
    assert_eq!(server.warrants(&in_the_form).await, ["A"]);
    let adds = format!("{LAYER}/addFeatures?f=json&features={}", "x".repeat(2048));
    let response = server.send(Request::post(&adds).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[test]
fn effects_are_told_by_what_is_done_and_not_by_the_verb() {
    let query = format!("{LAYER}/query");
    assert_eq!(effect(&Method::POST, &query), Effect::Read);
    assert_eq!(effect(&Method::GET, &query), Effect::Read);
    assert_eq!(effect(&Method::GET, LAYER), Effect::Read);
    assert_eq!(effect(&Method::GET, "/rest/info"), Effect::Read);
    for edit in ["applyEdits", "addFeatures", "updateFeatures", "deleteFeatures"] {
        assert_eq!(effect(&Method::POST, &format!("{LAYER}/{edit}")), Effect::Write);
    }
    assert_eq!(effect(&Method::POST, "/arcgis/tokens/generateToken"), Effect::Other);
    assert_eq!(effect(&Method::POST, "/arcgis/tokens/"), Effect::Other);
}

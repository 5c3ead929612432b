//! Counters, recording, clock, compression, and a person's hand on the layer.

use std::time::Duration;

use chrono::DateTime;
use reqwest::{Method, header};
use sandbox::calls::System;
use sandbox::client::{GisEdit, GisFeature};
use serde_json::{Value, json};

use crate::house::House;

#[tokio::test]
async fn every_call_is_counted_once_by_its_effect() {
    let house = House::open().await;
    let opened = house.admin.calls().await.unwrap().clio;
    assert_eq!((opened.reads, opened.writes, opened.other), (0, 0, 3), "the page, its answer, the token");
    assert_eq!(opened.by_path["POST oauth/token"], 1);
    house.admin.reset_calls().await.unwrap();

    house.get("matters").await;
    let id = house.create("groups", &json!({"name": "x"})).await;
    house.get(&format!("groups/{id}")).await;
    let service = house.sandbox.gis_service_url();
    let form = [("f", "json"), ("where", "1=1"), ("returnCountOnly", "true")];
    house.http.post(format!("{service}/2/query")).form(&form).send().await.unwrap();
    house.http.get(format!("{service}?f=json")).send().await.unwrap();
    let edits = [("f", "json"), ("deletes", "[]")];
    house.http.post(format!("{service}/2/applyEdits")).form(&edits).send().await.unwrap();

    let calls = house.admin.calls().await.unwrap();
    assert_eq!((calls.clio.reads, calls.clio.writes, calls.clio.other), (2, 1, 0));
    assert_eq!(calls.clio.by_path["GET groups/{id}"], 1);
    let gis = calls.of(System::Gis);
    assert_eq!((gis.reads, gis.writes, gis.other), (2, 1, 0));
    assert_eq!((gis.by_path["POST 2/query"], gis.by_path["GET FeatureServer"]), (1, 1));
}

#[tokio::test]
async fn recorded_traffic_holds_everything_but_the_token() {
    let house = House::open().await;
    house.get("groups").await;
    assert!(house.admin.traffic().await.unwrap().is_empty());
    house.admin.record_traffic(true).await.unwrap();
    house.create("groups?fields=id,name", &json!({"name": "x"})).await;
    house.admin.record_traffic(false).await.unwrap();
    house.get("groups").await;
    let traffic = house.admin.traffic().await.unwrap();
    assert_eq!(traffic.len(), 1);
    let only = &traffic[0];
    assert_eq!((only.method.as_str(), only.path.as_str(), only.status), ("POST", "/api/v4/groups", 201));
    assert_eq!(only.query, "fields=id,name");
    assert_eq!(only.request_body, r#"{"data":{"name":"x"}}"#);
    assert_eq!(serde_json::from_str::<Value>(&only.response_body).unwrap()["data"]["name"], "x");
    assert!(only.request_headers.contains_key("content-type"));
    assert!(!serde_json::to_string(&traffic).unwrap().contains(&house.token));
}

#[tokio::test]
async fn the_clock_moves_both_systems_and_their_date_header() {
    let house = House::open().await;
    let machine = house.sandbox.clock().now();
    house.admin.advance_clock(Duration::from_secs(86_400)).await.unwrap();
    let response = house.request(Method::GET, "groups").send().await.unwrap();
    let date = DateTime::parse_from_rfc2822(response.headers()[header::DATE].to_str().unwrap()).unwrap();
    let ahead = (date.to_utc() - machine).num_seconds();
    assert!((86_395..=86_405).contains(&ahead), "{ahead}");
}

#[tokio::test]
async fn answers_are_compressed_when_asked() {
    let house = House::open().await;
    // A client that would decode answers itself hides how they came.
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let url = format!("{}api/v4/matters", house.sandbox.url());
    let ask = |encoding: &'static str| {
        plain.get(&url).bearer_auth(&house.token).header(header::ACCEPT_ENCODING, encoding)
    };
    assert_eq!(ask("gzip").send().await.unwrap().headers()[header::CONTENT_ENCODING], "gzip");
    assert!(!ask("identity").send().await.unwrap().headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn a_persons_hand_on_the_layer_reaches_through_the_typed_client() {
    let house = House::open().await;
    let rows = house.admin.features(2).await.unwrap();
    assert_eq!(rows.len(), 5);
    let id = rows[0].attributes["OBJECTID"].as_i64().unwrap();
    let edit = GisEdit::field("ADDRESS1", "1 Beale St").and_place(Some((-90.05, 35.14)));
    house.admin.edit_feature(2, id, &edit).await.unwrap();
    let mut new = GisFeature { attributes: rows[1].attributes.clone(), lon: None, lat: None };
    new.attributes.insert("CivilWarrant".to_owned(), json!("E-99-00001"));
    let added = house.admin.add_features(2, &[new]).await.unwrap();
    house.admin.delete_feature(2, rows[1].attributes["OBJECTID"].as_i64().unwrap()).await.unwrap();
    let now = house.admin.features(2).await.unwrap();
    let row = |id: i64| now.iter().find(|row| row.attributes["OBJECTID"] == id).unwrap();
    assert_eq!(row(id).attributes["ADDRESS1"], "1 Beale St");
    assert!((row(id).lon.unwrap() + 90.05).abs() < 1e-6);
    assert_eq!((row(added[0]).lon, now.len()), (None, 5));
    house.admin.edit_feature(2, id, &GisEdit::default().and_place(None)).await.unwrap();
    assert_eq!(house.admin.features(2).await.unwrap().iter().filter(|row| row.lon.is_none()).count(), 2);
    house.admin.layer_settings(2, json!({"max_record_count": 2})).await.unwrap();
    house.admin.gis_settings(json!({"auth": "token"})).await.unwrap();
    house.admin.expire_gis_tokens().await.unwrap();
    house.admin.republish(2).await.unwrap();
    let renewed = house.admin.features(2).await.unwrap();
    assert!(renewed.iter().all(|row| row.attributes["OBJECTID"] != id));
}

#[tokio::test]
async fn a_path_of_no_system_is_404() {
    let house = House::open().await;
    let response = house.http.get(house.sandbox.url().join("elsewhere").unwrap()).send().await.unwrap();
    assert_eq!(response.status(), 404);
}

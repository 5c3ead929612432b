use std::collections::BTreeSet;

use super::*;

fn ids(answer: &Value) -> Vec<i64> {
    let features = answer["features"].as_array().unwrap_or_else(|| panic!("{answer}"));
    features.iter().map(|feature| feature["attributes"]["OBJECTID"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_where_selects_and_one_is_needed() {
    let server = Server::of(&["A", "B", "C"]);
    assert_eq!(server.warrants("civilwarrant IN ('A', 'C')").await, ["A", "C"]);
    assert_eq!(server.warrants("GlobalID IS NOT NULL AND NOT OBJECTID = 2").await, ["A", "C"]);
    assert_eq!(code(&server.query(&[("where", "")]).await), 400);
    assert_eq!(code(&server.query(&[("outFields", "*")]).await), 400);
    let bare_date = server.query(&[("where", "LAST_MODIFIED_DATE > '2021-07-01T10:10:10+00:00'")]).await;
    assert_eq!(code(&bare_date), 400);
}

#[tokio::test]
async fn an_unknown_field_is_refused_wherever_it_stands() {
    let server = Server::of(&["A"]);
    for form in [
        [("where", "Warrant = 'A'"), ("outFields", "*")],
        [("where", "1=1"), ("outFields", "OBJECTID,Warrant")],
        [("where", "1=1"), ("orderByFields", "Warrant DESC")],
    ] {
        let answer = server.query(&form).await;
        assert_eq!(code(&answer), 400, "{form:?}");
        assert_eq!(answer["error"]["message"], "Cannot perform query. Invalid query parameters.");
    }
}

#[tokio::test]
async fn fields_come_only_when_asked_for_and_under_their_own_names() {
    let server = Server::of(&["A"]);
    let none = server.query(&[("where", "1=1")]).await;
    assert_eq!(none["features"][0]["attributes"], json!({}));
    let some = server.query(&[("where", "1=1"), ("outFields", "civilwarrant, OBJECTID")]).await;
    assert_eq!(some["features"][0]["attributes"], json!({ "CivilWarrant": "A", "OBJECTID": 1 }));
    assert_eq!(some["fields"].as_array().unwrap().len(), 2);
    let all = server.query(&[("where", "1=1"), ("outFields", "*")]).await;
    assert_eq!(all["features"][0]["attributes"].as_object().unwrap().len(), 12);
    assert_eq!(all["features"][0]["attributes"]["Floors"], Value::Null);
}

#[tokio::test]
async fn points_are_in_metres_unless_degrees_are_asked_for() {
    let server = Server::of(&["A"]);
    let metres = server.query(&[("where", "1=1")]).await;
    assert_eq!(metres["spatialReference"]["wkid"], 102_100);
    assert!((metres["features"][0]["geometry"]["x"].as_f64().unwrap() + 8_131_340.554).abs() < 0.001);
    for reference in ["4326", "{\"wkid\":4326}"] {
        let degrees = server.query(&[("where", "1=1"), ("outSR", reference)]).await;
        assert_eq!(degrees["spatialReference"]["wkid"], 4326);
        assert!((degrees["features"][0]["geometry"]["x"].as_f64().unwrap() + 73.045_075).abs() < 1e-8);
    }
    let rounded = server.query(&[("where", "1=1"), ("outSR", "4326"), ("geometryPrecision", "6")]).await;
    assert_eq!(rounded["features"][0]["geometry"], json!({ "x": -73.045_075, "y": 40.816_799 }));
    assert_eq!(code(&server.query(&[("where", "1=1"), ("outSR", "2277")]).await), 400);
    let without = server.query(&[("where", "1=1"), ("returnGeometry", "false")]).await;
    assert!(without["features"][0].get("geometry").is_none());
}

#[tokio::test]
async fn a_page_is_capped_and_says_only_then_that_there_is_more() {
    let server =
        Server::with(GisOptions { max_record_count: 2, ..GisOptions::layers(vec![cases(&["A"; 5])]) });
    let page = |offset: &'static str, count: &'static str| {
        let server = &server;
        async move {
            let form = [
                ("where", "1=1"),
                ("outFields", "OBJECTID"),
                ("orderByFields", "OBJECTID"),
                ("resultOffset", offset),
                ("resultRecordCount", count),
            ];
            let answer = server.query(&form).await;
            (ids(&answer), answer.get("exceededTransferLimit").cloned())
        }
    };
    assert_eq!(page("0", "100").await, (vec![1, 2], Some(json!(true))));
    assert_eq!(page("2", "1").await, (vec![3], Some(json!(true))));
    assert_eq!(page("4", "").await, (vec![5], None));
    assert_eq!(page("9", "").await, (vec![], None));
    assert_eq!(code(&server.query(&[("where", "1=1"), ("resultRecordCount", "0")]).await), 400);
    assert_eq!(code(&server.query(&[("where", "1=1"), ("resultOffset", "-1")]).await), 400);
    let count =
        server.query(&[("where", "1=1"), ("returnCountOnly", "true"), ("returnIdsOnly", "true")]).await;
    assert_eq!(count, json!({ "count": 5 }));
}

#[tokio::test]
async fn ids_have_no_limit_and_no_ids_are_null() {
    let server =
        Server::with(GisOptions { max_record_count: 2, ..GisOptions::layers(vec![cases(&["A"; 50])]) });
    let answer = server.query(&[("where", "1=1"), ("returnIdsOnly", "true")]).await;
    let ids: BTreeSet<_> =
        answer["objectIds"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=50).collect());
    let none = server.query(&[("where", "1=2"), ("returnIdsOnly", "true")]).await;
    assert_eq!(none, json!({ "objectIdFieldName": "OBJECTID", "objectIds": null }));
    assert_eq!(code(&server.query(&[("objectIds", "1"), ("returnIdsOnly", "true")]).await), 400);
}

#[tokio::test]
async fn the_order_is_chance_unless_asked_for() {
    let server = Server::of(&["A"; 60]);
    let form = [("where", "1=1"), ("outFields", "OBJECTID")];
    let (first, second) = (ids(&server.query(&form).await), ids(&server.query(&form).await));
    assert_ne!(first, second);
    // All rows were edited at the same moment, so that this order leaves everything open.
    let tied = [("where", "1=1"), ("outFields", "OBJECTID"), ("orderByFields", "LAST_MODIFIED_DATE")];
    assert_ne!(ids(&server.query(&tied).await), ids(&server.query(&tied).await));
    let down =
        [("where", "1=1"), ("outFields", "OBJECTID"), ("orderByFields", "CivilWarrant, objectid desc")];
    assert_eq!(ids(&server.query(&down).await), (1..=60).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn object_ids_and_where_both_bind() {
    let server = Server::of(&["A", "B", "C"]);
    let form = [("objectIds", "1, 2,99"), ("outFields", "OBJECTID"), ("orderByFields", "OBJECTID")];
    assert_eq!(ids(&server.query(&form).await), [1, 2]);
    let form = [("objectIds", "1,2"), ("where", "CivilWarrant <> 'A'"), ("outFields", "OBJECTID")];
    assert_eq!(ids(&server.query(&form).await), [2]);
    assert_eq!(code(&server.query(&[("objectIds", "1;2")]).await), 400);
}

#[tokio::test]
async fn what_is_not_played_is_refused_and_not_passed_over() {
    let server = Server::of(&["A"]);
    for (name, value) in
        [("outStatistics", "[{}]"), ("geometry", "0,0,1,1"), ("returnDistinctValues", "true")]
    {
        assert_eq!(code(&server.query(&[("where", "1=1"), (name, value)]).await), 400, "{name}");
    }
}

#[tokio::test]
async fn an_edit_is_found_by_its_date_in_utc() {
    let server = Server::of(&["A", "B"]);
    let before = server.clock.now();
    let update = json!([{ "attributes": { "OBJECTID": 2, "Floors": 3 } }]).to_string();
    server.post("updateFeatures", &[("features", &update)]).await;
    let since = format!("LAST_MODIFIED_DATE >= TIMESTAMP '{}'", before.format("%Y-%m-%d %H:%M:%S"));
    assert_eq!(server.warrants(&since).await, ["B"]);
}

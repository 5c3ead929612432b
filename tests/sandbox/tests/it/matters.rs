//! Matters and their custom field values: making, changing, deleting.

use std::time::Duration;

use reqwest::{Method, header};
use sandbox::clio::hand::{ClioSettings, FieldEdit, MatterEdit, TextLimits};
use serde_json::{Value, json};

use crate::house::{Furniture, House, error_of};

const SHOWN: &str =
    "fields=id,etag,description,status,updated_at,custom_field_values{id,value,custom_field,picklist_option}";

async fn shown(house: &House, id: i64) -> Value {
    house.get(&format!("matters/{id}?{SHOWN}")).await["data"].clone()
}

fn value_of(matter: &Value, field: i64) -> Option<&Value> {
    let values = matter["custom_field_values"].as_array().unwrap();
    values.iter().find(|value| value["custom_field"]["id"] == field)
}

async fn made(house: &House) -> (Furniture, i64) {
    let furniture = house.furnish().await;
    let id = house.create("matters", &furniture.matter("E-23-00017")).await;
    (furniture, id)
}

async fn patched(house: &House, id: i64, data: Value) -> u16 {
    house.send(Method::PATCH, &format!("matters/{id}"), &data).await.status().as_u16()
}

#[tokio::test]
async fn a_new_matter_answers_with_its_minimal_record_and_its_etag() {
    let house = House::open().await;
    let furniture = house.furnish().await;
    let response = house.send(Method::POST, "matters", &furniture.matter("E-23-00017")).await;
    assert_eq!(response.status(), 201);
    let etag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert!(response.headers().contains_key(header::LAST_MODIFIED));
    let data = response.json::<Value>().await.unwrap()["data"].clone();
    let mut names: Vec<_> = data.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["display_number", "etag", "id"]);
    assert!(data["display_number"].as_str().unwrap().ends_with("-NP Clinic Client Test"));
    assert_eq!(data["etag"], json!(etag));
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 34);
}

#[tokio::test]
async fn values_have_composite_text_ids_and_a_picklist_shows_the_option_id() {
    let house = House::open().await;
    let (furniture, id) = made(&house).await;
    let matter = shown(&house, id).await;
    assert_eq!(matter["status"], "Open");
    assert!(matter["updated_at"].as_str().unwrap().len() == "2026-11-20T15:00:00Z".len());
    let warrant = value_of(&matter, furniture.warrant).unwrap();
    assert!(warrant["id"].as_str().unwrap().starts_with("text_line-"));
    assert_eq!(warrant["value"], "E-23-00017");
    let status = value_of(&matter, furniture.court_status).unwrap();
    assert_eq!(status["value"], json!(furniture.hearing));
    let option = status["picklist_option"].as_object().unwrap();
    assert_eq!(option.len(), 2, "a record of the second level shows id and etag only");
    assert!(value_of(&matter, furniture.object).is_none(), "an unset field is not shown");
}

#[tokio::test]
async fn values_are_changed_and_removed_by_their_ids_only() {
    let house = House::open().await;
    let (furniture, id) = made(&house).await;
    let other = house.create("matters", &furniture.matter("E-23-00018")).await;
    let values = |items: Value| json!({"custom_field_values": items});
    let before = shown(&house, id).await;
    let status_id = value_of(&before, furniture.court_status).unwrap()["id"].clone();
    let foreign_id = value_of(&shown(&house, other).await, furniture.warrant).unwrap()["id"].clone();

    let again = values(json!([{"custom_field": {"id": furniture.warrant}, "value": "E-1"}]));
    assert_eq!(patched(&house, id, again).await, 422, "the create shape where a value exists");
    let foreign = values(json!([{"id": foreign_id, "value": "E-1"}]));
    assert_eq!(patched(&house, id, foreign).await, 422, "a value of another matter");
    let null = values(json!([{"id": status_id, "value": null}]));
    assert_eq!(patched(&house, id, null).await, 422, "null is no value");
    assert_eq!(shown(&house, id).await, before, "a refused update changes nothing");

    let changed = values(json!([
        {"id": status_id, "value": furniture.stay},
        {"custom_field": {"id": furniture.object}, "value": "017.50"},
    ]));
    assert_eq!(patched(&house, id, changed).await, 200);
    let after = shown(&house, id).await;
    assert_eq!(value_of(&after, furniture.court_status).unwrap()["value"], json!(furniture.stay));
    assert_eq!(value_of(&after, furniture.court_status).unwrap()["id"], status_id);
    assert_eq!(value_of(&after, furniture.object).unwrap()["value"], "17.5");
    assert_ne!(after["etag"], before["etag"]);

    assert_eq!(patched(&house, id, values(json!([{"id": status_id, "_destroy": true}]))).await, 200);
    assert!(value_of(&shown(&house, id).await, furniture.court_status).is_none());
}

#[tokio::test]
async fn values_that_do_not_fit_their_field_are_refused_with_422() {
    let house = House::open().await;
    let furniture = house.furnish().await;
    let count = house.admin.matters().await.unwrap().len();
    for (field, value) in [
        (furniture.court_status, json!("Hearing")),
        (furniture.court_status, json!(furniture.hearing.parse::<i64>().unwrap())),
        (furniture.object, json!("seventeen")),
        (furniture.warrant, json!("x".repeat(256))),
        (1, json!("no such field")),
    ] {
        let mut matter = furniture.matter("E-1");
        matter["custom_field_values"] = json!([{"custom_field": {"id": field}, "value": value}]);
        assert_eq!(house.send(Method::POST, "matters", &matter).await.status(), 422, "{value}");
    }
    assert_eq!(house.admin.matters().await.unwrap().len(), count);

    let long = furniture.matter(&"x".repeat(300));
    let limits = TextLimits { text_line: 300, text_area: 300 };
    let longer = ClioSettings { text_limits: Some(Some(limits)), ..ClioSettings::default() };
    house.admin.clio_settings(&longer).await.unwrap();
    assert_eq!(house.send(Method::POST, "matters", &long).await.status(), 201);
    let any = ClioSettings { text_limits: Some(None), ..ClioSettings::default() };
    house.admin.clio_settings(&any).await.unwrap();
    assert_eq!(
        house.send(Method::POST, "matters", &furniture.matter(&"x".repeat(9_000))).await.status(),
        201
    );
}

#[tokio::test]
async fn a_matter_needs_a_client_a_description_and_a_lower_case_status() {
    let house = House::open().await;
    let furniture = house.furnish().await;
    for (key, value) in [
        ("client", Value::Null),
        ("client", json!({"id": 1})),
        ("client", json!({"name": "NP Clinic Client Test"})),
        ("description", json!("  ")),
        ("description", Value::Null),
        ("status", json!("Open")),
        ("group", json!({"id": 1})),
        ("practice_area", json!({"id": 1})),
        ("custom_field_values", json!({"value": "x"})),
    ] {
        let mut matter = furniture.matter("E-1");
        matter[key] = value.clone();
        let response = house.send(Method::POST, "matters", &matter).await;
        assert_eq!(response.status(), 422, "{key}: {value}");
    }
    let mut closed = furniture.matter("E-1");
    closed["status"] = json!("closed");
    let id = house.create("matters", &closed).await;
    assert_eq!(shown(&house, id).await["status"], "Closed");
}

#[tokio::test]
async fn if_match_lets_only_the_present_etag_write() {
    let house = House::open().await;
    let (_, id) = made(&house).await;
    let etag = shown(&house, id).await["etag"].as_str().unwrap().to_owned();
    let patch = async |etag: &str, text: &str| {
        let request = house.request(Method::PATCH, &format!("matters/{id}")).header("If-Match", etag);
        request.json(&json!({"data": {"description": text}})).send().await.unwrap().status().as_u16()
    };
    assert_eq!(patch(&etag, "first").await, 200);
    assert_eq!(patch(&etag, "second").await, 412);
    assert_eq!(shown(&house, id).await["description"], "first");
    let etag = shown(&house, id).await["etag"].as_str().unwrap().to_owned();
    assert_eq!(patch(etag.trim_matches('"'), "third").await, 412, "an etag without its quotes is another");
    assert_eq!(patch(&format!("W/{etag}"), "third").await, 412, "a weak etag proves nothing");
    assert_eq!(patch(&etag, "third").await, 200);
}

#[tokio::test]
async fn an_unchanged_record_is_answered_304_without_a_body() {
    let house = House::open().await;
    let (_, id) = made(&house).await;
    let path = format!("matters/{id}");
    let first = house.request(Method::GET, &path).send().await.unwrap();
    let (etag, modified) = (&first.headers()["etag"], &first.headers()["last-modified"]);
    let by_etag = house.request(Method::GET, &path).header("If-None-Match", etag).send().await.unwrap();
    assert_eq!(by_etag.status(), 304);
    assert!(by_etag.bytes().await.unwrap().is_empty());
    let by_time =
        house.request(Method::GET, &path).header("If-Modified-Since", modified).send().await.unwrap();
    assert_eq!(by_time.status(), 304);
    house.admin.edit_matter(id, &MatterEdit::field("Civil Warrant", Some("E-2"))).await.unwrap();
    let again = house.request(Method::GET, &path).header("If-None-Match", etag).send().await.unwrap();
    assert_eq!(again.status(), 200);
}

#[tokio::test]
async fn a_person_edits_by_names_and_labels_and_moves_the_etag() {
    let house = House::open().await;
    let (furniture, id) = made(&house).await;
    let before = house.admin.matters().await.unwrap().into_iter().find(|matter| matter.id == id).unwrap();
    assert_eq!(before.custom_fields["Court Status"].as_deref(), Some("Hearing"));
    assert_eq!(before.group.as_deref(), Some("NP Clinic"));
    house.admin.advance_clock(Duration::from_secs(5)).await.unwrap();
    let edit = MatterEdit::field("Court Status", Some("Stay")).and_field("Civil Warrant", None);
    let after = house.admin.edit_matter(id, &edit).await.unwrap();
    assert_eq!(after.custom_fields["Court Status"].as_deref(), Some("Stay"));
    assert_eq!(after.custom_fields["Civil Warrant"], None);
    assert!(after.updated_at > before.updated_at && after.etag != before.etag);
    let read = shown(&house, id).await;
    assert_eq!(value_of(&read, furniture.court_status).unwrap()["value"], json!(furniture.stay));
    assert!(house.admin.edit_matter(id, &MatterEdit::field("Court Status", Some("Nonsense"))).await.is_err());
    let calls = house.admin.calls().await.unwrap();
    assert_eq!(calls.clio.by_path.get("PATCH matters/{id}"), None, "a person's edit is no call");
}

#[tokio::test]
async fn a_removed_option_and_a_deleted_field_take_no_values() {
    let house = House::open().await;
    let (furniture, id) = made(&house).await;
    let edit = FieldEdit { remove_option: Some("Stay".to_owned()), ..FieldEdit::default() };
    let page = house.admin.edit_custom_field("Court Status", &edit).await.unwrap();
    assert_eq!(page.options.len(), 1);
    let status_id = value_of(&shown(&house, id).await, furniture.court_status).unwrap()["id"].clone();
    let set = json!({"custom_field_values": [{"id": status_id, "value": furniture.stay}]});
    assert_eq!(patched(&house, id, set.clone()).await, 422);

    let delete = FieldEdit { delete: true, ..FieldEdit::default() };
    house.admin.edit_custom_field("Court Status", &delete).await.unwrap();
    assert_eq!(patched(&house, id, set).await, 422);
    assert!(value_of(&shown(&house, id).await, furniture.court_status).is_none());
    assert_eq!(house.status_of_get(&format!("custom_fields/{}", furniture.court_status)).await, 404);
}

#[tokio::test]
async fn a_deleted_matter_is_gone() {
    let house = House::open().await;
    let (_, id) = made(&house).await;
    let deleted = house.request(Method::DELETE, &format!("matters/{id}")).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    let response = house.request(Method::GET, &format!("matters/{id}")).send().await.unwrap();
    assert_eq!(error_of(response).await.0, 404);
    assert_eq!(patched(&house, id, json!({"description": "x"})).await, 404);
}

#[tokio::test]
async fn the_bridge_can_add_an_option_and_rename_one() {
    let house = House::open().await;
    let furniture = house.furnish().await;
    let path = format!("custom_fields/{}?fields=picklist_options{{option}}", furniture.court_status);
    let id: i64 = furniture.hearing.parse().unwrap();
    let stay: i64 = furniture.stay.parse().unwrap();
    let data = json!({"picklist_options": [
        {"option": "Payment"}, {"id": id, "option": "Hearing held"}, {"id": stay, "_deleted": true},
    ]});
    let answer: Value = house.send(Method::PATCH, &path, &data).await.json().await.unwrap();
    assert_eq!(
        answer["data"]["picklist_options"],
        json!([{"option": "Hearing held"}, {"option": "Payment"}])
    );
}

//! Our table and our answers against Clio's published specification, where its file is at hand.

use std::path::Path;

use reqwest::Method;
use sandbox::calls::System;
use sandbox::endpoints::{Collection, ENDPOINTS, Endpoint, Verb};
use sandbox::openapi::Spec;
use sandbox::traffic::Traffic;
use serde_json::json;

use crate::house::House;

fn spec() -> Option<Spec> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/clio-openapi-relaxed.json");
    if !file.exists() {
        eprintln!("skipped: Clio's specification is not at {}", file.display());
        return None;
    }
    Some(Spec::read(&file).unwrap())
}

#[test]
fn everything_in_our_table_is_in_the_specification() {
    let Some(spec) = spec() else { return };
    let lacks: Vec<_> = ENDPOINTS.iter().flat_map(|endpoint| spec.lacks(endpoint)).collect();
    assert_eq!(lacks, [] as [String; 0]);
}

#[test]
fn a_made_up_path_parameter_or_key_is_found_out() {
    let Some(spec) = spec() else { return };
    let wrong = Endpoint {
        collection: Collection::Matters,
        verb: Verb::Create,
        path: "matters",
        query: &["fields", "colour"],
        body: &[&["description", "client.name"], &["custom_field_values.custom_field.id"]],
    };
    assert_eq!(
        spec.lacks(&wrong),
        ["POST matters: no parameter colour", "POST matters: no body key client.name"]
    );
    let nowhere = Endpoint { path: "matter", ..wrong };
    assert_eq!(spec.lacks(&nowhere), ["POST matter: not in the specification"]);
}

fn exchange(method: &str, path: &str, query: &str, request: &str, status: u16, answer: &str) -> Traffic {
    Traffic {
        system: System::Clio,
        method: method.to_owned(),
        path: format!("/api/v4/{path}"),
        query: query.to_owned(),
        request_headers: [].into(),
        request_body: request.to_owned(),
        status,
        response_body: answer.to_owned(),
        struck: false,
    }
}

#[test]
fn wrong_traffic_is_found_out() {
    let Some(spec) = spec() else { return };
    let good = r#"{"data":{"id":5,"custom_field_values":[{"id":"text_line-1","value":"x","custom_field":{"id":1}}]}}"#;
    assert_eq!(spec.check(&exchange("GET", "matters/5", "fields=id", "", 200, good)), [] as [String; 0]);
    for (what, traffic) in [
        ("path", exchange("GET", "matter", "", "", 200, good)),
        ("verb", exchange("PUT", "matters/5", "", "{}", 200, good)),
        ("parameter", exchange("GET", "matters", "matter=1", "", 200, r#"{"data":[]}"#)),
        ("id", exchange("GET", "matters", "ids[]=x", "", 200, r#"{"data":[]}"#)),
        ("time", exchange("GET", "matters", "updated_since=2026-11-20", "", 200, r#"{"data":[]}"#)),
        ("enum", exchange("GET", "custom_fields", "parent_type=Matter", "", 200, r#"{"data":[]}"#)),
        ("key", exchange("PATCH", "matters/5", "", r#"{"data":{"colour":"red"}}"#, 200, good)),
        ("inner key", exchange("PATCH", "matters/5", "", r#"{"data":{"client":{"name":"x"}}}"#, 200, good)),
        ("type", exchange("PATCH", "matters/5", "", r#"{"data":{"description":5}}"#, 200, good)),
        ("status word", exchange("PATCH", "matters/5", "", r#"{"data":{"status":"Open"}}"#, 200, good)),
        ("answer key", exchange("GET", "matters/5", "", "", 200, r#"{"data":{"colour":"red"}}"#)),
        ("answer type", exchange("GET", "matters/5", "", "", 200, r#"{"data":{"id":"5"}}"#)),
        ("answer inner", exchange("GET", "matters/5", "", "", 200, r#"{"data":{"client":{"colour":1}}}"#)),
        ("answer time", exchange("GET", "matters/5", "", "", 200, r#"{"data":{"updated_at":"now"}}"#)),
        ("answer word", exchange("GET", "matters/5", "", "", 200, r#"{"data":{"status":"open"}}"#)),
        ("no data", exchange("GET", "matters/5", "", "", 200, "{}")),
        ("html", exchange("GET", "matters/5", "", "", 200, "<html>")),
        ("status", exchange("GET", "matters/5", "", "", 206, good)),
        ("error", exchange("GET", "matters/5", "", "", 404, r#"{"error":"x"}"#)),
    ] {
        assert_eq!(spec.check(&traffic).len(), 1, "{what}: {:?}", spec.check(&traffic));
    }
}

#[tokio::test]
async fn all_that_the_sandbox_answers_fits_the_specification() {
    let Some(spec) = spec() else { return };
    let house = House::open().await;
    house.admin.record_traffic(true).await.unwrap();
    let furniture = house.furnish().await;
    let id = house.create("matters", &furniture.matter("E-23-00017")).await;
    let values = "custom_field_values{id,etag,value,field_name,field_type,custom_field,picklist_option,created_at,\
        updated_at,field_required,field_displayed,field_display_order,soft_deleted}";
    let all = format!(
        "id,etag,number,display_number,description,status,location,client_reference,client_id,billable,open_date,\
         close_date,pending_date,created_at,updated_at,client{{id,name,first_name,last_name,title,type,is_client}},\
         group{{id,name,type,updated_at}},practice_area{{id,name,code,category}},{values}"
    );
    house.get(&format!("matters?limit=3&fields={all}&order=id(asc)")).await;
    house.get(&format!("matters/{id}?fields={all}")).await;
    let value = house.get(&format!("matters/{id}?fields=custom_field_values{{id}}")).await;
    let value = value["data"]["custom_field_values"][0]["id"].clone();
    let data = json!({"status": "closed", "custom_field_values": [{"id": value, "_destroy": true}]});
    house.send(Method::PATCH, &format!("matters/{id}"), &data).await;
    house.send(Method::PATCH, &format!("matters/{id}"), &json!({"status": "pending"})).await;
    house.get("custom_fields?fields=id,name,parent_type,field_type,displayed,deleted,required,display_order,picklist_options{id,etag,option,created_at,updated_at,deleted_at}&parent_type=matter").await;
    house.get("contacts?fields=id,name,type,created_at&query=NP").await;
    house.get("groups?fields=id,name,type&name=NP Clinic").await;
    house.get("practice_areas?fields=id,name,code,category,created_at").await;
    house.get("users?fields=id,name,email,enabled,account_owner,created_at").await;
    house.get("users/who_am_i?fields=id,name,email,account{id,name,state,created_at}").await;
    for path in ["matters/1", "matters?fields=x", "matters?limit=0"] {
        house.status_of_get(path).await;
    }
    house.request(Method::DELETE, &format!("matters/{id}")).send().await.unwrap();
    let traffic = house.admin.traffic().await.unwrap();
    assert!(traffic.len() > 20);
    let wrong: Vec<_> = traffic.iter().flat_map(|exchange| spec.check(exchange)).collect();
    // The one request that names an unknown field is a wrong one only in what it asks, which the check does not see.
    assert_eq!(wrong, [] as [String; 0]);
    for exchange in &traffic {
        let below = exchange.path.strip_prefix("/api/v4/").unwrap();
        let (endpoint, _) = sandbox::endpoints::find(&exchange.method, below).unwrap();
        assert!(
            endpoint.statuses().contains(&exchange.status),
            "{} {below}: {}",
            exchange.method,
            exchange.status
        );
    }
}

//! Our table and our answers against Clio's published specification, where its file is at hand.

use std::path::Path;

use reqwest::Method;
use sandbox::calls::System;
use sandbox::clio::hand::DocumentEdit;
use sandbox::endpoints::{ENDPOINTS, Endpoint, Kind, Verb};
use sandbox::openapi::Spec;
use sandbox::traffic::Traffic;
use serde_json::json;

use crate::house::House;
use crate::uploads::Shelf;

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
        kind: Kind::Matters,
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
    let bare = r#"{"data":{"id":5}}"#;
    let no_summary = r#"{"data":{"start_at":"2026-12-01T15:00:00Z","end_at":"2026-12-01T15:00:00Z","calendar_owner":{"id":1}}}"#;
    let wrong_parent = r#"{"data":{"name":"x","parent":{"id":1,"type":"matter"}}}"#;
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
        ("note's type", exchange("GET", "notes", "", "", 200, r#"{"data":[]}"#)),
        ("note's type word", exchange("GET", "notes", "type=Bill", "", 200, r#"{"data":[]}"#)),
        ("order of entries", exchange("GET", "calendar_entries", "order=id(asc)", "", 200, r#"{"data":[]}"#)),
        ("name of calendars", exchange("GET", "calendars", "name=x", "", 200, r#"{"data":[]}"#)),
        ("matter of a note", exchange("PATCH", "notes/5", "", r#"{"data":{"matter":{"id":1}}}"#, 200, bare)),
        ("no summary", exchange("POST", "calendar_entries", "", no_summary, 201, r#"{"data":{"id":"5"}}"#)),
        ("entry's id", exchange("GET", "calendar_entries/5", "", "", 200, r#"{"data":{"id":5}}"#)),
        ("document's parent", exchange("POST", "documents", "", r#"{"data":{"name":"x"}}"#, 201, bare)),
        ("parent's type", exchange("POST", "documents", "", wrong_parent, 201, bare)),
        ("download's body", exchange("GET", "documents/5/download", "", "", 303, bare)),
        ("download's status", exchange("GET", "documents/5/download", "", "", 302, "")),
        ("version's key", exchange("GET", "documents/5/versions", "", "", 200, r#"{"data":[{"colour":5}]}"#)),
        ("matter's key", exchange("GET", "notes/5", "", "", 200, r#"{"data":{"matter":{"colour":1}}}"#)),
        (
            "matter's group",
            exchange("GET", "notes/5", "", "", 200, r#"{"data":{"matter":{"group":{"id":1}}}}"#),
        ),
        (
            "matter's practice area",
            exchange("GET", "documents/5", "", "", 200, r#"{"data":{"matter":{"practice_area":{"id":1}}}}"#),
        ),
        (
            "trashed",
            exchange("DELETE", "documents/5", "", "", 403, r#"{"error":{"type":"x","message":"y"}}"#),
        ),
        ("error", exchange("GET", "matters/5", "", "", 404, r#"{"error":"x"}"#)),
    ] {
        assert_eq!(spec.check(&traffic).len(), 1, "{what}: {:?}", spec.check(&traffic));
    }
}

/// Makes, reads, changes and deletes a note, a calendar, an entry and a document, with all that they can show.
async fn everything_on_a_matter(house: &House, matter: i64) {
    let of_matter =
        "matter{id,etag,number,display_number,description,status,client_id,billable,open_date,updated_at}";
    let note = format!(
        "fields=id,etag,type,subject,detail,detail_text_type,date,created_at,updated_at,time_entries_count,\
         contact{{id,name}},author{{id,name,email}},{of_matter}"
    );
    let body = json!({"type": "Matter", "matter": {"id": matter}, "subject": "s", "detail": "d", "date": "2026-11-20"});
    let id = house.create(&format!("notes?{note}"), &body).await;
    house.get(&format!("notes?type=Matter&limit=3&order=date(desc)&{note}")).await;
    house.get(&format!("notes?type=Contact&{note}")).await;
    house.send(Method::PATCH, &format!("notes/{id}?{note}"), &json!({"detail_text_type": "rich_text"})).await;
    house.request(Method::DELETE, &format!("notes/{id}")).send().await.unwrap();

    let calendar = "fields=id,etag,name,color,permission,type,visible,created_at,updated_at,creator{id,name}";
    let calendar_id =
        house.create(&format!("calendars?{calendar}"), &json!({"name": "NP Clinic Calendar"})).await;
    house.get(&format!("calendars?{calendar}&order=name(desc)&writeable=true&type=AdhocCalendar")).await;
    house.get(&format!("calendars/{calendar_id}?{calendar}")).await;

    let properties = "external_properties{id,etag,name,value,created_at,updated_at}";
    let entry = format!(
        "fields=id,etag,summary,description,location,start_at,end_at,all_day,recurrence_rule,calendar_owner_id,\
         created_at,updated_at,calendar_owner{{id,name,type}},{properties},{of_matter}"
    );
    let body = json!({
        "summary": "s", "description": "d", "location": "l", "start_at": "2026-12-01T15:00:00-06:00",
        "end_at": "2026-12-01T15:30:00-06:00", "all_day": false, "calendar_owner": {"id": calendar_id},
        "matter": {"id": matter}, "external_properties": [{"name": "DATABRIDGE_ID", "value": "1"}],
    });
    let response = house.send(Method::POST, &format!("calendar_entries?{entry}"), &body).await;
    let made: serde_json::Value = response.json().await.unwrap();
    let path = format!("calendar_entries/{}?{entry}", made["data"]["id"].as_str().unwrap());
    let property = made["data"]["external_properties"][0]["id"].clone();
    house
        .send(Method::PATCH, &path, &json!({"external_properties": [{"id": property, "_destroy": true}]}))
        .await;
    house.get(&format!("calendar_entries?{entry}&is_all_day=false&external_property_name=x&query=s")).await;
    house.get(&format!("calendar_entries?{entry}&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z")).await;
    house.request(Method::DELETE, path.split_once('?').unwrap().0).send().await.unwrap();

    let version = "latest_document_version{id,etag,document_id,uuid,created_at,updated_at,filename,size,version_number,\
        content_type,received_at,put_url,put_headers,fully_uploaded,creator}";
    let document = format!(
        "fields=id,etag,name,type,locked,created_at,updated_at,deleted_at,received_at,filename,size,content_type,\
         contact{{id}},creator{{id,name}},{properties},{of_matter},{version}"
    );
    let shelf = Shelf::with(house, matter);
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    house.get(&format!("documents?show_uncompleted=true&{document}")).await;
    shelf.mark(&begun).await;
    shelf.put(&begun).body("x").send().await.unwrap();
    shelf.mark(&begun).await;
    house.get(&format!("documents?external_property_name=GIS_ID&order=created_at(desc)&{document}")).await;
    house.get(&format!("documents/{}?{document}", begun.id)).await;
    house
        .get(&format!("documents/{}/versions?limit=5&fields=id,size,fully_uploaded,put_url", begun.id))
        .await;
    shelf.download(begun.id).await;
    house.status_of_get("documents/1/download").await;
    house
        .admin
        .edit_document(begun.id, &DocumentEdit { locked: Some(true), ..DocumentEdit::default() })
        .await
        .unwrap();
    house.request(Method::DELETE, &format!("documents/{}", begun.id)).send().await.unwrap();
    house
        .admin
        .edit_document(begun.id, &DocumentEdit { locked: Some(false), ..DocumentEdit::default() })
        .await
        .unwrap();
    house.request(Method::DELETE, &format!("documents/{}", begun.id)).send().await.unwrap();
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
    everything_on_a_matter(&house, id).await;
    for path in ["matters/1", "matters?fields=x", "matters?limit=0"] {
        house.status_of_get(path).await;
    }
    house.request(Method::DELETE, &format!("matters/{id}")).send().await.unwrap();
    let traffic = house.admin.traffic().await.unwrap();
    assert!(traffic.len() > 20);
    let wrong: Vec<_> = traffic.iter().flat_map(|exchange| spec.check(exchange)).collect();
    // The one request that names an unknown field is a wrong one only in what it asks, which the check does not see.
    assert_eq!(wrong, [] as [String; 0]);
    for exchange in traffic.iter().filter(|exchange| exchange.system == System::Clio) {
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

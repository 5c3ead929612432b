//! Notes: what their list asks for, what a body needs, what a person does with them.

use std::time::Duration;

use reqwest::{Method, header};
use sandbox::clio::hand::{NewNote, NoteEdit};
use sandbox::clio::seed::FOREIGN_MARK;
use serde_json::{Value, json};

use crate::house::{House, error_of};

const SHOWN: &str = "fields=id,etag,type,subject,detail,detail_text_type,date,created_at,updated_at,\
    matter{id,display_number},contact,author{id,name}";

async fn matter(house: &House) -> i64 {
    let furniture = house.furnish().await;
    house.create("matters", &furniture.matter("E-23-00017")).await
}

fn note(matter: i64) -> Value {
    json!({"type": "Matter", "matter": {"id": matter}, "subject": "Call", "detail": "Owner called back",
        "date": "2026-11-20"})
}

async fn refused(house: &House, method: Method, path: &str, data: Value) -> u16 {
    let response = house.send(method, path, &data).await;
    assert!(!response.status().is_success(), "{path} took {data}");
    error_of(response).await.0
}

#[tokio::test]
async fn a_list_of_notes_needs_their_type() {
    let house = House::open().await;
    for path in ["notes", "notes?type=Bill", "notes?type=matter", "notes?type=Matter&matter_id=null"] {
        assert_eq!(house.status_of_get(path).await, 400, "{path}");
    }
    let of_matters = house.get("notes?type=Matter&fields=id,matter,contact").await;
    let of_contacts = house.get("notes?type=Contact&fields=id,matter,contact").await;
    let all = |list: &Value, shown: &str, hidden: &str| {
        let notes = list["data"].as_array().unwrap();
        !notes.is_empty() && notes.iter().all(|note| note[shown]["id"].is_i64() && note[hidden].is_null())
    };
    assert!(all(&of_matters, "matter", "contact") && all(&of_contacts, "contact", "matter"));
}

#[tokio::test]
async fn a_note_shows_its_matter_and_not_whose_it_is() {
    let house = House::open().await;
    let matter = matter(&house).await;
    let id = house.create("notes", &note(matter)).await;
    let shown = house.get(&format!("notes/{id}?{SHOWN}")).await["data"].clone();
    assert_eq!(shown["subject"], "Call");
    assert_eq!(shown["detail_text_type"], "plain_text");
    assert_eq!(shown["date"], "2026-11-20");
    assert_eq!(shown["author"]["name"], "Ada Lawson");
    assert_eq!(shown["matter"]["id"], matter);
    for beyond in ["matter{group}", "matter{id,practice_area}", "matter{client}", "matter{group{id}}"] {
        for path in [format!("notes/{id}?"), "notes?type=Matter&".to_owned()] {
            let refused =
                house.request(Method::GET, &format!("{path}fields=id,{beyond}")).send().await.unwrap();
            assert_eq!(error_of(refused).await, (400, "InvalidFields".to_owned()), "{path}{beyond}");
        }
    }
}

#[tokio::test]
async fn a_new_note_needs_its_type_and_the_record_of_that_type() {
    let house = House::open().await;
    let matter = matter(&house).await;
    for body in [
        json!({"matter": {"id": matter}, "subject": "no type"}),
        json!({"type": "Bill", "matter": {"id": matter}}),
        json!({"type": "Matter", "subject": "no matter"}),
        json!({"type": "Matter", "matter": {"id": null}}),
        json!({"type": "Matter", "matter": {"id": 1}}),
        json!({"type": "Contact", "matter": {"id": matter}}),
        json!({"type": "Matter", "matter": {"id": matter}, "date": "tomorrow"}),
        json!({"type": "Matter", "matter": {"id": matter}, "date": null}),
        json!({"type": "Matter", "matter": {"id": matter}, "detail_text_type": "html"}),
        json!({"type": "Matter", "matter": {"id": matter}, "subject": "x".repeat(256)}),
        json!({"type": "Matter", "matter": {"id": matter}, "detail": 5}),
    ] {
        assert_eq!(refused(&house, Method::POST, "notes", body).await, 422);
    }
    let before = house.admin.notes().await.unwrap().len();
    house.create("notes", &json!({"type": "Matter", "matter": {"id": matter}})).await;
    assert_eq!(house.admin.notes().await.unwrap().len(), before + 1);
}

#[tokio::test]
async fn type_and_matter_of_a_note_do_not_change() {
    let house = House::open().await;
    let matter = matter(&house).await;
    let id = house.create("notes", &note(matter)).await;
    let foreign = house.admin.matters().await.unwrap()[0].id;
    let edit = json!({"type": "Contact", "matter": {"id": foreign}, "subject": "Moved?"});
    let response = house.send(Method::PATCH, &format!("notes/{id}"), &edit).await;
    assert_eq!(response.status(), 200);
    let shown = house.get(&format!("notes/{id}?{SHOWN}")).await["data"].clone();
    assert_eq!((&shown["type"], &shown["matter"]["id"]), (&json!("Matter"), &json!(matter)));
    assert_eq!(shown["subject"], "Moved?");
    let told: Vec<_> = house.admin.strays().await.unwrap().into_iter().map(|stray| stray.name).collect();
    assert_eq!(told, ["matter", "type"]);
}

#[tokio::test]
async fn a_note_is_changed_under_its_etag_only_and_deleted_once() {
    let house = House::open().await;
    let matter = matter(&house).await;
    let id = house.create("notes", &note(matter)).await;
    let path = format!("notes/{id}");
    let etag = house.get(&path).await["data"]["etag"].as_str().unwrap().to_owned();
    let change = async |etag: &str| {
        let edit = json!({"data": {"detail": "Nobody there"}});
        house.request(Method::PATCH, &path).header(header::IF_MATCH, etag).json(&edit).send().await.unwrap()
    };
    assert_eq!(change(&etag).await.status(), 200);
    assert_eq!(change(&etag).await.status(), 412);
    let delete = async || house.request(Method::DELETE, &path).send().await.unwrap().status();
    assert_eq!(delete().await, 204);
    assert_eq!(delete().await, 404);
    assert_eq!(house.status_of_get(&path).await, 404);
}

#[tokio::test]
async fn notes_are_found_by_matter_time_and_text() {
    let house = House::open().await;
    let matter = matter(&house).await;
    house.create("notes", &note(matter)).await;
    let between = house.admin.now().await.unwrap().to_rfc3339();
    house.admin.advance_clock(Duration::from_secs(60)).await.unwrap();
    let later = house.create("notes", &json!({"type": "Matter", "matter": {"id": matter}})).await;
    let list = async |more: &[(&str, &str)]| -> Vec<i64> {
        let matter = matter.to_string();
        let query: Vec<_> =
            [("type", "Matter"), ("matter_id", &matter)].into_iter().chain(more.to_vec()).collect();
        let found = house.request(Method::GET, "notes").query(&query).send().await.unwrap();
        let found: Value = found.json().await.unwrap();
        found["data"].as_array().unwrap().iter().map(|note| note["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(list(&[]).await.len(), 2);
    assert_eq!(list(&[("updated_since", &between)]).await, [later]);
    assert_eq!(list(&[("created_since", &between)]).await, [later]);
    assert_eq!(list(&[("query", "called BACK")]).await.len(), 1);
    assert_eq!(list(&[("order", "updated_at(desc)"), ("limit", "1")]).await, [later]);
    assert_eq!(list(&[("contact_id", "1")]).await, [] as [i64; 0]);
    assert_eq!(house.status_of_get("notes?type=Matter&order=subject(asc)").await, 400);
}

#[tokio::test]
async fn a_person_writes_edits_and_deletes_notes() {
    let house = House::open().await;
    let matter = matter(&house).await;
    let new = NewNote {
        matter,
        subject: "By hand".to_owned(),
        detail: "<b>x</b>".to_owned(),
        is_rich: true,
        date: None,
    };
    let made = house.admin.add_note(&new).await.unwrap();
    let shown = house.get(&format!("notes/{}?{SHOWN}", made.id)).await["data"].clone();
    assert_eq!((&shown["detail_text_type"], &shown["detail"]), (&json!("rich_text"), &json!("<b>x</b>")));
    house.admin.advance_clock(Duration::from_secs(60)).await.unwrap();
    let edit = NoteEdit { subject: Some("By hand again".to_owned()), ..NoteEdit::default() };
    let edited = house.admin.edit_note(made.id, &edit).await.unwrap();
    assert_eq!(edited.detail, made.detail);
    assert!(edited.updated_at > made.updated_at && edited.etag != made.etag);
    assert!(house.admin.notes().await.unwrap().contains(&edited));
    house.admin.delete_note(made.id).await.unwrap();
    assert_eq!(house.status_of_get(&format!("notes/{}", made.id)).await, 404);
    for error in [
        house.admin.delete_note(made.id).await.unwrap_err(),
        house.admin.edit_note(made.id, &edit).await.unwrap_err(),
        house.admin.add_note(&NewNote { matter: 1, ..new }).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("404"), "{error}");
    }
}

#[tokio::test]
async fn a_deleted_matter_takes_its_notes_along() {
    let house = House::open().await;
    let matter = matter(&house).await;
    let id = house.create("notes", &note(matter)).await;
    house.admin.delete_matter(matter).await.unwrap();
    assert_eq!(house.status_of_get(&format!("notes/{id}")).await, 404);
    assert!(house.admin.notes().await.unwrap().iter().all(|note| note.matter != Some(matter)));
}

#[tokio::test]
async fn notes_of_foreign_matters_are_there_from_the_start() {
    let house = House::open().await;
    let notes = house.admin.notes().await.unwrap();
    let is_marked = |text: &Option<String>, word| text.as_ref().is_some_and(|text| text.contains(word));
    assert!(notes.len() > 20);
    assert!(
        notes.iter().all(|note| is_marked(&note.subject, FOREIGN_MARK) && is_marked(&note.detail, "SECRET"))
    );
}

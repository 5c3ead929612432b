//! Documents: what a body needs, versions, trash, properties, what a person does with them.

use std::time::Duration;

use reqwest::{Method, header};
use sandbox::clio::hand::{DocumentEdit, NewDocument, Property, Upload};
use serde_json::{Value, json};

use crate::house::{House, error_of, options};
use crate::uploads::Shelf;

const SHOWN: &str = "fields=id,etag,name,type,locked,deleted_at,created_at,updated_at,received_at,filename,size,\
    content_type,matter{id},contact,creator{id,name},external_properties{id,name,value},\
    latest_document_version{id,uuid,version_number,filename,size,content_type,put_url,fully_uploaded,put_headers}";

impl Shelf {
    async fn shown(&self, id: i64) -> Value {
        self.house.get(&format!("documents/{id}?{SHOWN}")).await["data"].clone()
    }

    async fn patch(&self, id: i64, data: Value) -> (u16, String) {
        let response = self.house.send(Method::PATCH, &format!("documents/{id}"), &data).await;
        if response.status() == 200 { (200, String::new()) } else { error_of(response).await }
    }

    async fn delete(&self, id: i64) -> u16 {
        self.house.request(Method::DELETE, &format!("documents/{id}")).send().await.unwrap().status().as_u16()
    }

    async fn found(&self, query: &[(&str, &str)]) -> Vec<i64> {
        let matter = self.matter.to_string();
        let query: Vec<_> = [("matter_id", matter.as_str())].into_iter().chain(query.to_vec()).collect();
        let found = self.house.request(Method::GET, "documents").query(&query).send().await.unwrap();
        let found: Value = found.json().await.unwrap();
        found["data"].as_array().unwrap().iter().map(|document| document["id"].as_i64().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_document_shows_its_size_only_once_it_is_marked_as_uploaded() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    shelf.put(&begun).body("12345").send().await.unwrap();
    let before = shelf.shown(begun.id).await;
    assert_eq!((&before["size"], &before["content_type"]), (&Value::Null, &Value::Null));
    let version = &before["latest_document_version"];
    assert_eq!((&version["size"], &version["fully_uploaded"]), (&Value::Null, &json!(false)));
    assert_eq!(version["put_url"], json!(begun.address));
    assert_eq!(shelf.mark(&begun).await.status(), 200);
    let after = shelf.shown(begun.id).await;
    assert_ne!(after["etag"], before["etag"]);
    assert_eq!((&after["size"], &after["content_type"]), (&json!(5), &json!("application/pdf")));
    let version = &after["latest_document_version"];
    assert_eq!((&version["size"], &version["fully_uploaded"]), (&json!(5), &json!(true)));
    assert_eq!((&version["put_url"], &version["put_headers"]), (&Value::Null, &Value::Null));
    assert_eq!((&after["type"], &after["matter"]["id"]), (&json!("Document"), &json!(shelf.matter)));
    assert_eq!(after["creator"]["name"], "Ada Lawson");
    assert_eq!(after["external_properties"][0]["value"], "17");
}

#[tokio::test]
async fn marking_needs_the_uuid_of_an_upload_that_is_there_and_not_marked() {
    let shelf = Shelf::open().await;
    let begun = shelf.begin(&shelf.document("notice.pdf")).await;
    let other = shelf.upload(&shelf.document("other.pdf"), b"other").await;
    let not_found = (422, "UploadNotFoundError".to_owned());
    let mark = |uuid: &str| json!({"uuid": uuid, "fully_uploaded": true});
    assert_eq!(shelf.patch(begun.id, mark(&begun.uuid)).await, not_found, "nothing was uploaded");
    assert_eq!(shelf.patch(begun.id, mark("")).await, (422, "RecordInvalid".to_owned()));
    assert_eq!(shelf.patch(begun.id, json!({"fully_uploaded": true})).await.0, 422);
    assert_eq!(shelf.patch(begun.id, mark(&other.uuid)).await, not_found, "of another document");
    assert_eq!(shelf.patch(other.id, mark(&other.uuid)).await, not_found, "marked already");
    assert_eq!(shelf.patch(begun.id, json!({"uuid": begun.uuid, "fully_uploaded": "yes"})).await.0, 422);
    shelf.put(&begun).body("x").send().await.unwrap();
    assert_eq!(shelf.patch(begun.id, json!({"uuid": begun.uuid, "fully_uploaded": "true"})).await.0, 200);
}

#[tokio::test]
async fn a_new_document_needs_a_name_and_a_parent_that_is_there() {
    let shelf = Shelf::open().await;
    let matter = shelf.matter;
    for body in [
        json!({"parent": {"id": matter, "type": "Matter"}}),
        json!({"name": "x.pdf"}),
        json!({"name": "x.pdf", "parent": {"type": "Matter"}}),
        json!({"name": "x.pdf", "parent": {"id": matter}}),
        json!({"name": "x.pdf", "parent": {"id": matter, "type": "matter"}}),
        json!({"name": "x.pdf", "parent": {"id": matter, "type": "Document"}}),
        json!({"name": "x.pdf", "parent": {"id": matter, "type": "Folder"}}),
        json!({"name": "x.pdf", "parent": {"id": 1, "type": "Matter"}}),
        json!({"name": "x".repeat(256), "parent": {"id": matter, "type": "Matter"}}),
        json!({"name": "x.pdf", "parent": {"id": matter, "type": "Matter"}, "external_properties": [{"name": "GIS_ID"}]}),
        json!({"name": "x.pdf", "parent": {"id": matter, "type": "Matter"},
            "external_properties": (0..6).map(|n| json!({"name": format!("P{n}"), "value": "v"})).collect::<Vec<_>>()}),
    ] {
        let response = shelf.house.send(Method::POST, "documents", &body).await;
        assert_eq!(error_of(response).await.0, 422, "{body}");
    }
    assert_eq!(shelf.found(&[("show_uncompleted", "true")]).await, [] as [i64; 0]);
}

#[tokio::test]
async fn a_new_version_leaves_the_document_and_is_the_one_downloaded_once_marked() {
    let shelf = Shelf::open().await;
    let first = shelf.upload(&shelf.document("notice.pdf"), b"first").await;
    let parent = json!({"id": first.id, "type": "Document"});
    let with_properties =
        json!({"name": "n.pdf", "parent": parent, "external_properties": [{"name": "A", "value": "b"}]});
    let response = shelf.house.send(Method::POST, "documents", &with_properties).await;
    assert_eq!(error_of(response).await.0, 422);
    let second = shelf.begin(&json!({"name": "notice.pdf", "parent": parent})).await;
    assert_eq!(second.id, first.id);
    let between = shelf.shown(first.id).await;
    assert_eq!((&between["size"], &between["latest_document_version"]["size"]), (&json!(5), &Value::Null));
    assert_eq!(between["latest_document_version"]["version_number"], 2);
    assert_eq!(shelf.download(first.id).await.text().await.unwrap(), "first");
    assert_eq!(shelf.found(&[]).await, [first.id], "it is still there while a version is being uploaded");
    shelf.put(&second).body("second!").send().await.unwrap();
    assert_eq!(shelf.mark(&second).await.status(), 200);
    assert_eq!(shelf.download(first.id).await.text().await.unwrap(), "second!");
    let path = format!("documents/{}/versions", first.id);
    let versions =
        shelf.house.get(&format!("{path}?fields=id,document_id,size,version_number,fully_uploaded")).await;
    let versions = versions["data"].as_array().unwrap();
    assert_eq!(
        versions.iter().map(|version| version["size"].clone()).collect::<Vec<_>>(),
        [json!(5), json!(7)]
    );
    let download = format!("documents/{}/download?document_version_id={}", first.id, versions[0]["id"]);
    let old = shelf.house.request(Method::GET, &download).send().await.unwrap();
    let old = shelf.house.http.get(old.headers()["location"].to_str().unwrap()).send().await.unwrap();
    assert_eq!(old.text().await.unwrap(), "first");
    for (path, status) in [
        (format!("documents/{}/download?document_version_id=1", first.id), 404),
        (format!("documents/{}/download?document_version_id=x", first.id), 400),
        ("documents/1/versions".to_owned(), 404),
    ] {
        assert_eq!(shelf.house.status_of_get(&path).await, status, "{path}");
    }
    assert_eq!(shelf.house.get(&format!("{path}?fully_uploaded=false")).await["data"], json!([]));
}

#[tokio::test]
async fn stubs_and_trash_must_be_asked_for() {
    let mut long_lived = options();
    long_lived.clio.token_lifetime_seconds = 60 * 86_400;
    let shelf = Shelf::of(House::open_with(long_lived).await).await;
    let whole = shelf.upload(&shelf.document("whole.pdf"), b"x").await.id;
    let stub = shelf.begin(&shelf.document("stub.pdf")).await.id;
    assert_eq!(shelf.found(&[]).await, [whole]);
    assert_eq!(shelf.found(&[("show_uncompleted", "true")]).await, [whole, stub]);
    assert_eq!(shelf.delete(whole).await, 204);
    assert_eq!(shelf.delete(whole).await, 404);
    assert_eq!(shelf.found(&[]).await, [] as [i64; 0]);
    assert_eq!(shelf.found(&[("include_deleted", "true")]).await, [whole]);
    assert!(shelf.shown(whole).await["deleted_at"].is_string());
    assert_eq!(shelf.house.status_of_get(&format!("documents/{whole}/download")).await, 404);
    assert_eq!(shelf.patch(whole, json!({"name": "renamed.pdf"})).await.0, 422);
    assert_eq!(shelf.patch(whole, json!({"restore": true})).await.0, 200);
    assert_eq!(shelf.found(&[]).await, [whole]);
    assert_eq!(shelf.delete(whole).await, 204);
    shelf.house.admin.advance_clock(Duration::from_secs(30 * 86_400)).await.unwrap();
    shelf.house.admin.advance_clock(Duration::from_secs(1)).await.unwrap();
    assert_eq!(shelf.found(&[("include_deleted", "true")]).await, [] as [i64; 0]);
    assert_eq!(shelf.house.status_of_get(&format!("documents/{whole}")).await, 404);
}

#[tokio::test]
async fn a_locked_document_takes_no_change_and_is_not_put_in_the_trash() {
    let shelf = Shelf::open().await;
    let id = shelf.upload(&shelf.document("notice.pdf"), b"x").await.id;
    let lock = |locked| DocumentEdit { locked: Some(locked), ..DocumentEdit::default() };
    shelf.house.admin.edit_document(id, &lock(true)).await.unwrap();
    assert_eq!(shelf.delete(id).await, 409);
    assert_eq!(shelf.patch(id, json!({"name": "renamed.pdf"})).await.0, 422);
    let version = json!({"name": "n.pdf", "parent": {"id": id, "type": "Document"}});
    assert_eq!(error_of(shelf.house.send(Method::POST, "documents", &version).await).await.0, 422);
    assert_eq!(shelf.found(&[("locked", "true")]).await, [id]);
    shelf.house.admin.edit_document(id, &lock(false)).await.unwrap();
    assert_eq!(shelf.delete(id).await, 204);
}

#[tokio::test]
async fn a_document_is_renamed_under_its_etag_only() {
    let shelf = Shelf::open().await;
    let id = shelf.upload(&shelf.document("notice.pdf"), b"x").await.id;
    let etag = shelf.shown(id).await["etag"].as_str().unwrap().to_owned();
    let rename = async || {
        let request =
            shelf.house.request(Method::PATCH, &format!("documents/{id}")).header(header::IF_MATCH, &etag);
        request.json(&json!({"data": {"name": "renamed.pdf"}})).send().await.unwrap().status()
    };
    assert_eq!(rename().await, 200);
    assert_eq!(rename().await, 412);
    assert_eq!(shelf.patch(id, json!({"name": " "})).await.0, 422);
    let shown = shelf.shown(id).await;
    assert_eq!((&shown["name"], &shown["filename"]), (&json!("renamed.pdf"), &json!("notice.pdf")));
}

#[tokio::test]
async fn documents_are_found_by_property_and_a_property_may_stand_on_two() {
    let shelf = Shelf::open().await;
    let first = shelf.upload(&shelf.document("a.pdf"), b"x").await.id;
    let second = shelf.upload(&shelf.document("b.pdf"), b"y").await.id;
    let mut bare = shelf.document("c.pdf");
    bare.as_object_mut().unwrap().remove("external_properties");
    let third = shelf.upload(&bare, b"z").await.id;
    assert_eq!(shelf.found(&[]).await, [first, second, third]);
    let named = ("external_property_name", "GIS_ID");
    assert_eq!(shelf.found(&[named]).await, [first, second]);
    assert_eq!(shelf.found(&[named, ("external_property_value", "17")]).await, [first, second]);
    assert_eq!(shelf.found(&[named, ("external_property_value", "18")]).await, [] as [i64; 0]);
    assert_eq!(shelf.found(&[("order", "name(desc)"), ("limit", "1")]).await, [third]);
    assert_eq!(shelf.found(&[("query", "B.PD")]).await, [second]);
    assert_eq!(shelf.house.status_of_get("documents?external_property_value=17").await, 400);
    assert_eq!(shelf.house.status_of_get("documents?show_uncompleted=yes").await, 400);
    let property = shelf.shown(first).await["external_properties"][0]["id"].clone();
    let change = json!({"external_properties": [{"id": property, "value": "18"}]});
    assert_eq!(shelf.patch(first, change).await.0, 200);
    assert_eq!(shelf.found(&[named, ("external_property_value", "18")]).await, [first]);
}

#[tokio::test]
async fn a_person_adds_edits_and_deletes_documents_of_every_kind() {
    let shelf = Shelf::open().await;
    let admin = &shelf.house.admin;
    let new = |name: &str, upload: Upload| NewDocument {
        matter: shelf.matter,
        name: name.to_owned(),
        external_properties: vec![Property::new("GIS_ID", "5"), Property::new("GIS_ID", "6")],
        upload,
        ..NewDocument::default()
    };
    let stub = admin.add_document(&new("stub.pdf", Upload::None)).await.unwrap();
    let unmarked = admin.add_document(&new("unmarked.pdf", Upload::unmarked(b"x"))).await.unwrap();
    let whole = admin.add_document(&new("whole.pdf", Upload::of(b"whole"))).await.unwrap();
    assert_eq!((stub.current(), unmarked.current(), stub.versions[0].size), (None, None, None));
    assert_eq!(unmarked.versions[0].size, Some(1));
    assert_eq!((whole.property("GIS_ID"), whole.current().unwrap().size), (Some("5"), Some(5)));
    assert_eq!(shelf.found(&[]).await, [whole.id]);
    assert_eq!(shelf.found(&[("show_uncompleted", "true")]).await, [stub.id, unmarked.id, whole.id]);
    let edit = DocumentEdit {
        name: Some("other.pdf".to_owned()),
        external_properties: Some(vec![]),
        upload: Some(Upload::of(b"by hand")),
        ..DocumentEdit::default()
    };
    let edited = admin.edit_document(whole.id, &edit).await.unwrap();
    assert_eq!((edited.versions.len(), edited.external_properties.len()), (2, 0));
    assert_ne!(edited.etag, whole.etag);
    assert_eq!(admin.document_bytes(whole.id).await.unwrap(), b"by hand"[..]);
    assert!(admin.documents().await.unwrap().contains(&edited));
    let foreign = admin.matters().await.unwrap()[0].id;
    let moved = DocumentEdit { matter: Some(foreign), ..DocumentEdit::default() };
    assert_eq!(admin.edit_document(whole.id, &moved).await.unwrap().matter, Some(foreign));
    admin.delete_document(whole.id).await.unwrap();
    assert!(
        admin
            .edit_document(whole.id, &DocumentEdit { restore: true, ..DocumentEdit::default() })
            .await
            .is_ok()
    );
    for error in [
        admin.delete_document(1).await.unwrap_err(),
        admin.document_bytes(stub.id).await.unwrap_err(),
        admin.edit_document(1, &moved).await.unwrap_err(),
        admin.add_document(&NewDocument { matter: 1, ..new("x", Upload::None) }).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("404"), "{error}");
    }
}

#[tokio::test]
async fn a_deleted_matter_takes_its_documents_along_and_one_moved_out_keeps_them() {
    let shelf = Shelf::open().await;
    let id = shelf.upload(&shelf.document("notice.pdf"), b"x").await.id;
    let page = shelf.house.admin.move_matter_out(shelf.matter).await.unwrap();
    assert_eq!(page.group, None);
    let shown = shelf.shown(id).await;
    assert_eq!((&shown["matter"]["id"], &shown["matter"]["group"]), (&json!(shelf.matter), &Value::Null));
    shelf.house.admin.delete_matter(shelf.matter).await.unwrap();
    assert_eq!(shelf.house.status_of_get(&format!("documents/{id}")).await, 404);
}

#[tokio::test]
async fn documents_of_foreign_matters_are_there_from_the_start_some_with_our_property() {
    let shelf = Shelf::open().await;
    let pages = shelf.house.admin.documents().await.unwrap();
    assert!(pages.len() > 5 && pages.iter().all(|page| page.name.contains("SECRET")));
    assert!(pages.iter().any(|page| page.property("GIS_ID").is_some()));
    let text = shelf.download(pages[0].id).await.text().await.unwrap();
    assert!(text.contains("SECRET"));
    assert_eq!(pages[0].current().unwrap().size, Some(text.len() as u64));
}

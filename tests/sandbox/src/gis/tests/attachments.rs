//! Attachments: told, asked for in many rows at once, downloaded, added, replaced and deleted.

use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Request, StatusCode};

use super::*;
use crate::calls::Effect;
use crate::gis::{GeneratedAttachment, GisAuth, effect, takes_files};

/// The folder of rows, each with as many attachments as said, of 10 bytes more from one to the next.
fn folder(attachments: &[usize]) -> Layer {
    let mut layer = cases(&vec!["A"; attachments.len()]).with_attachments();
    for (row, count, object_id) in
        attachments.iter().zip(1..).enumerate().map(|(row, (count, id))| (row, count, id))
    {
        let file = |number: usize| GeneratedAttachment {
            name: format!("photo {row}-{number}.jpg"),
            content_type: if number.is_multiple_of(2) { "image/jpeg" } else { "application/pdf" }.to_owned(),
            seed: (row * 100 + number) as u64,
            size: 100 + 10 * number as u64,
        };
        layer.attach(object_id, (0..*count).map(file).collect());
    }
    layer
}

fn server_of(attachments: &[usize]) -> Server {
    Server::with(GisOptions::layers(vec![folder(attachments)]))
}

/// A form in several parts, with `f=json`.
fn parts(address: &str, fields: &[(&str, &str)], file: Option<(&str, &str, &[u8])>) -> Request<Body> {
    let mut body = Vec::new();
    for (name, value) in fields.iter().copied().chain([("f", "json")]) {
        let part = format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    if let Some((name, content_type, bytes)) = file {
        let head = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"{name}\"\r\nContent-Type: {content_type}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--limit--\r\n");
    let kind = "multipart/form-data; boundary=limit";
    Request::post(address).header(CONTENT_TYPE, kind).body(Body::from(body)).unwrap()
}

impl Server {
    async fn edit_attachment(
        &self,
        operation: &str,
        fields: &[(&str, &str)],
        file: Option<(&str, &str, &[u8])>,
    ) -> Value {
        json_of(self.send(parts(&format!("{LAYER}/{operation}"), fields, file)).await).await
    }

    async fn groups(&self, form: &[(&str, &str)]) -> Vec<(i64, Vec<i64>)> {
        let answer = self.post("queryAttachments", form).await;
        let groups = answer["attachmentGroups"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let group = |group: &Value| {
            let infos = group["attachmentInfos"].as_array().unwrap().iter();
            (
                group["parentObjectId"].as_i64().unwrap(),
                infos.map(|info| info["id"].as_i64().unwrap()).collect(),
            )
        };
        groups.iter().map(group).collect()
    }

    async fn bytes(&self, path: &str) -> Vec<u8> {
        let response = self.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    async fn last_edit(&self) -> i64 {
        self.get(&format!("{LAYER}?f=json")).await["editingInfo"]["lastEditDate"].as_i64().unwrap()
    }

    async fn pages(&self) -> Vec<Value> {
        self.admin("GET", "layers/2/attachments", Value::Null).await.1.as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn metadata_tells_whether_a_layer_has_attachments_and_what_is_known_of_them() {
    let server = server_of(&[1]);
    let layer = server.get(&format!("{LAYER}?f=json")).await;
    assert_eq!(layer["hasAttachments"], true);
    assert_eq!(layer["advancedQueryCapabilities"]["supportsQueryAttachments"], true);
    assert_eq!(
        layer["attachmentProperties"][0],
        json!({ "name": "name", "fieldName": "ATT_NAME", "isEnabled": true })
    );
    let plain = Server::of(&["A"]);
    let layer = plain.get(&format!("{LAYER}?f=json")).await;
    assert_eq!(layer["hasAttachments"], false);
    assert_eq!(layer["advancedQueryCapabilities"]["supportsQueryAttachments"], false);
    assert!(layer.get("attachmentProperties").is_none());
    assert_eq!(code(&plain.get(&format!("{LAYER}/1/attachments?f=json")).await), 400);
    let file = Some(("a.txt", "text/plain", &b"x"[..]));
    assert_eq!(code(&plain.edit_attachment("1/addAttachment", &[], file).await), 400);
}

#[tokio::test]
async fn attachments_of_many_rows_come_in_groups_and_rows_without_are_missing() {
    let server = server_of(&[2, 0, 1]);
    assert_eq!(server.groups(&[("objectIds", "1,2,3")]).await, [(1, vec![1, 2]), (3, vec![3])]);
    assert_eq!(server.groups(&[("objectIds", "2")]).await, []);
    assert_eq!(server.groups(&[("objectIds", "99")]).await, []);
    assert_eq!(server.groups(&[("definitionExpression", "OBJECTID > 1")]).await, [(3, vec![3])]);
    let both = [("definitionExpression", "OBJECTID > 1"), ("objectIds", "1")];
    assert_eq!(server.groups(&both).await, []);
    let row = server.row(3).await;
    let braced = row["attributes"]["GlobalID"].as_str().unwrap();
    let bare = braced.trim_matches(['{', '}']).to_lowercase();
    for global_id in [braced, &bare] {
        let form = [("globalIds", global_id), ("objectIds", "1")];
        assert_eq!(server.groups(&form).await, [(3, vec![3])], "global ids go before object ids");
    }
    let answer = server.post("queryAttachments", &[("objectIds", "3")]).await;
    let group = &answer["attachmentGroups"][0];
    assert_eq!(group["parentGlobalId"], braced);
    let info = &group["attachmentInfos"][0];
    assert_eq!((&info["name"], &info["ATT_NAME"]), (&json!("photo 2-0.jpg"), &json!("photo 2-0.jpg")));
    assert_eq!((&info["contentType"], &info["size"]), (&json!("image/jpeg"), &json!(100)));
    for (form, reason) in [
        (vec![], "must be specified"),
        (vec![("objectIds", "1,x")], "objectIds"),
        (vec![("globalIds", "x")], "globalIds"),
        (vec![("definitionExpression", "Nothing = 1")], "Nothing"),
        (vec![("objectIds", "1"), ("size", "big")], "size"),
        (vec![("objectIds", "1"), ("resultRecordCount", "0")], "resultRecordCount"),
        (vec![("objectIds", "1"), ("keywords", "x")], "not supported"),
        (vec![("objectIds", "1"), ("returnCountOnly", "true")], "not supported"),
    ] {
        let answer = server.post("queryAttachments", &form).await;
        assert_eq!(code(&answer), 400);
        assert!(answer.to_string().contains(reason), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_is_cut_at_the_layers_limit_and_does_not_tell() {
    let server = server_of(&[3, 3, 1]);
    server.admin("POST", "layers/2/settings", json!({ "max_record_count": 4 })).await;
    let form = [("objectIds", "1,2,3")];
    assert_eq!(server.groups(&form).await, [(1, vec![1, 2, 3]), (2, vec![4])]);
    let answer = server.post("queryAttachments", &form).await;
    assert!(!answer.to_string().contains("exceededTransferLimit"), "{answer}");
    let wish = [("objectIds", "1,2,3"), ("resultRecordCount", "100")];
    assert_eq!(server.groups(&wish).await, [(1, vec![1, 2, 3]), (2, vec![4])]);
    let page = [("objectIds", "1,2,3"), ("resultOffset", "2"), ("resultRecordCount", "2")];
    assert_eq!(server.groups(&page).await, [(1, vec![3]), (2, vec![4])]);
    let beyond = [("objectIds", "1,2,3"), ("resultOffset", "7")];
    assert_eq!(server.groups(&beyond).await, []);
}

#[tokio::test]
async fn attachments_can_be_asked_for_by_type_and_size() {
    let server = server_of(&[3]);
    let form = |name: &'static str, value: &'static str| [("objectIds", "1"), (name, value)];
    assert_eq!(server.groups(&form("attachmentTypes", "application/pdf, text/plain")).await, [(1, vec![2])]);
    assert_eq!(server.groups(&form("size", "105,115")).await, [(1, vec![2])]);
    assert_eq!(server.groups(&form("size", "110")).await, [(1, vec![2, 3])]);
}

#[tokio::test]
async fn a_layer_may_not_answer_for_many_rows_and_still_lists_one() {
    let server = server_of(&[2, 0]);
    server.admin("POST", "layers/2/settings", json!({ "query_attachments": false })).await;
    let layer = server.get(&format!("{LAYER}?f=json")).await;
    assert_eq!(layer["hasAttachments"], true);
    assert_eq!(layer["advancedQueryCapabilities"]["supportsQueryAttachments"], false);
    assert_eq!(code(&server.post("queryAttachments", &[("objectIds", "1")]).await), 400);
    let list = server.get(&format!("{LAYER}/1/attachments?f=json")).await;
    let infos = list["attachmentInfos"].as_array().unwrap();
    assert_eq!((infos.len(), &infos[0]["id"], &infos[1]["size"]), (2, &json!(1), &json!(110)));
    assert!(infos[0].get("ATT_NAME").is_none());
    assert_eq!(server.get(&format!("{LAYER}/2/attachments?f=json")).await, json!({ "attachmentInfos": [] }));
    assert_eq!(code(&server.get(&format!("{LAYER}/9/attachments?f=json")).await), 400);
}

#[tokio::test]
async fn a_download_gives_the_bytes_under_their_type_and_length() {
    let server = server_of(&[1]);
    let response =
        server.send(Request::get(format!("{LAYER}/1/attachments/1")).body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "image/jpeg");
    assert_eq!(response.headers()[CONTENT_LENGTH], "100");
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(bytes.len() == 100 && bytes.starts_with(b"\xFF\xD8\xFF"));
    assert_eq!(server.pages().await[0]["sha256"], sha256(&bytes));
    for missing in ["1/attachments/2", "9/attachments/1"] {
        assert_eq!(code(&server.get(&format!("{LAYER}/{missing}?f=json")).await), 400, "{missing}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn a_download_needs_the_token_and_its_refusal_is_a_page_unless_json_is_asked_for() {
    let options = GisOptions { auth: GisAuth::Token, ..GisOptions::layers(vec![folder(&[1])]) };
    let server = Server::with(options);
    let address = format!("{LAYER}/1/attachments/1");
    assert_eq!(code(&server.get(&format!("{address}?f=json")).await), 499);
    assert_eq!(code(&server.get(&format!("{address}?f=json&token=wrong")).await), 498);
    let response = server.send(Request::get(&address).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    assert_eq!(server.bytes(&format!("{address}?token=sandbox-token")).await.len(), 100);
    let by_header = Request::get(&address).header("X-Esri-Authorization", "Bearer sandbox-token");
    let response = server.send(by_header.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[CONTENT_LENGTH], "100");
    let file = Some(("a.txt", "text/plain", &b"x"[..]));
    assert_eq!(code(&server.edit_attachment("1/addAttachment", &[], file).await), 499);
    let added = server.edit_attachment("1/addAttachment", &[("token", "sandbox-token")], file).await;
    assert_eq!(added["addAttachmentResult"]["success"], true);
}

#[tokio::test]
async fn an_added_attachment_is_there_and_moves_the_edit_dates() {
    let server = server_of(&[0, 0]);
    let published = server.last_edit().await;
    server.clock.advance(Duration::from_secs(100));
    let before = server.clock.now().timestamp_millis() / 1000 * 1000;
    let file = Some(("Prüfbericht.pdf", "application/pdf", &b"%PDF\r\n--limi\x00\xFF"[..]));
    let answer = server.edit_attachment("2/addAttachment", &[("keywords", "inspection")], file).await;
    let added = &answer["addAttachmentResult"];
    assert_eq!((&added["objectId"], &added["success"]), (&json!(1), &json!(true)));
    let list = server.get(&format!("{LAYER}/2/attachments?f=json")).await;
    let info = &list["attachmentInfos"][0];
    assert_eq!(info["globalId"], added["globalId"]);
    assert_eq!((&info["name"], &info["keywords"]), (&json!("Prüfbericht.pdf"), &json!("inspection")));
    assert_eq!(server.bytes(&format!("{LAYER}/2/attachments/1")).await, b"%PDF\r\n--limi\x00\xFF");
    assert!(server.row(2).await["attributes"]["LAST_MODIFIED_DATE"].as_i64().unwrap() >= before);
    assert_eq!(server.row(2).await["attributes"]["last_edited_user"], "Esri_Anonymous");
    assert!(server.row(1).await["attributes"]["LAST_MODIFIED_DATE"].as_i64().unwrap() < before);
    assert!(server.last_edit().await >= before && published < before);
}

#[tokio::test]
async fn a_replaced_attachment_keeps_its_ids_and_moves_the_edit_dates() {
    let server = server_of(&[1]);
    let before = server.get(&format!("{LAYER}/1/attachments?f=json")).await;
    let edited = server.last_edit().await;
    let file = Some(("new.txt", "text/plain", &b"other bytes"[..]));
    let answer = server.edit_attachment("1/updateAttachment", &[("attachmentId", "1")], file).await;
    assert_eq!(answer["updateAttachmentResult"]["objectId"], 1);
    let after = server.get(&format!("{LAYER}/1/attachments?f=json")).await;
    assert_eq!(after["attachmentInfos"][0]["globalId"], before["attachmentInfos"][0]["globalId"]);
    assert_eq!(after["attachmentInfos"][0]["name"], "new.txt");
    assert_eq!(server.bytes(&format!("{LAYER}/1/attachments/1")).await, b"other bytes");
    assert!(server.last_edit().await > edited);
}

#[tokio::test]
async fn deleted_attachments_are_gone_and_one_that_is_missing_keeps_all() {
    let server = server_of(&[3]);
    let edited = server.last_edit().await;
    let refused = server.post("1/deleteAttachments", &[("attachmentIds", "1,9")]).await;
    assert_eq!(refused["error"]["details"], json!(["Operation rolled back.", "Operation rolled back."]));
    assert_eq!((server.pages().await.len(), server.last_edit().await), (3, edited));
    let form = [("attachmentIds", "9, 1"), ("rollbackOnFailure", "false")];
    let answer = server.post("1/deleteAttachments", &form).await;
    let results = &answer["deleteAttachmentResults"];
    assert_eq!((&results[0]["error"]["code"], &results[1]["objectId"]), (&json!(1010), &json!(1)));
    assert!(server.last_edit().await > edited);
    assert_eq!(server.groups(&[("objectIds", "1")]).await, [(1, vec![2, 3])]);
    server.post("1/deleteAttachments", &[("attachmentIds", "2,3")]).await;
    assert_eq!(server.groups(&[("objectIds", "1")]).await, []);
}

#[tokio::test]
async fn an_edit_of_an_attachment_that_cannot_be_done_changes_nothing() {
    let server = server_of(&[1]);
    let before = server.pages().await;
    let file = Some(("a.txt", "text/plain", &b"x"[..]));
    let missing = server.edit_attachment("9/addAttachment", &[], file).await;
    assert_eq!(missing["addAttachmentResult"]["error"]["code"], 1011);
    let missing = server.edit_attachment("1/updateAttachment", &[("attachmentId", "9")], file).await;
    assert_eq!(missing["updateAttachmentResult"]["error"]["code"], 1009);
    for (operation, fields, file) in [
        ("1/addAttachment", vec![], None),
        ("1/addAttachment", vec![("attachment", "no file")], None),
        ("1/addAttachment", vec![("uploadId", "i1")], file),
        ("1/updateAttachment", vec![], file),
        ("1/updateAttachment", vec![("attachmentId", "x")], file),
        ("1/updateAttachment", vec![("attachmentId", "1")], None),
        ("1/deleteAttachments", vec![], None),
        ("1/deleteAttachments", vec![("attachmentIds", "x")], None),
    ] {
        let answer = server.edit_attachment(operation, &fields, file).await;
        assert_eq!(code(&answer), 400, "{operation} {fields:?}: {answer}");
    }
    let got =
        server.send(Request::get(format!("{LAYER}/1/addAttachment?f=json")).body(Body::empty()).unwrap());
    assert_eq!(got.await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let cut = parts(&format!("{LAYER}/1/addAttachment"), &[], file);
    let (head, body) = cut.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let cut = Request::from_parts(head, Body::from(bytes.slice(..bytes.len() - 12)));
    assert_eq!(server.send(cut).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(server.pages().await, before);
}

#[tokio::test]
async fn attachments_go_with_their_row_and_come_back_when_its_deletion_is_taken_back() {
    let server = server_of(&[1, 1]);
    assert_eq!(code(&server.post("deleteFeatures", &[("objectIds", "1,9")]).await), 400);
    assert_eq!(server.pages().await.len(), 2);
    server.post("deleteFeatures", &[("objectIds", "1")]).await;
    assert_eq!(server.groups(&[("definitionExpression", "1=1")]).await, [(2, vec![2])]);
}

#[tokio::test]
async fn republishing_gives_attachments_other_ids_too() {
    let server = server_of(&[1, 2]);
    let before = server.pages().await;
    server.admin("POST", "layers/2/republish", json!({})).await;
    let after = server.pages().await;
    assert_eq!(after.len(), 3);
    for old in &before {
        let new = after.iter().find(|new| new["sha256"] == old["sha256"]).unwrap();
        for id in ["object_id", "id", "global_id"] {
            assert_ne!(new[id], old[id], "{id}");
        }
    }
}

#[tokio::test]
async fn a_person_adds_replaces_and_deletes_attachments_and_the_row_is_dated() {
    let server = server_of(&[0]);
    server.clock.advance(Duration::from_secs(100));
    let before = server.clock.now().timestamp_millis() / 1000 * 1000;
    let path = "layers/2/features/1/attachments";
    let (status, added) =
        server.admin("POST", &format!("{path}?name=a%20b.txt&content_type=text/plain"), json!("x")).await;
    assert_eq!((status, &added["id"]), (StatusCode::OK, &json!(1)));
    let page = server.pages().await.remove(0);
    assert_eq!(
        (&page["name"], &page["size"], &page["sha256"]),
        (&json!("a b.txt"), &json!(3), &json!(sha256(b"\"x\"")))
    );
    assert_eq!(server.row(1).await["attributes"]["last_edited_user"], "map.editor");
    assert!(server.row(1).await["attributes"]["LAST_MODIFIED_DATE"].as_i64().unwrap() >= before);
    server.admin("PUT", &format!("{path}/1?seed=5&size=70000"), Value::Null).await;
    let page = server.pages().await.remove(0);
    assert_eq!((&page["id"], &page["name"], &page["size"]), (&json!(1), &json!("a b.txt"), &json!(70_000)));
    assert_eq!(page["sha256"], sha256(&server.bytes(&format!("{LAYER}/1/attachments/1")).await));
    server.admin("DELETE", &format!("{path}/1"), Value::Null).await;
    assert_eq!(server.pages().await, [] as [Value; 0]);
    for (method, path, status) in [
        ("POST", "layers/2/features/1/attachments", 422),
        ("POST", "layers/2/features/1/attachments?name=a&content_type=b&seed=1", 422),
        ("POST", "layers/2/features/9/attachments?name=a&content_type=b", 422),
        ("PUT", "layers/2/features/1/attachments/9", 404),
        ("DELETE", "layers/2/features/1/attachments/9", 404),
        ("GET", "layers/2/features/1/attachments/9", 404),
        ("GET", "layers/3/attachments", 404),
    ] {
        assert_eq!(server.admin(method, path, Value::Null).await.0.as_u16(), status, "{method} {path}");
    }
    server.admin("POST", "layers/2/settings", json!({ "attachments": false })).await;
    let (status, _) =
        server.admin("POST", "layers/2/features/1/attachments?name=a&content_type=b", Value::Null).await;
    assert_eq!(status.as_u16(), 422);
}

#[test]
fn requests_for_attachments_have_their_effects() {
    for read in ["queryAttachments", "1/attachments", "1/attachments/5"] {
        assert_eq!(effect(&axum::http::Method::GET, &format!("{LAYER}/{read}")), Effect::Read, "{read}");
        assert!(!takes_files(&format!("{LAYER}/{read}")));
    }
    for write in ["1/addAttachment", "1/updateAttachment", "1/deleteAttachments"] {
        assert_eq!(effect(&axum::http::Method::POST, &format!("{LAYER}/{write}")), Effect::Write, "{write}");
    }
    assert!(
        takes_files(&format!("{LAYER}/1/addAttachment"))
            && takes_files(&format!("{LAYER}/1/updateAttachment"))
    );
}

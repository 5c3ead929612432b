use std::time::Duration;

use axum::http::StatusCode;

use super::*;
use crate::gis::GisAuth;

const GENERATE: &str = "/arcgis/tokens/generateToken";
const SIGN_IN: [(&str, &str); 2] = [("username", "databridge"), ("password", "sandbox-password")];

fn server(auth: GisAuth) -> Server {
    Server::with(GisOptions { auth, ..GisOptions::layers(vec![cases(&["A"])]) })
}

async fn with_header(server: &Server, name: &str, value: &str) -> Value {
    let request = Request::get(format!("{LAYER}?f=json")).header(name, value).body(Body::empty()).unwrap();
    json_of(server.send(request).await).await
}

async fn generate(server: &Server, more: &[(&str, &str)]) -> Value {
    let form: Vec<_> = SIGN_IN.iter().chain(more).copied().collect();
    json_of(server.send(form_request(GENERATE, &form)).await).await
}

#[tokio::test]
async fn a_token_is_taken_from_form_query_or_either_header() {
    let server = server(GisAuth::Token);
    let missing = server.get(&format!("{LAYER}?f=json")).await;
    assert_eq!((code(&missing), &missing["error"]["messageCode"]), (499, &json!("GWM_0003")));
    assert_eq!(code(&server.get(&format!("{LAYER}?f=json&token=wrong")).await), 498);
    assert_eq!(server.get(&format!("{LAYER}?f=json&token=sandbox-token")).await["id"], 2);
    assert_eq!(with_header(&server, "Authorization", "Bearer sandbox-token").await["id"], 2);
    assert_eq!(with_header(&server, "X-Esri-Authorization", "Bearer sandbox-token").await["id"], 2);
    assert_eq!(code(&with_header(&server, "X-Esri-Authorization", "Bearer wrong").await), 498);
    let query = [("where", "1=1"), ("returnCountOnly", "true"), ("token", "sandbox-token")];
    assert_eq!(server.query(&query).await, json!({ "count": 1 }));
    assert_eq!(server.get("/arcgis/rest/info?f=json").await["authInfo"]["isTokenBasedSecurity"], true);
}

#[tokio::test]
async fn an_edit_without_a_good_token_is_not_done() {
    let server = server(GisAuth::Token);
    assert_eq!(code(&server.post("deleteFeatures", &[("objectIds", "1")]).await), 499);
    assert_eq!(code(&server.post("deleteFeatures", &[("objectIds", "1"), ("token", "wrong")]).await), 498);
    let query = [("where", "1=1"), ("returnCountOnly", "true"), ("token", "sandbox-token")];
    assert_eq!(server.query(&query).await, json!({ "count": 1 }));
}

#[tokio::test]
async fn a_bad_token_is_refused_also_where_none_is_needed() {
    let server = server(GisAuth::None);
    assert_eq!(server.get(&format!("{LAYER}?f=json")).await["id"], 2);
    assert_eq!(code(&server.get(&format!("{LAYER}?f=json&token=wrong")).await), 498);
}

#[tokio::test]
async fn a_generated_token_serves_until_it_ends_and_names_the_editor() {
    let server = server(GisAuth::GenerateToken);
    assert_eq!(code(&with_header(&server, "Authorization", "Bearer sandbox-token").await), 498);
    let asked = server.clock.now().timestamp_millis();
    let answer = generate(&server, &[("client", "requestip"), ("expiration", "10")]).await;
    let lifetime = answer["expires"].as_i64().unwrap() - asked;
    assert!((600_000..660_000).contains(&lifetime), "{lifetime}");
    let token = answer["token"].as_str().unwrap();
    let update = json!([{ "attributes": { "OBJECTID": 1, "Floors": 5 } }]).to_string();
    let edited = server.post("updateFeatures", &[("features", &update), ("token", token)]).await;
    assert_eq!(edited["updateResults"][0]["success"], true);
    let rows = server.query(&[("where", "1=1"), ("outFields", "last_edited_user"), ("token", token)]).await;
    assert_eq!(rows["features"][0]["attributes"]["last_edited_user"], "databridge");
    server.clock.advance(Duration::from_secs(601));
    assert_eq!(code(&with_header(&server, "Authorization", &format!("Bearer {token}")).await), 498);
}

#[tokio::test]
async fn too_long_a_wish_is_shortened_without_a_word() {
    let server = server(GisAuth::GenerateToken);
    server.admin("POST", "settings", json!({ "token_lifetime_seconds": 5 })).await;
    let asked = server.clock.now().timestamp_millis();
    let answer = generate(&server, &[("expiration", "100000")]).await;
    assert!(answer["expires"].as_i64().unwrap() - asked <= 65_000);
    server.admin("POST", "expire_tokens", json!({})).await;
    let token = answer["token"].as_str().unwrap();
    assert_eq!(code(&with_header(&server, "Authorization", &format!("Bearer {token}")).await), 498);
}

#[tokio::test]
async fn a_token_bound_to_a_referer_needs_that_referer() {
    let server = server(GisAuth::GenerateToken);
    assert_eq!(code(&generate(&server, &[("client", "referer")]).await), 400);
    let answer = generate(&server, &[("client", "referer"), ("referer", "https://bridge.example")]).await;
    let address = format!("{LAYER}?f=json&token={}", answer["token"].as_str().unwrap());
    assert_eq!(code(&server.get(&address).await), 498);
    for (referer, expected) in [("https://other.example", None), ("https://bridge.example", Some(2))] {
        let request = Request::get(&address).header("Referer", referer).body(Body::empty()).unwrap();
        let answer = json_of(server.send(request).await).await;
        assert_eq!(answer["id"].as_i64(), expected, "{referer}: {answer}");
    }
}

#[tokio::test]
async fn a_token_is_given_for_the_right_password_in_a_form_only() {
    let server = server(GisAuth::GenerateToken);
    let wrong = [("username", "databridge"), ("password", "wrong")];
    let answer = json_of(server.send(form_request(GENERATE, &wrong)).await).await;
    assert_eq!((code(&answer), &answer["error"]["message"]), (400, &json!("Unable to generate token.")));
    assert_eq!(answer["error"]["details"], json!(["Invalid username or password."]));
    let in_the_query = format!("{GENERATE}?username=databridge&password=sandbox-password&f=json");
    let posted = server.send(Request::post(&in_the_query).body(Body::empty()).unwrap()).await;
    assert_eq!(code(&json_of(posted).await), 400);
    let got = server.send(Request::get(&in_the_query).body(Body::empty()).unwrap()).await;
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    let at_the_told_address = form_request("/arcgis/tokens/", &SIGN_IN);
    assert!(json_of(server.send(at_the_told_address).await).await["token"].is_string());
}

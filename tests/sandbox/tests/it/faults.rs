//! Faults: what each does to a request, and which requests it strikes.

use std::time::{Duration, Instant};

use reqwest::Method;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use serde_json::{Value, json};

use crate::house::House;

async fn groups_named(house: &House, name: &str) -> usize {
    house.admin.groups().await.unwrap().iter().filter(|group| group.name == name).count()
}

/// Posts a group while a fault is on, and gives the status or nothing where the answer did not arrive whole.
async fn post(house: &House, action: Action) -> (Option<u16>, usize) {
    house.admin.fault(&Fault::new(System::Clio, action).method("POST")).await.unwrap();
    let sent = house.request(Method::POST, "groups").json(&json!({"data": {"name": "Ghost"}})).send().await;
    let status = match sent {
        Err(_) => None,
        Ok(response) => {
            let status = response.status().as_u16();
            response.bytes().await.ok().map(|_| status)
        }
    };
    house.admin.clear_faults().await.unwrap();
    (status, groups_named(house, "Ghost").await)
}

#[tokio::test]
async fn each_fault_applies_the_write_or_does_not_as_it_says() {
    for (action, status, groups) in [
        (Action::Status { status: 503, body: "busy".to_owned(), headers: [].into() }, Some(503), 0),
        (Action::Html, Some(200), 0),
        (Action::Drop, None, 0),
        (Action::RateLimited { retry_after: 7 }, Some(429), 0),
        (Action::Truncate, None, 1),
        (Action::DropAfter, None, 1),
        (Action::AppliedThen504, Some(504), 1),
        (Action::Delay { ms: 30 }, Some(201), 1),
        (Action::ApplyTwice, Some(201), 2),
    ] {
        let house = House::open().await;
        assert_eq!(post(&house, action.clone()).await, (status, groups), "{action:?}");
    }
}

#[tokio::test]
async fn a_cut_answer_carries_the_length_of_the_whole_and_half_of_it() {
    let house = House::open().await;
    let whole = house.request(Method::GET, "groups").send().await.unwrap().bytes().await.unwrap();
    house.admin.fault(&Fault::new(System::Clio, Action::Truncate)).await.unwrap();
    let mut cut = house.request(Method::GET, "groups").send().await.unwrap();
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    let mut got = Vec::new();
    let ended = loop {
        match cut.chunk().await {
            Ok(Some(chunk)) => got.extend_from_slice(&chunk),
            ended => break ended,
        }
    };
    assert!(ended.is_err());
    assert_eq!(got, whole[..whole.len() / 2]);
}

#[tokio::test]
async fn a_fault_strikes_what_it_names_after_skipping_and_so_often_only() {
    let house = House::open().await;
    let action = Action::Status { status: 500, body: String::new(), headers: [].into() };
    let fault = Fault::new(System::Clio, action).method("get").path("groups?name=").skip(1).times(2);
    let id = house.admin.fault(&fault).await.unwrap();
    assert_eq!(house.status_of_get("groups").await, 200);
    assert_eq!(house.status_of_get("contacts?name=x").await, 200);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(house.status_of_get("groups?name=x").await);
    }
    assert_eq!(statuses, [200, 500, 500, 200]);
    let told = house.admin.fault_status(id).await.unwrap().unwrap();
    assert_eq!((told.matched, told.fired, &told.fault), (3, 2, &fault));
    house.admin.remove_fault(id).await.unwrap();
    assert!(house.admin.faults().await.unwrap().is_empty());
    assert!(house.admin.remove_fault(id).await.is_err());
}

#[tokio::test]
async fn a_fault_can_look_at_the_body_and_last_for_ever() {
    let house = House::open().await;
    let fault = Fault::new(System::Clio, Action::AppliedThen504).body("Ghost").forever();
    house.admin.fault(&fault).await.unwrap();
    for (name, status) in [("Ghost", 504), ("Guest", 201), ("Ghost", 504)] {
        assert_eq!(house.send(Method::POST, "groups", &json!({"name": name})).await.status(), status);
    }
    assert_eq!(groups_named(&house, "Ghost").await, 2);
}

async fn until_waiting(house: &House, id: u64) {
    let start = Instant::now();
    while house.admin.fault_status(id).await.unwrap().unwrap().waiting == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing waits at the fault");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_held_request_waits_before_or_after_it_is_applied() {
    let house = House::open().await;
    for (action, groups_while_held) in [(Action::Hold, 0), (Action::HoldAfter, 2)] {
        let id = house.admin.fault(&Fault::new(System::Clio, action).method("POST")).await.unwrap();
        let request = house.request(Method::POST, "groups").json(&json!({"data": {"name": "Ghost"}}));
        let sent = tokio::spawn(request.send());
        until_waiting(&house, id).await;
        assert_eq!(groups_named(&house, "Ghost").await, groups_while_held);
        assert!(!sent.is_finished());
        house.admin.release(id).await.unwrap();
        assert_eq!(sent.await.unwrap().unwrap().status(), 201);
    }
}

#[tokio::test]
async fn a_write_is_applied_even_if_the_client_went_away() {
    let house = House::open().await;
    let id = house.admin.fault(&Fault::new(System::Clio, Action::Hold)).await.unwrap();
    let request = house.request(Method::POST, "groups").json(&json!({"data": {"name": "Ghost"}}));
    assert!(request.timeout(Duration::from_millis(200)).send().await.unwrap_err().is_timeout());
    house.admin.release(id).await.unwrap();
    let start = Instant::now();
    while groups_named(&house, "Ghost").await == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "the write was lost");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn arcgis_is_struck_too_and_can_answer_200_with_an_error() {
    let house = House::open().await;
    let url = format!("{}/2/query?f=json&where=1%3D1&returnCountOnly=true", house.sandbox.gis_service_url());
    let error = Action::Error200 { code: 498, message: "Invalid token.".to_owned(), details: vec![] };
    house.admin.fault(&Fault::new(System::Gis, error).path("/2/query")).await.unwrap();
    let ask = async || house.http.get(&url).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(ask().await["error"]["code"], 498);
    assert_eq!(ask().await["count"], 5);
    assert_eq!(house.status_of_get("groups").await, 200);
}

/// The ids of a page, and the address of the next one.
async fn page(house: &House, url: &str) -> (Vec<i64>, Option<String>) {
    let answer = house.http.get(url).bearer_auth(&house.token).send().await.unwrap();
    let list: Value = answer.json().await.unwrap();
    let ids = list["data"].as_array().unwrap().iter().filter_map(|group| group["id"].as_i64()).collect();
    (ids, list["meta"]["paging"]["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn a_next_page_can_lead_back_to_itself_or_to_the_first() {
    let house = House::open().await;
    let first = format!("{}api/v4/groups?limit=1&fields=id", house.sandbox.url());
    let (_, second) = page(&house, &first).await;
    let second = second.unwrap();
    let back = Fault::new(System::Clio, Action::NextLeadsBack).path("/groups?").forever();
    house.admin.fault(&back).await.unwrap();
    assert_eq!(page(&house, &first).await.1.unwrap(), first);
    assert_eq!(page(&house, &second).await.1.unwrap(), first);
    house.admin.clear_faults().await.unwrap();
    house.admin.fault(&Fault { times: None, ..back.skip(1) }).await.unwrap();
    let (ids, next) = page(&house, &first).await;
    assert_eq!(next.unwrap(), second, "the first passes unharmed");
    let (others, next) = page(&house, &second).await;
    assert!(next.unwrap() == first && ids != others);
}

#[tokio::test]
async fn a_page_can_be_given_again_for_another() {
    let house = House::open().await;
    let first = format!("{}api/v4/groups?limit=1&fields=id", house.sandbox.url());
    let (ids, second) = page(&house, &first).await;
    house.admin.fault(&Fault::new(System::Clio, Action::SameAgain).path("/groups?").times(2)).await.unwrap();
    assert_eq!(page(&house, &first).await, (ids.clone(), second.clone()));
    assert_eq!(page(&house, second.as_ref().unwrap()).await, (ids.clone(), second.clone()));
    assert_ne!(page(&house, second.as_ref().unwrap()).await.0, ids);
}

#[tokio::test]
async fn a_filter_can_be_left_unheeded() {
    let house = House::open().await;
    let named = format!("{}api/v4/groups?ids[]=0&fields=id&limit=1", house.sandbox.url());
    assert!(page(&house, &named).await.0.is_empty());
    let ignores = Action::Ignores { parameters: vec!["ids[]".to_owned()] };
    house.admin.fault(&Fault::new(System::Clio, ignores)).await.unwrap();
    assert_eq!(page(&house, &named).await.0.len(), 1, "and the limit is heeded");
    assert!(page(&house, &named).await.0.is_empty());
}

#[tokio::test]
async fn a_fault_of_an_unknown_kind_is_refused() {
    let house = House::open().await;
    for bad in [
        json!({"system": "clio", "action": {"kind": "explode"}}),
        json!({"system": "clio", "action": {"kind": "drop"}, "tims": 2}),
    ] {
        let url = format!("{}admin/faults", house.sandbox.url());
        assert_eq!(house.http.post(url).json(&bad).send().await.unwrap().status(), 422, "{bad}");
    }
}

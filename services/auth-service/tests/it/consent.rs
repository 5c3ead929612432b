//! The consent, from the link to the vault.

use auth_service::Account;
use sandbox::calls::System;
use sandbox::client::Answer;
use sandbox::faults::{Action, Fault};
use serde_json::json;

use crate::browser::Browser;
use crate::office::Office;

#[tokio::test]
async fn a_person_who_allows_the_access_connects_clio() {
    let office = Office::open().await;
    let before = office.status().await;
    assert!(!before.connected && before.needs_consent, "{before:?}");
    assert_eq!(before.reason.as_deref(), Some("Nobody has connected Clio yet"));
    assert!(office.no_token(None).await.contains("databridge connect"));

    let mut browser = Browser::new();
    let page = office.consent(&mut browser, &office.link().await).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.heading(), "Clio is connected");
    assert!(page.body.contains("Ada Lawson of Riverside Law Clinic"), "{}", page.body);
    assert!(browser.cookies.is_empty(), "the cookie has done its work");

    let status = office.status().await;
    assert!(status.connected && !status.needs_consent, "{status:?}");
    assert_eq!(status.account.unwrap().name.as_deref(), Some("Riverside Law Clinic"));
    assert_eq!(status.connected_by.unwrap().name, "Ada Lawson");
    let days = (status.expires_at.unwrap() - office.clock.now()).num_days();
    assert!((29..=30).contains(&days), "Clio's own lifetime is kept: {days} days");
    assert_eq!(office.status_at_clio(&office.token(None).await).await, 200);
    assert_eq!(office.clio.strays().await.unwrap(), vec![], "only known calls are made");
}

#[tokio::test]
async fn the_way_to_clio_carries_all_that_oauth_asks_for() {
    let office = Office::open().await;
    let consent = Browser::new().get(&office.link().await).await.location();
    assert_eq!(consent.path(), "/oauth/authorize");
    let value = |name: &str| consent.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    assert_eq!(value("response_type").as_deref(), Some("code"));
    assert_eq!(value("client_id").as_deref(), Some("sandbox-key"));
    assert_eq!(value("redirect_uri").unwrap(), office.url("callback").to_string());
    assert_eq!(value("redirect_on_decline").as_deref(), Some("true"));
    assert!(value("state").unwrap().len() >= 40);
}

#[tokio::test]
async fn the_cookie_is_private_and_goes_to_the_callback_only() {
    let office = Office::open().await;
    let page = Browser::new().get(&office.link().await).await;
    let cookie = page.set_cookie().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/callback"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let consent = page.location();
    let state = consent.query_pairs().find(|(name, _)| name == "state").unwrap().1;
    assert!(!cookie.contains(&*state), "the state is encrypted in it");
}

#[tokio::test]
async fn a_person_who_declines_is_told_so_and_changes_nothing() {
    let office = Office::open().await;
    office.connect().await;
    let before = office.status().await;
    let mut browser = Browser::new();
    let back = office.at_clio(&mut browser, &office.link().await, Answer::Decline).await;
    let page = browser.get(&back).await;
    assert_eq!((page.status.as_u16(), page.heading()), (403, "The access was declined"));
    assert!(page.body.contains("databridge connect"));
    assert_eq!(office.status().await, before);
}

#[tokio::test]
async fn an_answer_with_a_wrong_or_missing_state_is_refused_before_its_code_is_used() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let back = office.at_clio(&mut browser, &office.link().await, Answer::Allow).await;
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();

    for query in [format!("code={code}"), format!("code={code}&state=x"), format!("code={code}&state=")] {
        let page = browser.get(&office.url(&format!("callback?{query}"))).await;
        assert_eq!(page.status, 400, "{query}");
        assert_eq!(page.heading(), "This answer does not belong to your request");
    }
    assert!(!office.status().await.connected);
    assert_eq!(office.token_calls().await, 0);

    let page = browser.get(&back).await;
    assert_eq!(page.status, 200, "a stranger's answer does not end the consent that is under way");
}

#[tokio::test]
async fn an_answer_in_another_browser_is_refused() {
    let office = Office::open().await;
    let back = office.at_clio(&mut Browser::new(), &office.link().await, Answer::Allow).await;
    let page = Browser::new().get(&back).await;
    assert_eq!((page.status.as_u16(), page.heading()), (400, "No consent is under way in this browser"));
    assert!(!office.status().await.connected);

    let mut forger = Browser::new();
    forger.cookies.insert("databridge_consent".to_owned(), "v1.00000000.AAAA".to_owned());
    assert_eq!(forger.get(&back).await.status, 400);
    assert_eq!(office.token_calls().await, 0);
}

#[tokio::test]
async fn a_consent_that_took_too_long_is_refused() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let back = office.at_clio(&mut browser, &office.link().await, Answer::Allow).await;
    office.clock.advance(chrono::TimeDelta::minutes(31));
    let page = browser.get(&back).await;
    assert_eq!((page.status.as_u16(), page.heading()), (400, "No consent is under way in this browser"));
}

#[tokio::test]
async fn a_code_works_once() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let back = office.at_clio(&mut browser, &office.link().await, Answer::Allow).await;
    let cookies = browser.cookies.clone();
    assert_eq!(browser.get(&back).await.status, 200);
    let before = office.status().await;

    browser.cookies = cookies;
    let page = browser.get(&back).await;
    assert_eq!((page.status.as_u16(), page.heading()), (400, "The code was used already or has expired"));
    assert_eq!(office.status().await, before);

    let page = browser.get(&back).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("If you only loaded the page again, all is well"), "{}", page.body);
}

#[tokio::test]
async fn a_code_that_is_too_old_is_refused() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let back = office.at_clio(&mut browser, &office.link().await, Answer::Allow).await;
    office.clio.advance_clock(std::time::Duration::from_secs(11 * 60)).await.unwrap();
    let page = browser.get(&back).await;
    assert_eq!((page.status.as_u16(), page.heading()), (400, "The code was used already or has expired"));
    assert!(!office.status().await.connected);
}

#[tokio::test]
async fn another_account_is_connected_only_on_purpose() {
    let office = Office::open().await;
    office.connect().await;
    let before = office.status().await;
    let token = office.token(None).await;

    office.sign_in("Cora Whitfield").await;
    let page = office.consent(&mut Browser::new(), &office.link().await).await;
    assert_eq!((page.status.as_u16(), page.heading()), (409, "This is another Clio account"));
    assert!(page.body.contains("Riverside Law Clinic") && page.body.contains("Bluff City Legal Group"));
    assert!(page.body.contains("databridge connect --another-account"), "{}", page.body);
    assert_eq!(office.status().await, before);
    assert_eq!(office.token(None).await, token);

    let link = office.link_of(json!({"another_account": true})).await;
    let page = office.consent(&mut Browser::new(), &link).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let Account { name, .. } = office.status().await.account.unwrap();
    assert_eq!(name.as_deref(), Some("Bluff City Legal Group"));
}

#[tokio::test]
async fn another_person_of_the_same_account_may_take_over() {
    let office = Office::open().await;
    office.connect().await;
    office.sign_in("Ben Ortiz").await;
    let page = office.consent(&mut Browser::new(), &office.link().await).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(office.status().await.connected_by.unwrap().name, "Ben Ortiz");
}

#[tokio::test]
async fn a_clio_that_is_out_of_order_is_told_as_that_and_leaves_the_old_connection() {
    let office = Office::open().await;
    office.connect().await;
    let before = office.status().await;
    let out_of_order = Action::Status { status: 503, body: "down".into(), headers: [].into() };
    for (path, action) in [
        ("oauth/token", out_of_order.clone()),
        ("oauth/token", Action::Html),
        ("oauth/token", Action::DropAfter),
        ("who_am_i", out_of_order),
        ("who_am_i", Action::Html),
        ("who_am_i", Action::Truncate),
    ] {
        office.clio.fault(&Fault::new(System::Clio, action.clone()).path(path)).await.unwrap();
        let page = office.consent(&mut Browser::new(), &office.link().await).await;
        assert_eq!(
            (page.status.as_u16(), page.heading()),
            (502, "Clio did not answer as expected"),
            "{action:?}"
        );
        assert_eq!(office.status().await, before);
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let office = Office::open().await;
    let forbidden = Action::Status { status: 403, body: "{}".into(), headers: [].into() };
    office.clio.fault(&Fault::new(System::Clio, forbidden).path("who_am_i")).await.unwrap();
    let page = office.consent(&mut Browser::new(), &office.link().await).await;
    assert_eq!((page.status.as_u16(), page.heading()), (502, "Clio does not say who you are"));
    assert!(page.body.contains("&#34;Users&#34;"), "{}", page.body);
}

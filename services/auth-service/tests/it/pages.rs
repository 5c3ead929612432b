//! The pages as people see them.

use chrono::TimeDelta;
use sandbox::calls::System;
use sandbox::clio::hand::ClioSettings;
use sandbox::faults::{Action, Fault};

use crate::browser::{Browser, Page};
use crate::office::{Office, fingerprint, until};

/// What a person reads on a page, without the time of day at which the test runs.
fn text_of(page: &Page) -> String {
    let (_, main) = page.body.split_once("<main>").unwrap();
    let (main, _) = main.split_once("</main>").unwrap();
    let mut text = String::new();
    let mut in_tag = false;
    for c in main.replace("&#39;", "'").chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    let lines = text.lines().map(without_times);
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// `21 November 2026, 01:22 UTC` becomes `(a time)`.
fn without_times(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match word.strip_prefix("UTC") {
            Some(rest) => {
                words.truncate(words.len() - 4);
                words.push(format!("(a time){rest}"));
            }
            None => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

#[tokio::test]
async fn the_status_page_says_that_nobody_has_connected_clio_and_what_to_do() {
    let office = Office::open().await;
    let page = Browser::new().get(&office.url("")).await;
    assert_eq!(page.status, 200);
    insta::assert_snapshot!(text_of(&page), @r"
    Clio is not connected
    Data Bridge cannot work with Clio until a person with a Clio login has allowed it.
    What to do next
    Where Data Bridge runs, type: databridge connect
    Open the link that it prints in a browser where you are signed in to Clio. It works once, for 15 minutes.
    Choose to allow the access.
    ");
}

#[tokio::test]
async fn the_status_page_says_who_connected_clio_and_until_when() {
    let office = Office::open().await;
    office.connect().await;
    let page = Browser::new().get(&office.url("")).await;
    insta::assert_snapshot!(text_of(&page), @r"
    Clio is connected
    Data Bridge reads and writes matters in Clio in the name of the person below.
    Account Riverside Law Clinic
    Connected by Ada Lawson
    Since (a time)
    Access until (a time); it is renewed by itself when it is needed
    What to do next
    Nothing needs to be done.
    To let another person connect, or to connect anew, make a one-time link: databridge connect
    ");
}

#[tokio::test]
async fn the_status_page_says_when_a_new_consent_is_needed_and_why() {
    let office = Office::open().await;
    let hour = ClioSettings { token_lifetime_seconds: Some(3600), ..ClioSettings::default() };
    office.clio.clio_settings(&hour).await.unwrap();
    office.connect().await;
    let token = office.token(None).await;
    office.clio.revoke_tokens().await.unwrap();
    office.no_token(fingerprint(&token)).await;
    office.clock.advance(TimeDelta::hours(2));
    let page = Browser::new().get(&office.url("")).await;
    insta::assert_snapshot!(text_of(&page), @r"
    Clio needs your consent again
    Clio no longer accepts the access that was allowed: it was taken back in Clio, or the application was changed there.
    Account Riverside Law Clinic
    Connected by Ada Lawson
    Since (a time)
    What to do next
    Where Data Bridge runs, type: databridge connect
    Open the link that it prints in a browser where you are signed in to Clio. It works once, for 15 minutes.
    Choose to allow the access.
    ");
}

#[tokio::test]
async fn the_status_page_says_that_a_renewal_fails_and_is_tried_again() {
    let office = Office::open().await;
    office.connect().await;
    let down = Action::Status { status: 503, body: "down".into(), headers: [].into() };
    office.clio.fault(&Fault::new(System::Clio, down).path("oauth/token")).await.unwrap();
    office.clock.advance(TimeDelta::days(31));
    office.no_token(None).await;
    let page = Browser::new().get(&office.url("")).await;
    insta::assert_snapshot!(text_of(&page), @r"
    Clio is connected
    Data Bridge reads and writes matters in Clio in the name of the person below.
    Account Riverside Law Clinic
    Connected by Ada Lawson
    Since (a time)
    Access ended (a time); it is renewed by itself when it is needed
    Last renewal failed (a time): Clio did not answer as expected: POST oauth/token (refresh): status 503
    What to do next
    The access could not be renewed at the last try. It is tried again by itself; if this lasts for hours, the reason above says where to look.
    To let another person connect, or to connect anew, make a one-time link: databridge connect
    ");
}

#[tokio::test]
async fn the_bare_page_explains_the_one_time_link() {
    let office = Office::open().await;
    let page = Browser::new().get(&office.url("auth")).await;
    assert_eq!(page.status, 200);
    insta::assert_snapshot!(text_of(&page), @r"
    Connecting Clio starts with a one-time link
    This page opens Clio's consent page for whoever holds a one-time link. Without one it does nothing, so that no stranger can connect an account of theirs.
    What to do
    Where Data Bridge runs, type: databridge connect
    Open the link that it prints in a browser where you are signed in to Clio. It works once, for 15 minutes.
    Clio asks whether Data Bridge may use your account. Choose to allow it; you come back here.
    ");
}

#[tokio::test]
async fn a_name_with_markup_in_it_is_shown_and_not_obeyed() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let consent = browser.get(&office.link().await).await.location();
    let state = consent.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let mut back = office.url("callback");
    back.query_pairs_mut().append_pair("state", &state).append_pair("error", "<script>alert(1)</script>");
    let page = browser.get(&back).await;
    assert_eq!(page.status, 502);
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(page.body.contains("alert(1)"), "{}", page.body);
}

#[tokio::test]
async fn health_tells_the_truth_about_the_broker() {
    let mut office = Office::open().await;
    let mut browser = Browser::new();
    let health = browser.get(&office.url("health")).await;
    assert_eq!(health.status, 200);
    assert_eq!(health.body, r#"{"status":"ok","nats":"connected","clio":"not connected"}"#);
    office.connect().await;
    let health = browser.get(&office.url("health")).await;
    assert_eq!(health.body, r#"{"status":"ok","nats":"connected","clio":"connected"}"#);

    office.nats.kill9().unwrap();
    let health = browser.get(&office.url("health")).await;
    assert_eq!(health.status, 503);
    assert_eq!(health.body, r#"{"status":"unavailable","nats":"away","clio":"unknown"}"#);
    let page = browser.get(&office.url("")).await;
    assert_eq!((page.status.as_u16(), page.heading()), (503, "The message broker does not answer"));

    office.nats.restart().await.unwrap();
    let is_healthy = async || Browser::new().get(&office.url("health")).await.status == 200;
    until("the service is healthy again", is_healthy).await;
    office.token(None).await;
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_a_page_that_says_so() {
    let office = Office::open().await;
    let page = Browser::new().get(&office.url("admin")).await;
    assert_eq!((page.status.as_u16(), page.heading()), (404, "There is no such page"));
    insta::assert_snapshot!(text_of(&page), @r"
    There is no such page
    Data Bridge has no page at this address.
    What to do
    Follow the link below to the status page.
    ");
}

#[tokio::test]
async fn the_page_after_the_consent_says_what_comes_next() {
    let office = Office::open().await;
    let page = office.consent(&mut Browser::new(), &office.link().await).await;
    insta::assert_snapshot!(text_of(&page), @r"
    Clio is connected
    Data Bridge now works with Clio in the name of Ada Lawson of Riverside Law Clinic.
    The access is renewed by itself. You can end it at any time in Clio, under your connected apps.
    What to do
    If Clio was connected before and only had to be connected anew: nothing, you can close this page.
    The first time, where Data Bridge runs, have it find or make what it needs in Clio: databridge bootstrap
    Then bring both sides together: databridge migrate
    ");
}

#[tokio::test]
async fn the_callback_loaded_again_asks_for_nothing_when_clio_is_connected() {
    let office = Office::open().await;
    office.connect().await;
    let page = Browser::new().get(&office.url("callback")).await;
    assert_eq!(page.status, 400);
    insta::assert_snapshot!(text_of(&page), @r"
    No consent is under way in this browser
    Clio sent this browser back, but the consent was begun in another browser, was ended already, or was begun more than 30 minutes ago. Nothing was changed.
    Clio is connected. If you only loaded the page again, all is well.
    To connect anew, begin with a new one-time link: databridge connect
    ");
}

#[tokio::test]
async fn the_status_page_says_in_a_sentence_that_the_key_is_another_one() {
    let mut office = Office::open().await;
    office.connect().await;
    office.stop().await;
    let page = office.another_replica(&"ab".repeat(32)).await;
    let page = Browser::new().get(&page).await;
    insta::assert_snapshot!(text_of(&page), @r"
    Clio needs your consent again
    The access is stored under another DATABRIDGE_KEY than the one that the auth-service has now. Start it with the former key, or connect Clio anew.
    Account Riverside Law Clinic
    Connected by Ada Lawson
    Since (a time)
    What to do next
    Where Data Bridge runs, type: databridge connect
    Open the link that it prints in a browser where you are signed in to Clio. It works once, for 15 minutes.
    Choose to allow the access.
    ");
}

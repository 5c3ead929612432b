//! One-time links.

use auth_service::{LINK_LIFETIME, LinkReply, subjects};
use chrono::TimeDelta;
use databridge_broker::names;
use futures::TryStreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::office::Office;

#[tokio::test]
async fn a_link_leads_to_our_own_page_and_lasts_a_quarter_of_an_hour() {
    let office = Office::open().await;
    let reply: LinkReply = office.ask(subjects::LINK, &json!({})).await;
    let LinkReply::Link { url, expires_at } = reply else { panic!("{reply:?}") };
    assert_eq!(url.origin(), office.base.origin());
    assert_eq!(url.path(), "/auth");
    let left = expires_at - office.clock.now();
    assert!(left <= LINK_LIFETIME && left > LINK_LIFETIME - TimeDelta::seconds(30), "{left}");
}

#[tokio::test]
async fn a_link_opens_once() {
    let office = Office::open().await;
    let link = office.link().await;
    assert_eq!(Browser::new().get(&link).await.status, 303);
    let page = Browser::new().get(&link).await;
    assert_eq!((page.status.as_u16(), page.heading()), (410, "This link was used already"));
    assert_eq!(page.set_cookie(), None);
}

#[tokio::test]
async fn of_many_who_open_a_link_at_once_one_gets_in() {
    let office = Office::open().await;
    let link = office.link().await;
    let opened = futures::future::join_all((0..20).map(|_| {
        let link = link.clone();
        async move { Browser::new().get(&link).await.status.as_u16() }
    }))
    .await;
    assert_eq!(opened.iter().filter(|status| **status == 303).count(), 1, "{opened:?}");
    assert_eq!(opened.iter().filter(|status| **status == 410).count(), 19, "{opened:?}");
}

#[tokio::test]
async fn a_look_ahead_does_not_use_a_link_up() {
    let office = Office::open().await;
    let link = office.link().await;
    let mut browser = Browser::new();
    assert_eq!(browser.send(Method::HEAD, &link, &[]).await.status, 204);
    assert_eq!(browser.send(Method::GET, &link, &[("Sec-Purpose", "prefetch;prerender")]).await.status, 204);
    assert_eq!(browser.get(&link).await.status, 303);
}

#[tokio::test]
async fn a_link_that_is_too_old_does_not_open() {
    let office = Office::open().await;
    let link = office.link().await;
    office.clock.advance(LINK_LIFETIME);
    let page = Browser::new().get(&link).await;
    assert_eq!((page.status.as_u16(), page.heading()), (410, "This link has expired"));
}

#[tokio::test]
async fn an_unknown_link_does_not_open() {
    let office = Office::open().await;
    let page = Browser::new().get(&office.url("auth?link=guessed")).await;
    assert_eq!((page.status.as_u16(), page.heading()), (404, "This link is not known"));
}

#[tokio::test]
async fn a_request_for_a_link_with_an_unknown_key_is_refused_by_name() {
    let office = Office::open().await;
    let reply: Value = office.ask(subjects::LINK, &json!({"other_account": true})).await;
    assert!(reply["error"].as_str().unwrap().contains("`other_account`"), "{reply}");
}

#[tokio::test]
async fn old_links_are_forgotten_and_the_tokens_are_not() {
    let office = Office::open().await;
    office.connect().await;
    office.link().await;
    office.clock.advance(TimeDelta::days(2));
    office.link().await;
    let store = office.broker.jetstream().get_key_value(names::TOKENS).await.unwrap();
    let keys: Vec<String> = store.keys().await.unwrap().try_collect().await.unwrap();
    assert_eq!(keys.iter().filter(|key| key.starts_with("link.")).count(), 1, "{keys:?}");
    assert!(keys.contains(&"clio".to_owned()), "{keys:?}");
    assert!(office.status().await.connected);
}

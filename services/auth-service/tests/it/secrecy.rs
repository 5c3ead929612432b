//! No secret where it could be read.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::TimeDelta;
use sandbox::ClioOptions;
use serde_json::Value;

use crate::browser::Browser;
use crate::office::{KEY, Office};

/// Every access and refresh token that Clio gave, as recorded on its side.
async fn tokens_given(office: &Office) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for exchange in office.clio.traffic().await.unwrap() {
        if exchange.path.ends_with("/oauth/token") {
            let answer: Value = serde_json::from_str(&exchange.response_body).unwrap();
            for name in ["access_token", "refresh_token"] {
                tokens.extend(answer[name].as_str().map(str::to_owned));
            }
        }
    }
    tokens
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn no_token_code_or_key_is_in_any_file_of_the_broker_or_on_any_page() {
    let mut office = Office::open().await;
    office.clio.record_traffic(true).await.unwrap();
    let link = office.link().await;
    let mut browser = Browser::new();
    let done = office.consent(&mut browser, &link).await;
    office.clock.advance(TimeDelta::days(30));
    office.token(None).await;

    let mut secrets = tokens_given(&office).await;
    assert!(secrets.len() >= 3, "a first and a renewed access token and a refresh token: {}", secrets.len());
    secrets.insert(ClioOptions::default().client_secret);
    secrets.insert(KEY.to_owned());
    let mut pages = vec![done];
    for path in ["", "auth", "callback", "health", "nowhere"] {
        pages.push(browser.get(&office.url(path)).await);
    }
    pages.push(browser.get(&link).await);
    secrets.extend(link.query_pairs().map(|(_, code)| code.into_owned()));
    for secret in &secrets {
        for page in &pages {
            assert!(!page.body.contains(secret.as_str()), "a secret is on a page: {}", page.body);
        }
    }
    let status = serde_json::to_string(&office.status().await).unwrap();
    assert!(!secrets.iter().any(|secret| status.contains(secret.as_str())), "{status}");

    let folder = office.nats.log_path().parent().unwrap().to_owned();
    office.stop().await;
    office.nats.kill9().unwrap();
    let files = files_below(&folder);
    let holds = |text: &str| files.iter().filter(|f| contains(&std::fs::read(f).unwrap(), text)).count();
    assert!(holds("Riverside Law Clinic") > 0, "the search does find what is stored");
    for secret in &secrets {
        assert_eq!(holds(secret), 0, "a secret is in a file of the broker");
    }
}

#[tokio::test]
async fn every_answer_forbids_frames_scripts_referrers_and_storing() {
    let office = Office::open().await;
    let link = office.link().await;
    let mut browser = Browser::new();
    for url in
        [office.url(""), office.url("auth"), link, office.url("callback?code=x"), office.url("nowhere")]
    {
        let page = browser.get(&url).await;
        let header = |name: &str| page.headers.get(name).map(|value| value.to_str().unwrap());
        let policy = header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("referrer-policy"), Some("no-referrer"));
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("x-frame-options"), Some("DENY"));
        assert_eq!(header("cache-control"), Some("no-store"), "{url}");
    }
}

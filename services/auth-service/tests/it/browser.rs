//! A browser with cookies and nothing else: it follows no redirect by itself, so that a test sees each step.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};
use url::Url;

pub(crate) struct Browser {
    http: reqwest::Client,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// What the browser was answered.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn location(&self) -> Url {
        let location = self.headers.get(LOCATION).unwrap_or_else(|| panic!("no redirect: {self:?}"));
        Url::parse(location.to_str().unwrap()).unwrap()
    }

    /// The main heading.
    pub(crate) fn heading(&self) -> &str {
        let (_, after) = self.body.split_once("<h1").unwrap_or_else(|| panic!("no heading: {self:?}"));
        after.split_once('>').unwrap().1.split_once("</h1>").unwrap().0
    }

    pub(crate) fn set_cookie(&self) -> Option<&str> {
        self.headers.get(SET_COOKIE).map(|cookie| cookie.to_str().unwrap())
    }
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { http: databridge_http::client("test").unwrap(), cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, url: &Url) -> Page {
        self.send(Method::GET, url, &[]).await
    }

    pub(crate) async fn send(&mut self, method: Method, url: &Url, headers: &[(&str, &str)]) -> Page {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, url.clone()).header(COOKIE, cookies.join("; "));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = response.text().await.unwrap();
        secret_search::shown(&body);
        Page { status, headers, body }
    }
}

//! Calls to Clio: signed in, within the limit, each failure classed.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use databridge_http::{Answer, Budget, CallError, ClientError, ErrorClass, Gate, LimitReport, Pass};
use databridge_runtime::{Clock, pass_failpoint};
use reqwest::header::{HeaderValue, IF_MATCH};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use url::Url;

use crate::api::{self, header};
use crate::errand::Errand;
use crate::pages::read_body;
use crate::refusal::{self, Kind};
use crate::token::{Token, TokenError, TokenSource};

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none of a server.
    #[error("CLIO_URL is no address of a server; an address such as https://app.clio.com is expected")]
    Address,
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] ClientError),
}

/// Speaks to one Clio account. Clones share the limit and the token.
#[derive(Clone)]
pub struct ClioClient {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    root: Url,
    tokens: Arc<dyn TokenSource>,
    gate: Gate,
    budget: Budget,
    clock: Clock,
}

impl std::fmt::Debug for ClioClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClioClient").field("root", &self.inner.root.as_str()).finish_non_exhaustive()
    }
}

/// A write.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Only if the record still has this etag, quotes included ("Conditional requests").
    pub(crate) if_match: Option<&'a str>,
    /// What stands under `data`.
    pub(crate) data: Option<Json>,
}

impl ClioClient {
    /// A client of the account to which the tokens belong, at `https://app.clio.com` or another region's host.
    /// Its calls are paid from the budget.
    pub fn new(
        host: &Url,
        tokens: Arc<dyn TokenSource>,
        budget: Budget,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        if host.cannot_be_a_base() || host.host().is_none() {
            return Err(OpenError::Address);
        }
        let mut root = host.clone();
        root.set_query(None);
        root.set_fragment(None);
        root.set_path(&format!("{}/{}", host.path().trim_end_matches('/'), api::ROOT));
        let http = databridge_http::client("clio-bridge")?;
        let gate = Gate::new(clock.clone(), Duration::from_secs(api::WINDOW_SECONDS));
        Ok(Self { inner: Arc::new(Inner { http, root, tokens, gate, budget, clock }) })
    }

    /// The same client, which knows nothing of the limit.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn anew(&self) -> Self {
        let Inner { http, root, tokens, clock, .. } = self.inner.as_ref();
        let (http, root, tokens, clock) = (http.clone(), root.clone(), Arc::clone(tokens), clock.clone());
        Self {
            inner: Arc::new(Inner {
                http,
                root,
                tokens,
                gate: Gate::new(clock.clone(), Duration::from_secs(api::WINDOW_SECONDS)),
                budget: Budget::none(),
                clock,
            }),
        }
    }

    /// Takes in what an answer says of the limit, as one to a call of its own.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn heed(&self, answer: &Answer) {
        if let Ok(pass) = self.inner.gate.try_pass() {
            self.heed_limit(pass, answer);
        }
    }

    /// How many calls may start now; waits until it is at least one.
    pub async fn free(&self) -> u32 {
        loop {
            match self.inner.gate.free() {
                0 => {
                    let wait = self.inner.gate.wait();
                    tokio::time::sleep(wait.clamp(Duration::from_millis(20), Duration::from_secs(1))).await;
                }
                free => return free,
            }
        }
    }

    /// How long no call may start.
    pub(crate) fn closed_for(&self) -> Option<Duration> {
        Some(self.inner.gate.wait()).filter(|wait| !wait.is_zero())
    }

    /// Fails if there is no sign-in: before something is done in vain.
    pub(crate) async fn must_be_signed_in(&self) -> Result<(), CallError> {
        self.inner.tokens.token().await.map(drop).map_err(|error| CallError {
            class: ErrorClass::Unauthorised,
            call: "clio".to_owned(),
            message: error.to_string(),
        })
    }

    /// The clock by which it waits.
    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// An address below the API's root.
    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.inner.root.clone();
        url.set_path(&format!("{}{path}", self.inner.root.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The address of the next page, which must be one of the same list at the same host: the token goes there.
    pub(crate) fn next_page(&self, path: &str, next: &str) -> Result<Url, CallError> {
        let list = self.url(path, &[]);
        let plain = |url: &Url| url.path().trim_end_matches(".json").to_owned();
        let is_signed = |url: &Url| !url.username().is_empty() || url.password().is_some();
        match Url::parse(next) {
            Ok(url) if url.origin() == list.origin() && plain(&url) == plain(&list) && !is_signed(&url) => {
                Ok(url)
            }
            _ => Err(CallError {
                class: ErrorClass::Invalid,
                call: self.name(&Method::GET, &list),
                message: "the address of the next page leads elsewhere and is not followed".to_owned(),
            }),
        }
    }

    /// Reads one page or record.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        errand: &Errand,
        url: &Url,
    ) -> Result<(T, Answer), CallError> {
        let write = Write { method: Method::GET, url: url.clone(), if_match: None, data: None };
        let answer = self.send(errand, &write, Kind::Read).await?;
        let read = read_body(&answer, false)?;
        Ok((read, answer))
    }

    /// Writes. A lost answer or a fault at Clio leaves the effect unknown.
    pub(crate) async fn write(&self, errand: &Errand, write: &Write<'_>) -> Result<Answer, CallError> {
        let done = self.send(errand, write, Kind::Write).await;
        if done.as_ref().map_or_else(|error| error.class == ErrorClass::Unknown, |_| true) {
            errand.note_written();
        }
        done
    }

    async fn send(&self, errand: &Errand, write: &Write<'_>, kind: Kind) -> Result<Answer, CallError> {
        let call = self.name(&write.method, &write.url);
        let no_token = |error: TokenError| CallError {
            class: ErrorClass::Unauthorised,
            call: call.clone(),
            message: error.to_string(),
        };
        let token = self.inner.tokens.token().await.map_err(no_token)?;
        let answer = self.attempt(errand, write, kind, &token).await?;
        let answer = if answer.status == StatusCode::UNAUTHORIZED {
            let fresh = self.inner.tokens.refused(&token).await.map_err(no_token)?;
            if fresh.is(&token) {
                return Err(refusal::of(&answer, kind));
            }
            self.attempt(errand, write, kind, &fresh).await?
        } else {
            answer
        };
        if answer.status.is_success() { Ok(answer) } else { Err(refusal::of(&answer, kind)) }
    }

    async fn attempt(
        &self,
        errand: &Errand,
        write: &Write<'_>,
        kind: Kind,
        token: &Token,
    ) -> Result<Answer, CallError> {
        let call = self.name(&write.method, &write.url);
        let pass = self.pass(errand, &call).await?;
        let mut request =
            self.inner.http.request(write.method.clone(), write.url.clone()).bearer_auth(token.text());
        if let Some(etag) = write.if_match {
            let etag = HeaderValue::from_str(etag).map_err(|_| CallError {
                class: ErrorClass::Conflict,
                call: call.clone(),
                message: "the etag that came with the record is none".to_owned(),
            })?;
            request = request.header(IF_MATCH, etag);
        }
        if let Some(data) = &write.data {
            request = request.json(&json!({ "data": data }));
        }
        let paid = self.inner.budget.pay(&call).await?;
        if kind == Kind::Write {
            pass_failpoint("clio.before-send", format_args!("{}-{}", write.method, kind_in(&write.url)));
        }
        if !errand.is_still_mine() {
            let message = "this worker's time is over, another has the push now".to_owned();
            return Err(CallError {
                class: ErrorClass::Limited(Some(Duration::from_secs(1))),
                call,
                message,
            });
        }
        errand.count();
        let answer = Answer::to(paid, request, call, kind == Kind::Write).await;
        if kind == Kind::Write {
            pass_failpoint("clio.after-send", format_args!("{}-{}", write.method, kind_in(&write.url)));
        }
        let answer = answer?;
        self.heed_limit(pass, &answer);
        Ok(answer)
    }

    /// The right to one call. A push that would wait long gets none: it goes back to the queue.
    async fn pass(&self, errand: &Errand, call: &str) -> Result<Pass, CallError> {
        let Some(patience) = errand.patience() else { return Ok(self.inner.gate.pass().await) };
        let wait = match self.inner.gate.try_pass() {
            Ok(pass) => return Ok(pass),
            Err(wait) => wait,
        };
        if wait <= patience
            && let Ok(pass) = tokio::time::timeout(patience, self.inner.gate.pass()).await
        {
            return Ok(pass);
        }
        Err(CallError {
            class: ErrorClass::Limited(Some(wait)),
            call: call.to_owned(),
            message: "Clio's limit of calls is used up".to_owned(),
        })
    }

    /// The calls that Clio takes in a window, which is a minute ("Rate limits"), as it last said.
    pub(crate) fn calls_per_minute(&self) -> Option<u32> {
        self.inner.gate.limit()
    }

    /// Tells the gate what the answer says of the limit ("Rate limits").
    fn heed_limit(&self, pass: Pass, answer: &Answer) {
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let wait = refusal::retry_after(answer);
            tracing::warn!(
                call = answer.call,
                wait.seconds = wait.as_secs(),
                "Clio's limit of calls is used up."
            );
            self.inner.gate.close_for(wait);
        }
        // The limit is that of a token. What comes with the refusal of one tells of no token of ours.
        if answer.status != StatusCode::UNAUTHORIZED
            && let Some(report) = limit_told(answer)
        {
            pass.report(report);
        }
    }

    /// `PATCH matters/17`: the call for messages, without query.
    fn name(&self, method: &Method, url: &Url) -> String {
        let path = url.path().strip_prefix(self.inner.root.path()).unwrap_or_else(|| url.path());
        format!("{method} {}", path.trim_end_matches(".json"))
    }
}

/// What the headers of an answer say of the limit.
fn limit_told(answer: &Answer) -> Option<LimitReport> {
    let number = |name: &str| answer.headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    Some(LimitReport {
        limit: number(header::LIMIT)?.try_into().ok()?,
        remaining: number(header::REMAINING)?.try_into().ok()?,
        resets_at: DateTime::from_timestamp(number(header::RESET)?, 0)?,
        server_time: answer.server_time(),
    })
}

/// The kind of record that an address is about, by which fail points are named: `matters`.
fn kind_in(url: &Url) -> &str {
    let (_, below) = url.path().rsplit_once(api::ROOT).unwrap_or_default();
    below.split(['/', '.']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::token::FixedToken;

    fn client(host: &str) -> Result<ClioClient, OpenError> {
        let tokens = FixedToken(Token::new(SecretString::from("t")));
        ClioClient::new(&Url::parse(host).unwrap(), Arc::new(tokens), Budget::none(), Clock::system())
    }

    #[test]
    fn the_api_stands_below_the_host_whatever_its_path() {
        for (host, url) in [
            ("https://eu.app.clio.com", "https://eu.app.clio.com/api/v4/matters.json?order=id%28asc%29"),
            ("http://h:1/clio/", "http://h:1/clio/api/v4/matters.json?order=id%28asc%29"),
        ] {
            assert_eq!(client(host).unwrap().url(&api::MATTERS.list(), &[api::ORDER]).as_str(), url);
        }
        assert!(matches!(client("mailto:clio"), Err(OpenError::Address)));
    }

    #[test]
    fn a_next_page_elsewhere_is_not_followed() {
        let client = client("https://app.clio.com").unwrap();
        for good in
            ["https://app.clio.com/api/v4/matters?page_token=x", "https://app.clio.com/api/v4/matters.json"]
        {
            assert!(client.next_page(&api::MATTERS.list(), good).is_ok(), "{good}");
        }
        for bad in [
            "https://evil.example/api/v4/matters?page_token=x",
            "http://app.clio.com/api/v4/matters",
            "https://app.clio.com/api/v4/notes",
            "https://somebody:else@app.clio.com/api/v4/matters",
            "matters?page_token=x",
        ] {
            assert!(client.next_page(&api::MATTERS.list(), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_call_is_named_without_its_query() {
        let client = client("https://app.clio.com").unwrap();
        let url = client.url(&api::MATTERS.record(17), &[("fields", "id")]);
        assert_eq!(client.name(&Method::PATCH, &url), "PATCH matters/17");
    }
}

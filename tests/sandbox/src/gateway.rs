//! What every request to either system passes: counting, recording, faults, and the clock in the `Date` header.

mod answer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use tower::ServiceExt;
use url::form_urlencoded;

use self::answer::{Answer, Given, cut_after};
use crate::calls::{Calls, Effect, System};
use crate::clio::http_date;
use crate::clock::Clock;
use crate::faults::{Action, Faults, Fired, Struck, arcgis_error};
use crate::listener::Scissors;
use crate::openapi::Specification;
use crate::traffic::{Recorder, Traffic};
use crate::{clio, gis};

/// Larger than any body that either system takes whole.
const GREATEST_BODY: usize = 256 * 1024 * 1024;

/// How much of a request that brings a file is held in memory; the rest passes as it arrives.
const HELD_OF_A_FILE: usize = 4 * 1024 * 1024;

/// Marks an answer that must reach the client byte for byte, uncompressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsItIs;

/// Marks an answer whose body passes as it is made, under the length that the answer tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnItsWay;

/// The gateway before both systems.
pub(crate) struct Gateway {
    systems: Router,
    clock: Clock,
    /// Faults switched on.
    pub(crate) faults: Faults,
    /// The recorder of the traffic.
    pub(crate) recorder: Recorder,
    judge: Option<Judge>,
    calls: Mutex<Calls>,
    /// The queries of all addresses that were called.
    queries: Mutex<BTreeSet<String>>,
    changes: AtomicU64,
}

impl Gateway {
    /// A gateway before these routes, which holds every exchange with Clio against a specification where one is given.
    pub(crate) fn new(systems: Router, clock: Clock, specification: Option<Arc<dyn Specification>>) -> Self {
        Self {
            systems,
            clock,
            faults: Faults::default(),
            recorder: Recorder::default(),
            judge: specification.map(|spec| Judge { spec, found: Mutex::default() }),
            calls: Mutex::default(),
            queries: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// The calls counted since the start or the last reset.
    pub(crate) fn calls(&self) -> Calls {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the specification says against the exchanges so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        let found = self
            .judge
            .as_ref()
            .map(|judge| judge.found.lock().unwrap_or_else(PoisonError::into_inner).clone());
        found.unwrap_or_default()
    }

    /// The queries of all addresses that were called since the start.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note_query(&self, query: Option<&str>) {
        if let Some(query) = query {
            self.queries.lock().unwrap_or_else(PoisonError::into_inner).insert(query.to_owned());
        }
    }

    /// Sets all counts to zero.
    pub(crate) fn reset_calls(&self) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) = Calls::default();
    }

    /// Grows with every request that may have changed something.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Notes that something may have changed.
    pub(crate) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn count(&self, system: System, effect: Effect, label: String) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).count(system, effect, label);
    }

    fn count_limited(&self, system: System) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).of_mut(system).limited += 1;
    }

    async fn pass(&self, exchange: &Exchange) -> Answer {
        self.pass_as(exchange, exchange.request()).await
    }

    /// Passes on something else than what was sent.
    async fn pass_as(&self, exchange: &Exchange, request: Request) -> Answer {
        let answered = match self.systems.clone().oneshot(request).await {
            Ok(response) => Answer::read(response).await,
            Err(never) => match never {},
        };
        if exchange.effect != Effect::Read {
            self.note_change();
        }
        answered
    }
}

/// Holds every exchange against a specification.
struct Judge {
    spec: Arc<dyn Specification>,
    found: Mutex<Vec<String>>,
}

impl Judge {
    fn judge(&self, traffic: &Traffic) {
        let found = self.spec.check(traffic);
        self.found.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    }
}

/// A request's body: all of it, or the beginning of a long one and what is still to come.
struct Sent {
    beginning: Bytes,
    rest: Mutex<Option<BodyDataStream>>,
}

impl Sent {
    fn whole(body: Bytes) -> Self {
        Self { beginning: body, rest: Mutex::default() }
    }

    /// Reads the beginning of a body that may be long.
    async fn begin(body: Body) -> Result<Self, axum::Error> {
        let mut rest = body.into_data_stream();
        let mut beginning = Vec::new();
        while beginning.len() < HELD_OF_A_FILE {
            match rest.next().await {
                Some(piece) => beginning.extend_from_slice(&piece?),
                None => return Ok(Self::whole(beginning.into())),
            }
        }
        Ok(Self { beginning: beginning.into(), rest: Mutex::new(Some(rest)) })
    }

    fn rest(&self) -> MutexGuard<'_, Option<BodyDataStream>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body. What is still to come can be had once only.
    fn body(&self) -> Body {
        match self.rest().take() {
            None => Body::from(self.beginning.clone()),
            Some(rest) => {
                let beginning = stream::once(std::future::ready(Ok(self.beginning.clone())));
                Body::from_stream(beginning.chain(rest))
            }
        }
    }

    fn can_be_repeated(&self) -> bool {
        self.rest().is_none()
    }
}

/// One request, its body read, or begun if it brings a file.
struct Exchange {
    head: Parts,
    body: Sent,
    system: System,
    effect: Effect,
    scissors: Scissors,
}

impl Exchange {
    fn request(&self) -> Request {
        let mut request = Request::new(self.body.body());
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        *request.headers_mut() = self.head.headers.clone();
        // The listener compresses; what passes here stays readable.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
        request
    }

    /// The same request, without these parameters of the query.
    fn without(&self, parameters: &[String]) -> Request {
        let mut request = self.request();
        let query = self.head.uri.query().unwrap_or_default();
        let heeded = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| !parameters.iter().any(|it| it == name));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(heeded).finish();
        if let Ok(uri) = format!("{}?{query}", self.head.uri.path()).parse() {
            *request.uri_mut() = uri;
        }
        request
    }

    fn path_and_query(&self) -> &str {
        self.head.uri.path_and_query().map_or("", |whole| whole.as_str())
    }
}

/// How an answer reaches the client.
enum Delivery {
    Whole(Answer),
    Half(Answer),
    Never,
}

/// Handles a request to either system. It is done to its end even if the client goes away, as a real server does.
pub(crate) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    let done = tokio::spawn(async move { answer(&gateway, scissors, request).await });
    done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn answer(gateway: &Gateway, scissors: Scissors, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let method = head.method.as_str();
    let (system, effect, label) = if clio::is_path(path) {
        (System::Clio, clio::effect(method, path), clio::label(method, path))
    } else if path.starts_with("/arcgis/") {
        (System::Gis, gis::effect(&head.method, path), gis_label(method, path))
    } else if path.starts_with(clio::STORAGE) {
        let effect = if head.method == Method::GET { Effect::Read } else { Effect::Write };
        (System::Storage, effect, String::new())
    } else {
        return (StatusCode::NOT_FOUND, "neither /api/v4, /oauth, /storage, /arcgis nor /admin\n")
            .into_response();
    };
    let is_upload = system == System::Storage || (system == System::Gis && gis::takes_files(path));
    let body = if is_upload {
        Sent::begin(body).await
    } else {
        to_bytes(body, GREATEST_BODY).await.map(Sent::whole)
    };
    let Ok(body) = body else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    gateway.count(system, effect, label);
    gateway.note_query(head.uri.query());
    let exchange = Exchange { head, body, system, effect, scissors };
    let fired = gateway.faults.take(&Struck {
        system,
        method: exchange.head.method.as_str(),
        path_and_query: exchange.path_and_query(),
        body: &exchange.body.beginning,
    });
    let delivery = match &fired {
        None => Delivery::Whole(gateway.pass(&exchange).await),
        Some(fired) => strike(gateway, &exchange, fired).await,
    };
    record(gateway, &exchange, &delivery, fired.is_some());
    deliver(gateway, &exchange, delivery)
}

async fn strike(gateway: &Gateway, exchange: &Exchange, fired: &Fired) -> Delivery {
    let instead = match &fired.action {
        Action::Drop => return Delivery::Never,
        Action::DropAfter => {
            gateway.pass(exchange).await;
            return Delivery::Never;
        }
        Action::Truncate => return Delivery::Half(gateway.pass(exchange).await),
        Action::ApplyTwice => {
            // A gateway has no long body any more when it has sent it on.
            if exchange.body.can_be_repeated() {
                gateway.pass(exchange).await;
            }
            gateway.pass(exchange).await
        }
        Action::ErrorMidway { code, message } => {
            gateway.pass(exchange).await.with_error_midway(&arcgis_error(*code, message, &[]))
        }
        Action::AppliedThen504 => {
            gateway.pass(exchange).await;
            Answer::of((StatusCode::GATEWAY_TIMEOUT, Html("<html><body>504 Gateway Time-out</body></html>")))
                .await
        }
        Action::Ignores { parameters } => gateway.pass_as(exchange, exchange.without(parameters)).await,
        Action::NextLeadsBack => {
            let host = exchange.head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let first = format!("http://{}{}", host.unwrap_or("localhost"), fired.first);
            gateway.pass(exchange).await.with_next_page(&first)
        }
        Action::SameAgain => match gateway.faults.kept(fired.id) {
            Some(kept) => kept.into(),
            None => {
                let answer = gateway.pass(exchange).await;
                if let Some(kept) = answer.kept() {
                    gateway.faults.keep(fired.id, kept);
                }
                answer
            }
        },
        Action::Delay { ms } => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            gateway.pass(exchange).await
        }
        Action::Hold => {
            gateway.faults.wait_for_release(fired).await;
            gateway.pass(exchange).await
        }
        Action::HoldAfter => {
            let answer = gateway.pass(exchange).await;
            gateway.faults.wait_for_release(fired).await;
            answer
        }
        Action::Status { status, body, headers } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = Answer::of((status, body.clone())).await;
            answer.headers.extend(header_map(headers));
            answer
        }
        Action::Html => {
            Answer::of(Html("<!doctype html><html><body><h1>Down for maintenance</h1></body></html>")).await
        }
        Action::RateLimited { retry_after } => {
            let body = clio::limited_body(*retry_after);
            let reset = gateway.clock.now().timestamp().saturating_add_unsigned(*retry_after);
            let headers = [
                ("retry-after", retry_after.to_string()),
                ("x-ratelimit-limit", "50".to_owned()),
                ("x-ratelimit-remaining", "0".to_owned()),
                ("x-ratelimit-reset", reset.to_string()),
            ];
            Answer::of((StatusCode::TOO_MANY_REQUESTS, headers, Json(body))).await
        }
        Action::Error200 { code, message, details } => {
            Answer::of(Json(arcgis_error(*code, message, details))).await
        }
    };
    Delivery::Whole(instead)
}

fn header_map(headers: &BTreeMap<String, String>) -> HeaderMap {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        })
        .collect()
}

fn deliver(gateway: &Gateway, exchange: &Exchange, delivery: Delivery) -> Response {
    let (answer, is_whole) = match delivery {
        Delivery::Whole(answer) => (answer, true),
        Delivery::Half(answer) => (answer, false),
        Delivery::Never => {
            exchange.scissors.cut();
            return StatusCode::BAD_GATEWAY.into_response();
        }
    };
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        gateway.count_limited(exchange.system);
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Ok(date) = HeaderValue::from_str(&http_date(gateway.clock.now())) {
        response.headers_mut().insert(header::DATE, date);
    }
    if answer.as_it_is || !is_whole {
        response.extensions_mut().insert(AsItIs);
    }
    if is_whole {
        *response.body_mut() = answer.body.into_body();
        return response;
    }
    let length = answer.body.length();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    *response.body_mut() = cut_after(answer.body.into_body(), length / 2);
    response
}

fn record(gateway: &Gateway, exchange: &Exchange, delivery: &Delivery, struck: bool) {
    if !gateway.recorder.is_on() && gateway.judge.is_none() {
        return;
    }
    let (status, body) = match delivery {
        Delivery::Whole(answer) | Delivery::Half(answer) => {
            let body = match &answer.body {
                Given::Whole(body) => body.clone(),
                Given::OnItsWay(_, length) => Bytes::from(format!("({length} bytes, not recorded)")),
            };
            (answer.status.as_u16(), body)
        }
        Delivery::Never => (0, Bytes::new()),
    };
    let request_headers = exchange.head.headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let is_secret = matches!(name, "authorization" | "x-esri-authorization" | "cookie");
        (!is_secret).then(|| (name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    let traffic = Traffic {
        system: exchange.system,
        method: exchange.head.method.to_string(),
        path: exchange.head.uri.path().to_owned(),
        query: exchange.head.uri.query().unwrap_or_default().to_owned(),
        request_headers: request_headers.collect(),
        request_body: String::from_utf8_lossy(&exchange.body.beginning).into_owned(),
        status,
        response_body: String::from_utf8_lossy(&body).into_owned(),
        struck,
    };
    if let Some(judge) = &gateway.judge {
        judge.judge(&traffic);
    }
    if gateway.recorder.is_on() {
        gateway.recorder.add(traffic);
    }
}

/// Verb and path below the feature server, ids of rows and attachments replaced, as they are counted: `POST 2/query`,
/// `GET 2/{id}/attachments/{id}`.
fn gis_label(method: &str, path: &str) -> String {
    let below = match path.split_once("/FeatureServer") {
        Some((_, "" | "/")) => "FeatureServer".to_owned(),
        Some((_, below)) => {
            let parts = below.trim_matches('/').split('/').enumerate();
            let is_id = |part: &str| part.parse::<i64>().is_ok();
            let parts = parts.map(|(at, part)| if at > 0 && is_id(part) { "{id}" } else { part });
            parts.collect::<Vec<_>>().join("/")
        }
        None => path.trim_start_matches("/arcgis/").to_owned(),
    };
    format!("{method} {below}")
}

//! Answering one request to the API.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::body::Data;
use super::collection::{self, Ask, Collection};
use super::collections::users::User;
use super::fields;
use super::limits::Verdict;
use super::listing::{Listing, Params};
use super::oauth;
use super::records::Store;
use super::refusal::Refusal;
use super::view::{Record, View};
use super::write::Writer;
use super::{API, ClioState, Inner, storage};
use crate::endpoints::{self, Endpoint, Kind, Verb};
use crate::strays;

/// The version served where none is asked for.
const DEFAULT_VERSION: &str = "4.0.13";

/// The last figure of the newest version, `4.0.13`.
const NEWEST_MINOR: u32 = 13;

/// One request below `/api/v4/`.
pub(super) struct ApiRequest {
    /// The HTTP verb.
    pub(super) method: String,
    /// The path below `/api/v4/`.
    pub(super) path: String,
    /// The query as sent.
    pub(super) query: String,
    /// The address that the request came to: `http://host:port`.
    pub(super) root: String,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Bytes,
}

impl ApiRequest {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }
}

/// An answer.
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// Headers.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body, if any.
    pub(super) body: Option<Value>,
}

impl Reply {
    fn new(status: u16, body: Option<Value>) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status, Some(refusal.body()))
    }
}

/// A request that was admitted, ready to be done.
struct Task<'a> {
    request: &'a ApiRequest,
    endpoint: &'static Endpoint,
    id: Option<i64>,
    params: Params,
    user: User,
    now: DateTime<Utc>,
}

impl Task<'_> {
    fn collection(&self) -> &'static dyn Collection {
        collection::of(self.endpoint.kind)
    }

    fn ask<'a>(&'a self, store: &'a Store) -> Ask<'a> {
        Ask { store, user: &self.user, of: self.id, now: self.now }
    }

    /// The record that the path names.
    fn record<'a>(&'a self, store: &'a Store) -> Option<Record<'a>> {
        self.collection().find(&self.ask(store), self.id?)
    }

    fn writer<'a>(&self, inner: &'a mut Inner) -> Writer<'a> {
        let limits = inner.kept.switches.text_limits;
        Writer { store: &mut inner.kept.store, user: self.user.id, now: self.now, limits }
    }
}

impl ClioState {
    /// Answers a request.
    pub(super) fn serve(&self, request: &ApiRequest) -> Reply {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let now = self.clock.now();
        let Some((endpoint, id)) = endpoints::find(&request.method, &request.path) else {
            self.strays.add(&request.method, &request.path, "path", "");
            return tell_whole_limit(Refusal::not_found("The page").into(), inner, now);
        };
        let token = request.bearer().unwrap_or_default();
        let user = inner.kept.oauth.user_of(token, now).and_then(|user| inner.kept.store.users.get(&user));
        let Some(user) = user.cloned() else {
            let reply = Reply::new(401, Some(oauth::invalid_token()))
                .with("www-authenticate", "Bearer realm=\"clio\", error=\"invalid_token\"");
            return tell_whole_limit(reply, inner, now);
        };
        let switches = &inner.kept.switches;
        let verdict =
            switches.rate_limit.map(|limit| inner.limits.admit(token, now, limit, switches.rate_window));
        let reply = match verdict.and_then(|verdict| verdict.retry_after) {
            Some(seconds) => Reply::from(Refusal::limited(seconds)).with("retry-after", seconds.to_string()),
            None => {
                let params = self.heeded(request, endpoint);
                self.versioned(inner, &Task { request, endpoint, id, params, user, now })
            }
        };
        match verdict {
            Some(verdict) => tell_limit(reply, verdict),
            None => reply,
        }
    }

    fn versioned(&self, inner: &mut Inner, task: &Task<'_>) -> Reply {
        let version = task.request.header("x-api-version").unwrap_or(DEFAULT_VERSION);
        if !is_served(version) {
            return Refusal::version().into();
        }
        match self.perform(inner, task) {
            Ok(reply) => reply.with("x-api-version", version),
            Err(refusal) => refusal.into(),
        }
    }

    /// The parameters in the table; the others are noted and ignored.
    fn heeded(&self, request: &ApiRequest, endpoint: &Endpoint) -> Params {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(request.query.as_bytes()) {
            let is_value_filter = name.starts_with("custom_field_values[") && name.ends_with(']');
            let is_heeded = endpoint.parameters().any(|heeded| match heeded {
                "custom_field_values" => is_value_filter,
                heeded => name == heeded,
            });
            if is_heeded {
                pairs.push((name.into_owned(), value.into_owned()));
            } else {
                self.strays.add(&request.method, &request.path, "parameter", &name);
            }
        }
        Params::new(pairs)
    }

    fn perform(&self, inner: &mut Inner, task: &Task<'_>) -> Result<Reply, Refusal> {
        // Records belong to the first account; a user of another firm sees an empty account and may change nothing.
        let is_foreign = inner.kept.store.accounts.keys().next() != Some(&task.user.account);
        let nothing = Store::default();
        let seen = if is_foreign && task.endpoint.kind != Kind::Users { &nothing } else { &inner.kept.store };
        match task.endpoint.verb {
            Verb::WhoAmI => show(&task.ask(seen), task, Some(Record::Of(&task.user))),
            Verb::Index | Verb::Parts => index(&task.ask(seen), task),
            Verb::Download => Ok(download(&task.ask(seen), task)),
            Verb::Show => show(&task.ask(seen), task, task.record(seen)),
            // The specification knows no 403 for it.
            Verb::Destroy if is_foreign && task.endpoint.kind == Kind::Documents => Err(not_found()),
            Verb::Create | Verb::Update | Verb::Destroy if is_foreign => Err(Refusal::forbidden()),
            Verb::Destroy => {
                let id = task.id.ok_or_else(not_found)?;
                task.collection().destroy(&mut task.writer(inner), id)?;
                Ok(Reply::new(204, None))
            }
            Verb::Create | Verb::Update => {
                let data = self.data(task)?;
                let id = write(inner, task, &data)?;
                let status = if task.endpoint.verb == Verb::Create { 201 } else { 200 };
                let ask = task.ask(&inner.kept.store);
                answer_of(&ask, task, task.collection().find(&ask, id), status)
            }
        }
    }

    /// The object under `data`, without the keys outside the table, which are noted.
    fn data(&self, task: &Task<'_>) -> Result<Value, Refusal> {
        let content_type = task.request.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        if !content_type.starts_with("application/json") {
            return Err(Refusal::bad_request("The body must be application/json"));
        }
        let mut body: Value = serde_json::from_slice(&task.request.body)
            .map_err(|_| Refusal::bad_request("The body is not valid JSON"))?;
        let mut data = body.get_mut("data").map(Value::take).unwrap_or_default();
        if !data.is_object() {
            return Err(Refusal::bad_request("The body must have an object under data"));
        }
        for key in strays::drop_unknown(&mut data, &task.endpoint.body_keys()) {
            self.strays.add(&task.request.method, &task.request.path, "body", &key);
        }
        Ok(data)
    }
}

/// The headers of a request that counts against no token's limit: they stand on every answer.
fn tell_whole_limit(reply: Reply, inner: &Inner, now: DateTime<Utc>) -> Reply {
    match inner.kept.switches.rate_limit {
        Some(limit) => tell_limit(
            reply,
            Verdict { limit, remaining: limit, reset: now.timestamp() + 60, retry_after: None },
        ),
        None => reply,
    }
}

fn tell_limit(reply: Reply, verdict: Verdict) -> Reply {
    reply
        .with("x-ratelimit-limit", verdict.limit.to_string())
        .with("x-ratelimit-remaining", verdict.remaining.to_string())
        .with("x-ratelimit-reset", verdict.reset.to_string())
}

fn is_served(version: &str) -> bool {
    let minor = version.strip_prefix("4.0.").and_then(|minor| minor.parse::<u32>().ok());
    minor.is_some_and(|minor| minor <= NEWEST_MINOR)
}

fn not_found() -> Refusal {
    Refusal::not_found("The record")
}

fn index(ask: &Ask<'_>, task: &Task<'_>) -> Result<Reply, Refusal> {
    let address = format!("{}{API}{}", task.request.root, task.request.path);
    let listing = Listing::read(task.params.clone(), address)?;
    let filters = listing.filters();
    let collection = task.collection();
    let mut records = collection.list(ask, filters)?;
    listing.keep_common(&mut records)?;
    let only_fields = filters.ids("custom_field_ids[]")?;
    let view = View { store: ask.store, only_fields: &only_fields, root: &task.request.root };
    Ok(Reply::new(200, Some(listing.page(view, records, collection.shape(), collection.orders())?)))
}

fn show(ask: &Ask<'_>, task: &Task<'_>, record: Option<Record<'_>>) -> Result<Reply, Refusal> {
    if record.is_some_and(|record| is_unchanged(task.request, record)) {
        return Ok(Reply::new(304, None));
    }
    answer_of(ask, task, record, 200)
}

/// A single record, with its etag and time in the headers.
fn answer_of(
    ask: &Ask<'_>,
    task: &Task<'_>,
    record: Option<Record<'_>>,
    status: u16,
) -> Result<Reply, Refusal> {
    let record = record.ok_or_else(not_found)?;
    let selection = fields::parse(task.params.one("fields"), record.shape())?;
    let only_fields = task.params.ids("custom_field_ids[]")?;
    let view = View { store: ask.store, only_fields: &only_fields, root: &task.request.root };
    let shown = view.show(record, &selection);
    Ok(Reply::new(status, Some(json!({"data": shown})))
        .with("etag", record.etag())
        .with("last-modified", http_date(record.stamp().updated_at)))
}

fn is_unchanged(request: &ApiRequest, record: Record<'_>) -> bool {
    if let Some(listed) = request.header("if-none-match") {
        return is_listed(listed, &record.etag());
    }
    let since = request.header("if-modified-since");
    since
        .and_then(|text| DateTime::parse_from_rfc2822(text).ok())
        .is_some_and(|since| record.stamp().updated_at <= since)
}

/// The weak comparison of `If-None-Match` (RFC 9110, section 13.1.2).
fn is_listed(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|listed| listed == "*" || listed.trim_start_matches("W/") == etag)
}

/// The strong comparison of `If-Match` (RFC 9110, section 13.1.1): a weak etag matches nothing.
fn is_matched(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|listed| listed == "*" || listed == etag)
}

/// A time as HTTP headers write it.
pub(crate) fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Sends to the bytes of a document. Its refusals have no body.
fn download(ask: &Ask<'_>, task: &Task<'_>) -> Reply {
    let Ok(version) = task.params.id("document_version_id") else { return Reply::new(400, None) };
    let document = task.id.and_then(|id| ask.store.documents.get(&id));
    match document.and_then(|document| document.downloaded(version)) {
        None => Reply::new(404, None),
        Some(version) => {
            let secret = &ask.store.storage_secret;
            let address = storage::download_address(&task.request.root, secret, &version.uuid, task.now);
            Reply::new(303, None).with("location", address)
        }
    }
}

fn write(inner: &mut Inner, task: &Task<'_>, data: &Value) -> Result<i64, Refusal> {
    let nothing = serde_json::Map::new();
    let data = Data::new(data.as_object().unwrap_or(&nothing));
    let collection = task.collection();
    // A wrong `fields` must refuse the write, not only its answer.
    fields::parse(task.params.one("fields"), collection.shape())?;
    task.params.ids("custom_field_ids[]")?;
    let Some(id) = task.id else { return collection.create(&mut task.writer(inner), &data) };
    let held = task.record(&inner.kept.store).ok_or_else(not_found)?;
    let expected = task.request.header("if-match");
    if expected.is_some_and(|listed| !is_matched(listed, &held.etag())) {
        return Err(Refusal::stale());
    }
    collection.update(&mut task.writer(inner), id, &data)?;
    Ok(id)
}

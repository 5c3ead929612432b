//! Answering one request to the API.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::body::Data;
use super::fields;
use super::limits::Verdict;
use super::listing::{Listing, Params};
use super::oauth;
use super::records::{Store, User};
use super::refusal::Refusal;
use super::shape::{CONTACT, CUSTOM_FIELD, GROUP, MATTER, PRACTICE_AREA, Shape, USER};
use super::view::{Record, View};
use super::write::Writer;
use super::{ClioState, Inner, filters};
use crate::endpoints::{self, Collection, Endpoint, Verb};
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
    /// The address that the request came to, with the path of the API: `http://host:port/api/v4/`.
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
        match task.endpoint.verb {
            Verb::WhoAmI => show(&inner.kept.store, task, Some(Record::User(&task.user))),
            Verb::Index | Verb::Show if is_foreign && task.endpoint.collection != Collection::Users => {
                read(&nothing, task)
            }
            Verb::Index | Verb::Show => read(&inner.kept.store, task),
            Verb::Create | Verb::Update | Verb::Destroy if is_foreign => Err(Refusal::forbidden()),
            Verb::Destroy => destroy(&mut inner.kept.store, task),
            Verb::Create | Verb::Update => {
                let data = self.data(task)?;
                let id = write(inner, task, &data)?;
                let status = if task.endpoint.verb == Verb::Create { 201 } else { 200 };
                answer_of(&inner.kept.store, task, record(&inner.kept.store, task, id), status)
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

fn read(store: &Store, task: &Task<'_>) -> Result<Reply, Refusal> {
    match task.endpoint.verb {
        Verb::Index => index(store, task),
        _ => show(store, task, task.id.and_then(|id| record(store, task, id))),
    }
}

fn index(store: &Store, task: &Task<'_>) -> Result<Reply, Refusal> {
    let address = format!("{}{}", task.request.root, task.request.path);
    let listing = Listing::read(task.params.clone(), address)?;
    let filters = listing.filters();
    let mut records = match task.endpoint.collection {
        Collection::Matters => filters::matters(store, filters)?,
        Collection::CustomFields => filters::custom_fields(store, filters)?,
        Collection::Contacts => filters::contacts(store, filters)?,
        Collection::Groups => filters::groups(store, filters)?,
        Collection::PracticeAreas => filters::practice_areas(store, filters),
        Collection::Users => filters::users(store, filters, task.user.account)?,
    };
    listing.keep_common(&mut records)?;
    let only_fields = filters.ids("custom_field_ids[]")?;
    let view = View { store, only_fields: &only_fields };
    let (shape, orders) = order_of(task.endpoint.collection);
    Ok(Reply::new(200, Some(listing.page(view, records, shape, orders)?)))
}

/// The shape of a collection's records and the properties by which its lists can be ordered, beside the id.
fn order_of(collection: Collection) -> (&'static Shape, &'static [&'static str]) {
    match collection {
        Collection::Matters => (
            &MATTER,
            &["display_number", "open_date", "close_date", "pending_date", "updated_at", "created_at"],
        ),
        Collection::CustomFields => (&CUSTOM_FIELD, &["name", "display_order"]),
        Collection::Contacts => (&CONTACT, &["name"]),
        Collection::Groups => (&GROUP, &["name"]),
        Collection::PracticeAreas => (&PRACTICE_AREA, &["name", "code"]),
        Collection::Users => (&USER, &["name", "first_name", "last_name"]),
    }
}

fn record<'a>(store: &'a Store, task: &Task<'_>, id: i64) -> Option<Record<'a>> {
    match task.endpoint.collection {
        Collection::Matters => store.matters.get(&id).map(Record::Matter),
        Collection::CustomFields => {
            store.custom_fields.get(&id).filter(|field| !field.deleted).map(Record::Field)
        }
        Collection::Contacts => store.contacts.get(&id).map(Record::Contact),
        Collection::Groups => store.groups.get(&id).map(Record::Group),
        Collection::PracticeAreas => store.practice_areas.get(&id).map(Record::PracticeArea),
        Collection::Users => {
            store.users.get(&id).filter(|user| user.account == task.user.account).map(Record::User)
        }
    }
}

fn show(store: &Store, task: &Task<'_>, record: Option<Record<'_>>) -> Result<Reply, Refusal> {
    if record.is_some_and(|record| is_unchanged(task.request, record)) {
        return Ok(Reply::new(304, None));
    }
    answer_of(store, task, record, 200)
}

/// A single record, with its etag and time in the headers.
fn answer_of<'a>(
    store: &'a Store,
    task: &Task<'_>,
    record: Option<Record<'a>>,
    status: u16,
) -> Result<Reply, Refusal> {
    let record = record.ok_or_else(|| Refusal::not_found("The record"))?;
    let selection = fields::parse(task.params.one("fields"), record.shape())?;
    let only_fields = task.params.ids("custom_field_ids[]")?;
    let shown = View { store, only_fields: &only_fields }.show(record, &selection);
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

fn destroy(store: &mut Store, task: &Task<'_>) -> Result<Reply, Refusal> {
    if task.endpoint.collection != Collection::Matters {
        return Err(Refusal::forbidden());
    }
    match task.id.and_then(|id| store.matters.remove(&id)) {
        Some(_) => Ok(Reply::new(204, None)),
        None => Err(Refusal::not_found("Matter")),
    }
}

fn write(inner: &mut Inner, task: &Task<'_>, data: &Value) -> Result<i64, Refusal> {
    let limits = inner.kept.switches.text_limits;
    let store = &mut inner.kept.store;
    let nothing = serde_json::Map::new();
    let data = Data::new(data.as_object().unwrap_or(&nothing));
    let shape = order_of(task.endpoint.collection).0;
    // A wrong `fields` must refuse the write, not only its answer.
    fields::parse(task.params.one("fields"), shape)?;
    task.params.ids("custom_field_ids[]")?;
    if let Some(id) = task.id {
        let held = record(store, task, id).ok_or_else(|| Refusal::not_found("The record"))?;
        let expected = task.request.header("if-match");
        if expected.is_some_and(|listed| !is_matched(listed, &held.etag())) {
            return Err(Refusal::stale());
        }
        let mut writer = Writer { store, now: task.now, limits };
        match task.endpoint.collection {
            Collection::Matters => writer.update_matter(id, &data)?,
            Collection::CustomFields => writer.update_custom_field(id, &data)?,
            _ => return Err(Refusal::forbidden()),
        }
        return Ok(id);
    }
    let mut writer = Writer { store, now: task.now, limits };
    match task.endpoint.collection {
        Collection::Matters => writer.create_matter(&data),
        Collection::CustomFields => writer.create_custom_field(&data),
        Collection::Contacts => writer.create_contact(&data),
        Collection::Groups => writer.create_group(&data),
        Collection::PracticeAreas => writer.create_practice_area(&data),
        Collection::Users => Err(Refusal::forbidden()),
    }
}

//! The server's addresses: reads a request, checks who asks, and answers in JSON or, unless asked for that, in HTML.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, REFERER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use serde_json::Value;

use super::attachment_requests::{self, RowOperation, Upload};
use super::attachments::Attachment;
use super::edits::Hand;
use super::metadata;
use super::operations::Operation;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::state::GisState;
use super::tokens::Credentials;
use crate::calls::Effect;

/// The longest query string that the web server in front (IIS) lets through, in bytes.
const LONGEST_QUERY: usize = 2048;
/// The largest form in bytes: what a servlet container takes by default. What Esri's servers take is in no source.
const LARGEST_FORM: usize = 2 << 20;
/// Who edits where nobody needs to sign in.
const ANONYMOUS: &str = "Esri_Anonymous";

/// The ArcGIS site, to be mounted at `/arcgis`.
pub(crate) fn router(state: Arc<GisState>) -> Router {
    Router::new()
        .route("/rest/info", any(info))
        .route("/rest/services/{*service}", any(services))
        .route("/tokens", any(tokens))
        .route("/tokens/", any(tokens))
        .route("/tokens/generateToken", any(tokens))
        .layer(from_fn(refuse_long_queries))
        .with_state(state)
}

/// What a request to the site does, whatever its verb. `path` may or may not begin with `/arcgis`.
pub(crate) fn effect(method: &Method, path: &str) -> Effect {
    let path = path.trim_end_matches('/');
    if path.ends_with("/generateToken") || path.ends_with("/tokens") {
        return Effect::Other;
    }
    let last = path.rsplit('/').next();
    let edits = Operation::of(last).is_some_and(Operation::edits)
        || RowOperation::of(last.as_slice()).is_some_and(RowOperation::edits);
    if *method == Method::POST && edits { Effect::Write } else { Effect::Read }
}

/// Whether requests to this path may bring a file, which must not be read whole into memory.
pub(crate) fn takes_files(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next();
    RowOperation::of(last.as_slice()).is_some_and(RowOperation::takes_file)
}

async fn refuse_long_queries(request: Request, next: Next) -> Response {
    if request.uri().query().is_some_and(|query| query.len() > LONGEST_QUERY) {
        let page =
            Html("<html><head><title>404 - File or directory not found.</title></head><body></body></html>");
        return (StatusCode::NOT_FOUND, page).into_response();
    }
    next.run(request).await
}

/// A request, read to its end.
struct Asked {
    method: Method,
    headers: HeaderMap,
    /// The part of the path behind `/rest/services/`.
    service: String,
    parameters: Parameters,
    form: Parameters,
    upload: Option<Upload>,
}

impl Asked {
    async fn read(request: Request) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let body =
            to_bytes(body, LARGEST_FORM).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
        let is_form = header(&parts.headers, CONTENT_TYPE.as_str())
            .is_some_and(|kind| kind.trim_start().starts_with("application/x-www-form-urlencoded"));
        let form = if is_form && parts.method == Method::POST { &body[..] } else { &[] };
        Ok(Self {
            parameters: Parameters::read(parts.uri.query().unwrap_or(""), form),
            form: Parameters::read("", form),
            service: service(&parts.uri).to_owned(),
            method: parts.method,
            headers: parts.headers,
            upload: None,
        })
    }

    /// Reads a request that may bring a file in a form of several parts.
    async fn read_with_file(state: &GisState, request: Request) -> Result<Self, Response> {
        let Some(boundary) = attachment_requests::boundary(request.headers()) else {
            return Self::read(request).await;
        };
        let (parts, body) = request.into_parts();
        let (fields, upload) = attachment_requests::read_form(state, body, boundary).await?;
        Ok(Self {
            parameters: Parameters::read(parts.uri.query().unwrap_or(""), &[]).with(fields),
            form: Parameters::default(),
            service: service(&parts.uri).to_owned(),
            method: parts.method,
            headers: parts.headers,
            upload,
        })
    }

    fn credentials(&self) -> Credentials {
        let bearer = |name: &str| header(&self.headers, name).and_then(|value| value.strip_prefix("Bearer "));
        let token = self
            .parameters
            .get("token")
            .or_else(|| bearer(AUTHORIZATION.as_str()))
            .or_else(|| bearer("x-esri-authorization"));
        Credentials {
            token: token.map(str::to_owned),
            referer: header(&self.headers, REFERER.as_str()).map(str::to_owned),
        }
    }

    /// The answer in the format asked for.
    fn respond(&self, answer: Result<Value, Refusal>) -> Response {
        let body = |answer: Result<Value, Refusal>| answer.unwrap_or_else(|refusal| refusal.body());
        match self.parameters.get("f") {
            Some("json") => json_response(body(answer).to_string()),
            Some("pjson") => json_response(format!("{:#}", body(answer))),
            None | Some("html") => Html(page(&body(answer))).into_response(),
            Some(other) => json_response(Refusal::format(other).body().to_string()),
        }
    }
}

/// The part of a path behind `/rest/services/`.
fn service(uri: &Uri) -> &str {
    let service = uri.path().split_once("/rest/services/").map_or("", |(_, service)| service);
    service.trim_end_matches('/')
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn json_response(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json;charset=UTF-8")], body).into_response()
}

fn page(body: &Value) -> String {
    let text = format!("{body:#}").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!DOCTYPE html>\n<html><head><title>ArcGIS REST Services Directory</title></head><body><pre>{text}</pre></body></html>\n"
    )
}

fn only(methods: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, methods)], Html("<html><body>Method Not Allowed</body></html>"))
        .into_response()
}

async fn info(request: Request) -> Response {
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    if !matches!(asked.method, Method::GET | Method::POST) {
        return only("GET, POST");
    }
    let host = header(&asked.headers, HOST.as_str()).unwrap_or("localhost");
    asked.respond(Ok(metadata::server(&format!("http://{host}/arcgis"))))
}

async fn tokens(State(state): State<Arc<GisState>>, request: Request) -> Response {
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    if asked.method != Method::POST {
        return only("POST");
    }
    let answer = state.contents().tokens.generate(&asked.form, &state.options, state.now());
    asked.respond(answer)
}

async fn services(State(state): State<Arc<GisState>>, request: Request) -> Response {
    let target = target(service(request.uri()), &state.options.service);
    let may_have_parts = matches!(target, Some(Target::Row(_, _, operation)) if operation.edits());
    let read = if may_have_parts && request.method() == Method::POST {
        Asked::read_with_file(&state, request).await
    } else {
        Asked::read(request).await
    };
    let mut asked = match read {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let Some(target) = target else {
        return asked.respond(Err(Refusal::service_not_found(&asked.service)));
    };
    if target.edits() && asked.method != Method::POST {
        return only("POST");
    }
    if !matches!(asked.method, Method::GET | Method::POST) {
        return only("GET, POST");
    }
    // A format that cannot be given must not leave an edit behind.
    if let Some(other) =
        asked.parameters.get("f").filter(|format| !matches!(*format, "json" | "pjson" | "html"))
    {
        return asked.respond(Err(Refusal::format(other)));
    }
    if let Target::Row(layer, object_id, RowOperation::Download(id)) = target {
        return match attachment(&state, &asked, (layer, object_id, id)) {
            Ok(attachment) => attachment_requests::download(&state, &attachment).await,
            Err(refusal) => asked.respond(Err(refusal)),
        };
    }
    let upload = asked.upload.take();
    let answer = answer(&state, &asked, target, upload);
    asked.respond(answer)
}

/// What an address below `/rest/services/` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Service,
    Layer(u32, Operation),
    /// Something of a row, by layer and object id.
    Row(u32, i64, RowOperation),
    /// Of this service, but nothing that it has.
    Nothing,
}

impl Target {
    fn edits(self) -> bool {
        match self {
            Self::Service | Self::Nothing => false,
            Self::Layer(_, operation) => operation.edits(),
            Self::Row(_, _, operation) => operation.edits(),
        }
    }
}

fn target(path: &str, service: &str) -> Option<Target> {
    let rest = path.strip_prefix(service)?.strip_prefix("/FeatureServer")?;
    if rest.is_empty() {
        return Some(Target::Service);
    }
    let parts: Vec<&str> = rest.strip_prefix('/')?.split('/').collect();
    Some(below_service(&parts).unwrap_or(Target::Nothing))
}

fn below_service(parts: &[&str]) -> Option<Target> {
    let (layer, below) = parts.split_first()?;
    let layer = layer.parse().ok()?;
    match below {
        [] => Some(Target::Layer(layer, Operation::of(None)?)),
        [operation] => Some(Target::Layer(layer, Operation::of(Some(operation))?)),
        [row, below @ ..] => Some(Target::Row(layer, row.parse().ok()?, RowOperation::of(below)?)),
    }
}

fn answer(state: &GisState, asked: &Asked, target: Target, upload: Option<Upload>) -> Result<Value, Refusal> {
    let now = state.now();
    let mut contents = state.contents();
    contents.tokens.check(&asked.credentials(), now)?;
    let editor = if asked.credentials().token.is_some() { &state.options.username } else { ANONYMOUS };
    let hand = Hand { editor, now };
    match target {
        Target::Service => Ok(metadata::service(contents.layers.values(), state.options.max_record_count)),
        Target::Nothing => Err(Refusal::invalid_url()),
        Target::Layer(id, operation) => {
            contents.queries += 1;
            let shuffle = contents.queries;
            let layer = contents.layers.get_mut(&id).ok_or_else(Refusal::invalid_url)?;
            operation.answer(layer, &asked.parameters, hand, shuffle)
        }
        Target::Row(id, object_id, operation) => {
            let layer = contents.layers.get_mut(&id).ok_or_else(Refusal::invalid_url)?;
            let (answer, unneeded) =
                attachment_requests::answer(layer, object_id, operation, &asked.parameters, upload, hand)?;
            state.forget(&unneeded);
            Ok(answer)
        }
    }
}

/// The attachment to be downloaded, if the one who asks may have it.
fn attachment(
    state: &GisState,
    asked: &Asked,
    (layer, object_id, id): (u32, i64, i64),
) -> Result<Attachment, Refusal> {
    let contents = state.contents();
    contents.tokens.check(&asked.credentials(), state.now())?;
    let layer = contents.layers.get(&layer).ok_or_else(Refusal::invalid_url)?;
    attachment_requests::found(layer, object_id, id)
}

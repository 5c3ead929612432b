//! Calls to the feature service: signed, read whole, understood.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use databridge_http::{
    Answer, Budget, CallError, ClientError, ErrorClass, RetryPolicy, client, with_retries,
};
use databridge_runtime::Clock;
use reqwest::RequestBuilder;
use reqwest::header::REFERER;
use serde_json::Value as Json;
use tokio::time::Instant;
use url::Url;

use crate::refusal::{self, Refusal};
use crate::service_url::ServiceUrl;
use crate::settings::Credential;
use crate::sign_in::{Bearer, TOKEN_HEADER, Tokens};

pub(crate) mod download;

/// The wait after a refusal for the limit that names none.
const UNNAMED_WAIT: Duration = Duration::from_secs(5);

/// Parameters of a call, form-encoded.
pub(crate) type Form = Vec<(&'static str, String)>;

/// Counts calls to the service, those for tokens not among them, and knows how long one may wait where the server has
/// asked for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    calls: Arc<AtomicU32>,
    patience: Option<Duration>,
}

/// A push, or a content for one, that would wait longer goes back to its queue.
const PATIENCE_OF_A_PUSH: Duration = Duration::from_secs(10);

impl Tally {
    /// For what waits in a queue rather than here.
    pub(crate) fn of_a_push() -> Self {
        Self { patience: Some(PATIENCE_OF_A_PUSH), ..Self::default() }
    }

    pub(crate) fn count(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer's body, and the server's clock when it was given.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: Json,
    pub(crate) server_time: Option<DateTime<Utc>>,
}

/// A feature service.
#[derive(Debug)]
pub(crate) struct FeatureService {
    line: Arc<Line>,
}

/// What calls are made with.
#[derive(Debug)]
struct Line {
    address: ServiceUrl,
    http: reqwest::Client,
    tokens: Tokens,
    budget: Budget,
    closed_until: Mutex<Option<Instant>>,
}

struct Call {
    url: Url,
    name: String,
    /// `None` asks by GET.
    form: Option<Form>,
    writes: bool,
}

impl FeatureService {
    pub(crate) fn new(
        address: ServiceUrl,
        credential: Credential,
        budget: Budget,
        clock: Clock,
    ) -> Result<Self, ClientError> {
        let http = client("gis-bridge")?;
        let tokens = Tokens::new(credential, address.clone(), http.clone(), budget.clone(), clock);
        Ok(Self { line: Arc::new(Line { address, http, tokens, budget, closed_until: Mutex::default() }) })
    }

    /// The layer's page (arcgis.md, section 1).
    pub(crate) async fn layer_page(&self, layer: u32, tally: &Tally) -> Result<Reply, CallError> {
        let mut url = self.line.address.layer(layer);
        url.set_query(Some("f=json"));
        self.read(Call { url, name: format!("GET layer {layer}"), form: None, writes: false }, tally).await
    }

    /// `query` by POST: lists of ids and fields are longer than an address may be (arcgis.md, section 2). What is refused
    /// whole may pass in parts.
    pub(crate) async fn query(&self, layer: u32, form: Form, tally: &Tally) -> Result<Json, Refusal> {
        let url = self.line.address.operation(layer, "query");
        let call = Call { url, name: format!("POST layer {layer}/query"), form: Some(form), writes: false };
        self.read_or_refused(call, tally).await
    }

    /// `queryAttachments`, once: what is refused whole may pass in parts (section 5).
    pub(crate) async fn query_attachments(
        &self,
        layer: u32,
        object_ids: &[i64],
        tally: &Tally,
    ) -> Result<Json, Refusal> {
        let url = self.line.address.operation(layer, "queryAttachments");
        let ids: Vec<String> = object_ids.iter().map(ToString::to_string).collect();
        let form = vec![("f", "json".to_owned()), ("objectIds", ids.join(","))];
        let name = format!("POST layer {layer}/queryAttachments");
        self.read_or_refused(Call { url, name, form: Some(form), writes: false }, tally).await
    }

    /// The list of one row's attachments (section 5).
    pub(crate) async fn attachments_of(
        &self,
        layer: u32,
        object_id: i64,
        tally: &Tally,
    ) -> Result<Json, CallError> {
        let mut url = self.line.address.attachments(layer, object_id);
        url.set_query(Some("f=json"));
        let name = format!("GET layer {layer}/{object_id}/attachments");
        Ok(self.read(Call { url, name, form: None, writes: false }, tally).await?.body)
    }

    /// `applyEdits`, once (arcgis.md, section 4).
    pub(crate) async fn apply_edits(&self, layer: u32, form: Form, tally: &Tally) -> Result<Json, Refusal> {
        let url = self.line.address.operation(layer, "applyEdits");
        let call =
            Call { url, name: format!("POST layer {layer}/applyEdits"), form: Some(form), writes: true };
        if let Some(wait) = self.line.closed_for() {
            return Err(asked_to_wait(&call.name, wait).into());
        }
        self.line.answered(&call, tally).await.map(|reply| reply.body)
    }

    /// Waits until the server, which asked us to wait, may be called again.
    pub(crate) async fn open(&self) {
        self.line.open().await;
    }

    /// For how long still it has asked us to wait.
    pub(crate) fn closed_for(&self) -> Option<Duration> {
        self.line.closed_for()
    }

    async fn read(&self, call: Call, tally: &Tally) -> Result<Reply, CallError> {
        self.tried(call, tally, &Arc::default()).await
    }

    /// The body, or the refusal with what may help against it.
    async fn read_or_refused(&self, call: Call, tally: &Tally) -> Result<Json, Refusal> {
        let last = Arc::new(Mutex::new(None));
        match self.tried(call, tally, &last).await {
            Ok(reply) => Ok(reply.body),
            Err(error) => {
                let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(last.unwrap_or_else(|| error.into()))
            }
        }
    }

    /// The closure owns what it uses: the compiler cannot see that a borrowing one may change threads.
    async fn tried(
        &self,
        call: Call,
        tally: &Tally,
        last: &Arc<Mutex<Option<Refusal>>>,
    ) -> Result<Reply, CallError> {
        let (line, call, tally, last) =
            (Arc::clone(&self.line), Arc::new(call), tally.clone(), Arc::clone(last));
        with_retries(RetryPolicy::default(), move || {
            let (line, call, tally, last) =
                (Arc::clone(&line), Arc::clone(&call), tally.clone(), Arc::clone(&last));
            async move {
                line.open_within(&tally, &call.name).await?;
                line.answered(&call, &tally).await.map_err(|refusal| {
                    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal.clone());
                    CallError::from(refusal)
                })
            }
        })
        .await
    }
}

fn asked_to_wait(call: &str, wait: Duration) -> CallError {
    let message = "the server has asked us to wait".to_owned();
    CallError { class: ErrorClass::Limited(Some(wait)), call: call.to_owned(), message }
}

impl Line {
    async fn open(&self) {
        while let Some(wait) = self.closed_for() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until it may be called again, unless that takes too long.
    async fn open_within(&self, tally: &Tally, call: &str) -> Result<(), CallError> {
        match self.closed_for() {
            Some(wait) if tally.patience.is_some_and(|patience| patience < wait) => {
                Err(asked_to_wait(call, wait))
            }
            _ => {
                self.open().await;
                Ok(())
            }
        }
    }

    /// The answer to a call; a refused token is replaced and the call made once more.
    async fn answered(&self, call: &Call, tally: &Tally) -> Result<Reply, Refusal> {
        let bearer = self.tokens.bearer().await?;
        let mut answer = self.sent(call, bearer.as_ref(), tally).await;
        if let Err(refusal) = &answer
            && refusal.token
        {
            let bearer = self.tokens.instead_of(bearer.as_ref(), refusal.error.clone()).await?;
            answer = self.sent(call, Some(&bearer), tally).await;
        }
        self.heeded(answer)
    }

    /// The answer; if it asks us to wait, no other call is made before.
    fn heeded<T>(&self, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(Refusal { error: CallError { class: ErrorClass::Limited(wait), .. }, .. }) = &answer {
            self.close_for(wait.unwrap_or(UNNAMED_WAIT));
        }
        answer
    }

    async fn sent(&self, call: &Call, bearer: Option<&Bearer>, tally: &Tally) -> Result<Reply, Refusal> {
        let mut request = match &call.form {
            Some(form) => self.http.post(call.url.clone()).form(form),
            None => self.http.get(call.url.clone()),
        };
        request = self.signed(request, bearer);
        let paid = self.budget.pay(&call.name).await?;
        tally.add();
        let answer = Answer::to(paid, request, call.name.clone(), call.writes).await?;
        let body = refusal::body_of(&answer, call.writes)?;
        Ok(Reply { body, server_time: answer.server_time() })
    }

    /// The request with the token in its header and, where tokens are bound to one, the referer.
    fn signed(&self, mut request: RequestBuilder, bearer: Option<&Bearer>) -> RequestBuilder {
        if let Some(bearer) = bearer {
            request = request.header(TOKEN_HEADER, bearer.header.clone());
        }
        if self.tokens.bound_to_referer() {
            request = request.header(REFERER, self.address.referer());
        }
        request
    }

    fn closed_for(&self) -> Option<Duration> {
        let until = (*self.closed_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    fn close_for(&self, wait: Duration) {
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = (*closed).max(Some(Instant::now() + wait));
    }
}

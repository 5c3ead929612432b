//! Downloads: the bytes of an attachment as they come (arcgis.md, section 5).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use databridge_http::{Answer, CallError, ErrorClass};
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::Response;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use serde_json::Value as Json;
use url::Url;

use super::{FeatureService, Line, Tally};
use crate::refusal::{self, Refusal};
use crate::sign_in::Bearer;

/// The most that a download may take. One that stands still for half a minute ends before (`databridge_http::client`).
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// A longer body is no refusal.
const LONGEST_REFUSAL: usize = 64 * 1024;

/// A download that has begun.
pub(crate) struct Download {
    /// How many bytes come, where the server says.
    pub(crate) size: Option<u64>,
    /// What they are, where the server says.
    pub(crate) content_type: Option<String>,
    /// The bytes.
    pub(crate) bytes: BoxStream<'static, Result<Bytes, CallError>>,
    /// The body, which came with the status of a success, reads like a refusal. It may be a file that reads so.
    pub(crate) doubt: Option<Refusal>,
}

impl FeatureService {
    /// Begins to download an attachment; a refused token is replaced and the call made once more.
    pub(crate) async fn download(
        &self,
        layer: u32,
        (object_id, attachment): (i64, i64),
        tally: &Tally,
    ) -> Result<Download, Refusal> {
        let line = &self.line;
        let mut url = line.address.attachment(layer, object_id, attachment);
        // A refusal then comes as JSON and not as a page.
        url.set_query(Some("f=json"));
        let name = format!("GET layer {layer}/{object_id}/attachments/{attachment}");
        line.open_within(tally, &name).await?;
        let bearer = line.tokens.bearer().await?;
        let mut begun = line.download(&url, &name, bearer.as_ref(), tally).await;
        let refused = match &begun {
            Ok(download) => download.doubt.as_ref(),
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) = refused.filter(|refusal| refusal.token) {
            let bearer = line.tokens.instead_of(bearer.as_ref(), refusal.error.clone()).await?;
            begun = line.download(&url, &name, Some(&bearer), tally).await;
        }
        line.heeded(begun)
    }
}

impl Line {
    async fn download(
        &self,
        url: &Url,
        name: &str,
        bearer: Option<&Bearer>,
        tally: &Tally,
    ) -> Result<Download, Refusal> {
        // Compressed, the length would not be told, and most attachments are compressed files already.
        let request = self.http.get(url.clone()).timeout(LONGEST).header(ACCEPT_ENCODING, "identity");
        let _paid = self.budget.pay(name).await?;
        tally.add();
        let call = name.to_owned();
        let sent = self.signed(request, bearer).send().await;
        let mut response = sent.map_err(|error| broken(&call, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() && !may_be_a_refusal(&headers) {
            return Ok(Download::of(&headers, rest(call, response)));
        }
        let beginning = beginning(&call, &mut response).await?;
        if beginning.len() > LONGEST_REFUSAL && status.is_success() {
            let bytes = futures::stream::iter([Ok(beginning)]).chain(rest(call, response)).boxed();
            return Ok(Download::of(&headers, bytes));
        }
        let answer = Answer { call, status, headers, body: beginning };
        let refusal = refusal::body_of(&answer, false).err();
        if !status.is_success() {
            let untold =
                || answer.error(ErrorClass::Transient, "the download is refused without a reason").into();
            return Err(refusal.unwrap_or_else(untold));
        }
        let is_text = serde_json::from_slice::<Json>(&answer.body).is_err() && !reads_like_a_page(&answer);
        let bytes = futures::stream::iter([Ok(answer.body.clone())]).boxed();
        let mut download = Download::of(&answer.headers, bytes);
        download.size = Some(answer.body.len() as u64);
        download.doubt = refusal.filter(|_| !is_text);
        Ok(download)
    }
}

impl Download {
    pub(crate) fn of(headers: &HeaderMap, bytes: BoxStream<'static, Result<Bytes, CallError>>) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        Self {
            size: text(CONTENT_LENGTH).and_then(|size| size.parse().ok()),
            content_type: text(CONTENT_TYPE).map(str::to_owned),
            bytes,
            doubt: None,
        }
    }
}

/// Whether a body of this type may be what a server says instead of the bytes.
pub(crate) fn may_be_a_refusal(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.is_empty() || kind.ends_with("json") || kind.ends_with("html") || kind == "text/plain"
}

fn reads_like_a_page(answer: &Answer) -> bool {
    answer.beginning().trim_start().starts_with('<')
}

/// The body as far as a refusal can be long, or a little more of it where it goes on.
async fn beginning(call: &str, response: &mut Response) -> Result<Bytes, CallError> {
    let mut bytes = BytesMut::new();
    while bytes.len() <= LONGEST_REFUSAL {
        match response.chunk().await.map_err(|error| broken(call, &error))? {
            Some(chunk) => bytes.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(bytes.freeze())
}

fn rest(call: String, response: Response) -> BoxStream<'static, Result<Bytes, CallError>> {
    response.bytes_stream().map(move |piece| piece.map_err(|error| broken(&call, &error))).boxed()
}

/// A download that breaks off can be made again.
fn broken(call: &str, error: &reqwest::Error) -> CallError {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    let what = if error.is_timeout() { "no answer in time" } else { "the download broke off" };
    CallError { class: ErrorClass::Transient, call: call.to_owned(), message: format!("{what}{cause}") }
}

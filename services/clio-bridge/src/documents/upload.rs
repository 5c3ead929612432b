//! Putting bytes into Clio's storage: streamed, hashed on the way, given up when they stop flowing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use databridge_http::{CallError, ClientError, ErrorClass};
use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::ticket::{PutHeader, Ticket};
use crate::content_source::FetchedContent;

/// Bytes in one piece of the stream.
const PIECE: usize = 64 * 1024;

/// An upload of which no byte was taken for so long is given up. So is one that was taken whole, without an answer.
const STALLED: Duration = Duration::from_secs(60);

/// The call, for messages: its address is a secret.
const CALL: &str = "PUT storage";

/// The storage behind Clio's documents. It knows nothing of our sign-in.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    http: reqwest::Client,
}

/// Why the bytes are not in the storage.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The storage does not take them: the ticket has ended.
    Refused(String),
    /// Something failed for the moment.
    Failed(CallError),
}

impl From<Unsent> for CallError {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Refused(message) => failed(message),
            Unsent::Failed(error) => error,
        }
    }
}

/// What has gone out so far.
struct Progress {
    sha256: Sha256,
    bytes: u64,
    moved_at: Instant,
}

impl Storage {
    pub(crate) fn new() -> Result<Self, ClientError> {
        Ok(Self { http: databridge_http::upload_client("clio-bridge")? })
    }

    /// Puts the bytes there. They are there whole and as they were told only if this gives no error.
    pub(super) async fn put(&self, ticket: &Ticket, content: FetchedContent) -> Result<(), Unsent> {
        let FetchedContent { object, reader } = content;
        let start = Progress { sha256: Sha256::new(), bytes: 0, moved_at: Instant::now() };
        let progress = Arc::new(Mutex::new(start));
        let pieces =
            futures::stream::try_unfold((reader, Arc::clone(&progress)), |(mut reader, progress)| async {
                let mut piece = BytesMut::with_capacity(PIECE);
                let read = reader.read_buf(&mut piece).await?;
                if read == 0 {
                    return Ok::<_, std::io::Error>(None);
                }
                let piece = piece.freeze();
                note(&progress, &piece);
                Ok(Some((piece, (reader, progress))))
            });
        let mut request = self.http.put(&ticket.put_url);
        for (name, value) in headers_of(ticket) {
            request = request.header(name, value);
        }
        let request = request.header(CONTENT_LENGTH, object.size).body(reqwest::Body::wrap_stream(pieces));
        let answer = unless_stalled(request.send(), &progress).await?;
        let status = answer.status();
        if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            return Err(Unsent::Failed(failed(format!("a fault at the storage (HTTP {})", status.as_u16()))));
        }
        if !status.is_success() {
            let message = format!("the storage does not take the bytes (HTTP {})", status.as_u16());
            return Err(Unsent::Refused(message));
        }
        let (sha256, bytes) = {
            let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            (hex::encode(progress.sha256.clone().finalize()), progress.bytes)
        };
        if bytes != object.size || !sha256.eq_ignore_ascii_case(&object.sha256) {
            let message = format!(
                "what was sent is not what was to be sent: {bytes} bytes of {}, sha256 {sha256}",
                object.size
            );
            return Err(Unsent::Failed(failed(message)));
        }
        Ok(())
    }
}

/// What the storage wants to hear, but for the length, which we know.
pub(crate) fn headers_of(ticket: &Ticket) -> Vec<(HeaderName, HeaderValue)> {
    let header = |header: &PutHeader| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(&header.value).ok()?))
    };
    ticket.put_headers.iter().filter_map(header).filter(|(name, _)| *name != CONTENT_LENGTH).collect()
}

fn note(progress: &Mutex<Progress>, piece: &[u8]) {
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    progress.sha256.update(piece);
    progress.bytes += piece.len() as u64;
    progress.moved_at = Instant::now();
}

/// The answer, unless the bytes stop flowing before.
async fn unless_stalled(
    send: impl Future<Output = reqwest::Result<reqwest::Response>>,
    progress: &Mutex<Progress>,
) -> Result<reqwest::Response, Unsent> {
    let mut send = std::pin::pin!(send);
    loop {
        let gives_up_at = progress.lock().unwrap_or_else(PoisonError::into_inner).moved_at + STALLED;
        tokio::select! {
            answer = &mut send => {
                return answer.map_err(|error| Unsent::Failed(failed(plain(error))));
            }
            () = tokio::time::sleep_until(gives_up_at) => {
                let moved_at = progress.lock().unwrap_or_else(PoisonError::into_inner).moved_at;
                if moved_at + STALLED <= Instant::now() {
                    return Err(Unsent::Failed(failed("the storage took no more bytes".to_owned())));
                }
            }
        }
    }
}

/// The error and its causes, without the address, which is a secret.
pub(crate) fn plain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The bytes may be there or not; in either case the version is not marked as uploaded.
fn failed(message: String) -> CallError {
    CallError { class: ErrorClass::Unknown, call: CALL.to_owned(), message }
}

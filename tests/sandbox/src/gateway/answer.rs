//! An answer of a system on its way through the gateway: as it is, or made into a lie.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::Value;

use super::{AsItIs, GREATEST_BODY, OnItsWay};
use crate::faults::Kept;

/// How long the first half of a cut answer has to leave before the connection closes.
const HALF_ANSWER_LEAVES: Duration = Duration::from_millis(50);

/// The body of an answer.
pub(super) enum Given {
    Whole(Bytes),
    /// A long one, of so many bytes.
    OnItsWay(Body, u64),
}

impl Given {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Whole(body) => body.len() as u64,
            Self::OnItsWay(_, length) => *length,
        }
    }

    pub(super) fn into_body(self) -> Body {
        match self {
            Self::Whole(body) => Body::from(body),
            Self::OnItsWay(body, _) => body,
        }
    }
}

/// An answer, its body read unless it is a long one.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Given,
    pub(super) as_it_is: bool,
}

impl Answer {
    pub(super) async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let as_it_is = head.extensions.get::<AsItIs>().is_some();
        let length =
            head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let body = match length.filter(|_| head.extensions.get::<OnItsWay>().is_some()) {
            Some(length) => Given::OnItsWay(body, length),
            None => Given::Whole(to_bytes(body, GREATEST_BODY).await.unwrap_or_default()),
        };
        Self { status: head.status, headers: head.headers, body, as_it_is }
    }

    /// The same answer, in which an error's text stands in place of the second half. Nothing in its frame tells.
    pub(super) fn with_error_midway(mut self, error: &Value) -> Self {
        let half = self.body.length() / 2;
        let first = up_to(std::mem::replace(&mut self.body, Given::Whole(Bytes::new())).into_body(), half);
        let error = Bytes::from(error.to_string());
        let length = half + error.len() as u64;
        let body = Body::from_stream(first.chain(stream::once(std::future::ready(Ok(error)))));
        self.headers.remove(header::CONTENT_LENGTH);
        self.body = Given::OnItsWay(body, length);
        self.as_it_is = true;
        self
    }

    /// The same list, of which the next page is said to be at this address.
    pub(super) fn with_next_page(mut self, address: &str) -> Self {
        let Given::Whole(body) = &self.body else { return self };
        let Ok(mut list) = serde_json::from_slice::<Value>(body) else { return self };
        if let Some(paging) = list.pointer_mut("/meta/paging").and_then(Value::as_object_mut) {
            paging.insert("next".to_owned(), address.into());
        }
        self.headers.remove(header::CONTENT_LENGTH);
        self.body = Given::Whole(list.to_string().into());
        self
    }

    /// What can be given again.
    pub(super) fn kept(&self) -> Option<Kept> {
        let Given::Whole(body) = &self.body else { return None };
        Some(Kept { status: self.status, headers: self.headers.clone(), body: body.clone() })
    }

    pub(super) async fn of(response: impl IntoResponse) -> Self {
        Self::read(response.into_response()).await
    }
}

impl From<Kept> for Answer {
    fn from(Kept { status, headers, body }: Kept) -> Self {
        Self { status, headers, body: Given::Whole(body), as_it_is: false }
    }
}

/// The beginning of a body, of so many bytes.
fn up_to(body: Body, length: u64) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    stream::try_unfold((body.into_data_stream(), length), |(mut body, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(piece) = body.next().await else { return Ok(None) };
        let mut piece = piece?;
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left.saturating_sub(piece.len() as u64);
        Ok(Some((piece, (body, left))))
    })
}

/// The beginning of a body, then an error, which closes the connection.
pub(super) fn cut_after(body: Body, length: u64) -> Body {
    let cut = stream::once(async {
        tokio::time::sleep(HALF_ANSWER_LEAVES).await;
        Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)))
    });
    Body::from_stream(up_to(body, length).chain(cut))
}

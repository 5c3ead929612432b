//! The bodies of answers, and lists read to their end ("Paging").

use std::collections::BTreeSet;

use databridge_http::{Answer, CallError, ErrorClass, RetryPolicy, with_retries};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use url::Url;

use crate::api::{self, Resource};
use crate::client::ClioClient;
use crate::errand::Errand;
use crate::kind::id_of;

/// The body of an answer with one record.
#[derive(Debug, Deserialize)]
pub(crate) struct RecordBody<T> {
    pub(crate) data: T,
}

/// The body of a list. A record of it may be unreadable by itself, so records are read one by one.
#[derive(Debug, Deserialize)]
pub(crate) struct ListBody {
    pub(crate) data: Vec<Json>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
struct Meta {
    #[serde(default)]
    paging: Paging,
}

/// `next` is absent on the last page.
#[derive(Debug, Default, Deserialize)]
struct Paging {
    next: Option<String>,
}

/// The body of an answer. Where it cannot be read, its beginning is told only if it is a page: else that could show what
/// is not ours, or where the bytes of a document may be written.
pub(crate) fn read_body<T: DeserializeOwned>(answer: &Answer, writes: bool) -> Result<T, CallError> {
    answer.json(writes).map_err(|error| {
        if answer.body.trim_ascii_start().starts_with(b"<") {
            return error;
        }
        CallError { message: "the answer breaks off or is not as expected".to_owned(), ..error }
    })
}

impl ListBody {
    /// The address of the next page.
    pub(crate) fn next(&self) -> Option<&str> {
        self.meta.paging.next.as_deref()
    }

    /// Whether an answer to a question by ids is one to another question, or goes on elsewhere.
    pub(crate) fn strays_from(&self, asked: &[u64]) -> bool {
        self.next().is_some() || self.data.iter().filter_map(id_of).any(|id| !asked.contains(&id))
    }
}

impl ClioClient {
    /// One page, tried again where that may help.
    // Boxed here, because further out the compiler cannot show any more that the future is Send.
    pub(crate) fn page(
        &self,
        errand: &Errand,
        url: &Url,
    ) -> BoxFuture<'static, Result<(ListBody, Answer), CallError>> {
        let (client, errand, url) = (self.clone(), errand.clone(), url.clone());
        let attempt = move || {
            let (client, errand, url) = (client.clone(), errand.clone(), url.clone());
            async move { client.get::<ListBody>(&errand, &url).await }
        };
        with_retries(RetryPolicy::default(), attempt).boxed()
    }

    /// All records of a list.
    pub(crate) async fn all(
        &self,
        errand: &Errand,
        resource: &Resource,
        filters: &[(&str, &str)],
    ) -> Result<Vec<Json>, CallError> {
        let (path, most) = (resource.list(), api::PAGE.to_string());
        let order: &[_] = if resource.is_ordered { &[api::ORDER] } else { &[] };
        let shape = [(api::LIMIT, most.as_str()), (api::FIELDS, resource.fields)];
        self.all_below(errand, &path, &[resource.filters, filters, order, &shape].concat()).await
    }

    /// All records of the list at this path, asked for with this query.
    pub(crate) async fn all_below(
        &self,
        errand: &Errand,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Json>, CallError> {
        self.all_from(errand, path, self.url(path, query)).await
    }

    /// All records of the list at this path, from the page at this address on, each once.
    pub(crate) async fn all_from(
        &self,
        errand: &Errand,
        path: &str,
        mut url: Url,
    ) -> Result<Vec<Json>, CallError> {
        let (mut records, mut known) = (Vec::new(), BTreeSet::new());
        loop {
            let (body, answer) = self.page(errand, &url).await?;
            let next = body.next().map(|next| self.next_page(path, next)).transpose()?;
            let before = records.len();
            records
                .extend(body.data.into_iter().filter(|json| id_of(json).is_none_or(|id| known.insert(id))));
            match next {
                None => return Ok(records),
                // One that brings nothing new and leads on would do so for ever.
                Some(_) if records.len() == before => {
                    return Err(answer.error(ErrorClass::Transient, "Clio's pages go in a circle"));
                }
                Some(next) => url = next,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_an_answer_that_cannot_be_read_only_a_page_is_told() {
        let read = |body: &str| {
            let answer = Answer {
                call: "POST documents".to_owned(),
                status: reqwest::StatusCode::CREATED,
                headers: reqwest::header::HeaderMap::new(),
                body: bytes::Bytes::copy_from_slice(body.as_bytes()),
            };
            read_body::<RecordBody<Json>>(&answer, true).unwrap_err().to_string()
        };
        let address = "https://storage/b?signature=hunter2";
        for body in [
            format!(r#"{{"data":{{"put_url":"{address}""#),
            format!("\u{feff}{{\"data\":\"{address}\"}}"),
            format!("\"{address}\""),
            address.to_owned(),
        ] {
            assert!(!read(&body).contains("hunter2"), "{}", read(&body));
        }
        assert!(read("<html>Down for maintenance</html>").contains("Down for maintenance"));
    }

    #[test]
    fn a_list_without_a_word_about_its_pages_is_one_page() {
        for meta in
            [None, Some(json!({})), Some(json!({"records": 1})), Some(json!({"paging": {"previous": "x"}}))]
        {
            let mut body = json!({"data": [{"id": 1}]});
            if let (Some(meta), Some(body)) = (meta, body.as_object_mut()) {
                body.insert("meta".to_owned(), meta);
            }
            let list: ListBody = serde_json::from_value(body).unwrap();
            assert_eq!((list.data.len(), list.next()), (1, None));
        }
    }
}

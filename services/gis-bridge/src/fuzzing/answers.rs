//! What a server answers to anything but a query of rows.

use chrono::{DateTime, Utc};
use databridge_http::fuzzing::{answer_of, is_for_a_person};
use databridge_http::{Answer, CallError};
use databridge_model::Failure;
use futures::StreamExt;
use secrecy::ExposeSecret;
use serde_json::{Value as Json, json};
use url::Url;

use super::LONGEST_REASON;
use crate::attachments::{groups, ids_in, infos, rows_that_fit};
use crate::edits::{Edit, Values, Verdict, verdicts};
use crate::refusal::body_of;
use crate::service::download::{Download, may_be_a_refusal};
use crate::service_url::ServiceUrl;
use crate::sign_in::{given, header, renewal, token_url_in};

/// What stands for a secret in the seeds.
const SECRET: &str = "s3cr3t";

/// An answer, read as each kind that there is; its header `x-address` is the address that an operator has set.
pub fn gis_answers(data: &[u8]) {
    let answer = answer_of("POST 2/applyEdits", data);
    for writes in [false, true] {
        match body_of(&answer, writes) {
            Ok(body) => body_is_read(&body),
            Err(refusal) => is_for_a_person(&refusal.error),
        }
    }
    token(&answer);
    let _may = may_be_a_refusal(&answer.headers);
    let _download = Download::of(&answer.headers, futures::stream::empty().boxed());
    let address = answer.headers.get("x-address").and_then(|address| address.to_str().ok());
    if let Some(Ok(url)) = address.map(Url::parse) {
        addresses(&url, serde_json::from_slice(&answer.body).ok().as_ref());
    }
}

fn body_is_read(body: &Json) {
    let mut sent = Values::default();
    sent.attributes.insert("Status".to_owned(), json!("H"));
    let edits = [
        Edit::Update(1, sent.clone()),
        Edit::Delete(9),
        Edit::Update(2, Values { geometry: Some(json!({"x": 1.0})), ..sent.clone() }),
        Edit::Add(sent.clone()),
        Edit::AddOurs("ab-1".to_owned(), sent),
    ];
    let told = verdicts(body.clone(), &edits);
    assert_eq!(told.len(), edits.len());
    for (verdict, edit) in told.iter().zip(&edits) {
        verdict_is_of(verdict, edit);
    }
    if let Some(found) = groups(body) {
        for (row, all) in &found {
            for one in all {
                let shown = one.shown(*row);
                assert_eq!(ids_in(&shown.id), Some((*row, one.id)));
                assert_eq!(shown.key.map(String::from), Some(one.id.to_string()));
            }
        }
        let rows: Vec<i64> = (0..10).collect();
        assert!((1..=5).contains(&rows_that_fit(&rows, &found)));
    }
    let _list_of_a_row = infos(body.get("attachmentInfos"));
}

fn verdict_is_of(verdict: &Verdict, edit: &Edit) {
    let expected = match edit {
        Edit::Update(object_id, _) | Edit::Delete(object_id) => Some(*object_id),
        Edit::Add(_) | Edit::AddOurs(..) => None,
    };
    match verdict {
        Verdict::Done { object_id, .. } => {
            assert!(expected.is_none_or(|it| it == *object_id || *object_id < 0), "{object_id} for {edit:?}");
        }
        Verdict::Refused(Failure { message, field, .. })
        | Verdict::Failed(Failure { message, field, .. }) => {
            assert!(message.chars().count() <= LONGEST_REASON, "a reason of {} bytes", message.len());
            let sent = |field: &String| field == "Status" || field == "geometry";
            assert!(field.as_ref().is_none_or(sent), "{field:?} was not sent");
        }
        Verdict::There => assert!(matches!(edit, Edit::AddOurs(..))),
        Verdict::Gone | Verdict::RolledBack => {}
    }
}

fn token(answer: &Answer) {
    let now = DateTime::<Utc>::from_timestamp(1_795_186_800, 0).unwrap_or_default();
    match given(answer) {
        Ok((token, ends)) => {
            let _renew_at = renewal(ends, answer.server_time(), now);
            if let Err(error) = header(&token, 1) {
                tells_no_secret(&error, token.expose_secret());
            }
        }
        Err(error) => {
            is_for_a_person(&error);
            // What the server itself says of an error is told; of anything else nothing with the token in it.
            let body: Option<Json> = serde_json::from_slice(&answer.body).ok();
            let says = |name: &str| body.as_ref().is_some_and(|body| body.get(name).is_some());
            if !says("error") && !says("status") {
                tells_no_secret(&error, SECRET);
            }
        }
    }
}

fn tells_no_secret(error: &CallError, secret: &str) {
    assert!(secret.is_empty() || !error.to_string().contains(secret), "{error}");
}

fn addresses(url: &Url, info: Option<&Json>) {
    let service = match ServiceUrl::parse(url) {
        Ok(service) => service,
        Err(error) => return assert!(error.to_string().starts_with("GIS_SERVICE_URL ")),
    };
    let base = Url::parse(service.referer()).ok();
    let base = base.filter(|it| it.query().is_none() && it.username().is_empty() && it.password().is_none());
    assert!(base.is_some(), "{}", service.referer());
    for below in [service.layer(2), service.operation(2, "query"), service.attachment(2, -7, 9)] {
        assert_eq!(below.origin(), url.origin());
        let path = base.as_ref().map(Url::path).unwrap_or_default().trim_end_matches('/');
        assert!(below.path().starts_with(&format!("{path}/2")), "{below}");
    }
    assert!(service.server_info().is_none_or(|info| info.path().ends_with("/rest/info")));
    if let Some(told) = info.and_then(token_url_in).filter(|told| service.may_get_password(told)) {
        let is_open_already = url.scheme() == "http" && told.host() == url.host();
        assert!(told.scheme() == "https" || is_open_already, "{told}");
    }
}

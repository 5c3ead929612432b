//! Answers that are refusals, limits, pages that lead on, and tickets of uploads.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use databridge_http::fuzzing::{answer_of, is_for_a_person, upload_client};
use databridge_http::{Answer, Budget};
use databridge_runtime::Clock;
use secrecy::SecretString;
use serde_json::Value as Json;
use url::Url;

use super::{file, found};
use crate::api;
use crate::client::ClioClient;
use crate::definitions::{self, Definition};
use crate::documents::delivery::Waiting;
use crate::documents::ticket::Ticket;
use crate::documents::upload::{headers_of, plain};
use crate::lister::{with_filters, with_limit};
use crate::pages::{ListBody, RecordBody, read_body};
use crate::refusal::{self, Kind};
use crate::token::{FixedToken, Token};

/// What stands for a secret in the seeds.
const SECRET: &str = "s3cr3t";

/// An answer, read as each kind that there is; its header `x-next` is the address of the next page.
pub fn clio_answers(data: &[u8]) {
    for call in ["GET matters", "PATCH documents/17", "POST notes", "DELETE documents/7"] {
        let answer = answer_of(call, data);
        for kind in [Kind::Read, Kind::Write] {
            is_for_a_person(&refusal::of(&answer, kind));
        }
    }
    let answer = answer_of("POST documents", data);
    if let Err(error) = read_body::<ListBody>(&answer, false) {
        is_for_a_person(&error);
        tells_no_secret(&answer, &error.to_string());
    }
    heeds_the_limit(&answer);
    leads_on(answer.headers.get("x-next").and_then(|next| next.to_str().ok()).unwrap_or_default());
    upload(&answer);
    if let Ok(RecordBody::<Vec<Json>> { data }) = serde_json::from_slice(&answer.body) {
        custom_fields(data);
    }
}

/// What may hold a secret is not told. A page is, which says what is wrong.
fn tells_no_secret(answer: &Answer, told: &str) {
    let is_page = answer.body.trim_ascii_start().starts_with(b"<");
    assert!(is_page || !told.contains(SECRET), "{told}");
}

fn heeds_the_limit(answer: &Answer) {
    let Some(client) = new_client() else { return };
    client.heed(answer);
    if client.calls_per_minute().is_some() {
        assert!(answer.headers.contains_key(api::header::LIMIT));
    }
    assert!(refusal::retry_after(answer) <= Duration::from_secs(24 * 3600));
}

/// A client without a limit that it would know, so that no input depends on the one before.
fn new_client() -> Option<ClioClient> {
    static HTTP: OnceLock<Option<ClioClient>> = OnceLock::new();
    let make = || {
        let tokens = FixedToken(Token::new(SecretString::from("t")));
        let host = Url::parse("https://app.clio.com").ok()?;
        ClioClient::new(&host, Arc::new(tokens), Budget::none(), Clock::system()).ok()
    };
    HTTP.get_or_init(make).as_ref().map(ClioClient::anew)
}

/// A next page is one of the same list at the same host, or it is not followed: the token goes there.
fn leads_on(next: &str) {
    let Some(client) = new_client() else { return };
    for resource in [&api::MATTERS, &api::NOTES] {
        match client.next_page(&resource.list(), next) {
            Ok(url) => {
                let url = with_limit(with_filters(url, resource.filters), 5);
                let place = (url.scheme(), url.host_str(), url.port_or_known_default());
                assert_eq!(place, ("https", Some("app.clio.com"), Some(443)), "{next}");
                assert_eq!(url.path().trim_end_matches(".json"), format!("/api/v4/{}", resource.path));
                assert!(url.username().is_empty() && url.password().is_none(), "{next}");
                let pairs: Vec<_> = url.query_pairs().collect();
                let limits = pairs.iter().filter(|(name, _)| name == api::LIMIT);
                assert!(
                    limits.map(|(_, value)| value.parse::<usize>()).all(|most| most.is_ok_and(|it| it <= 5))
                );
            }
            Err(error) => is_for_a_person(&error),
        }
    }
}

fn upload(answer: &Answer) {
    let ticket = match Waiting::of(answer) {
        Ok(waiting) => Some(waiting.ticket),
        Err(error) => {
            is_for_a_person(&error);
            tells_no_secret(answer, &error.to_string());
            serde_json::from_slice::<Json>(&answer.body).ok().and_then(|document| Ticket::of(&document))
        }
    };
    let Some(ticket) = ticket else { return };
    assert!(ticket.uuid.contains(SECRET) || !format!("{ticket:?}").contains(SECRET));
    assert!(headers_of(&ticket).iter().all(|(name, _)| name.as_str() != "content-length"));
    let Some(http) = upload_client() else { return };
    if let Err(error) = http.put(&ticket.put_url).build() {
        let told = plain(error);
        assert!(ticket.put_url.len() < 12 || !told.contains(&ticket.put_url), "{told}");
    }
}

fn custom_fields(all: Vec<Json>) {
    let (Some(file), Some(found)) = (file(), found()) else { return };
    let all: Vec<Definition> = all.into_iter().filter_map(|json| serde_json::from_value(json).ok()).collect();
    let wanted = &file.settings.custom_fields;
    for before in [&found.custom_fields, &BTreeMap::new()] {
        for (name, field) in definitions::ours(&all, wanted, before) {
            let is_it = |it: &Definition| {
                it.id == field.id && it.name == name && it.field_type == field.kind.as_str()
            };
            assert!(all.iter().any(is_it), "{name}");
        }
    }
}

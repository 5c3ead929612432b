//! Signed addresses.

use axum::http::HeaderMap;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::STORAGE;
use super::refusal::StorageRefusal;
use crate::clio::collections::document_versions::{ADDRESS_LASTS, DocumentVersion};

const TIME: &str = "%Y%m%dT%H%M%SZ";

/// The address to which a version is uploaded. It is the same however often it is shown.
pub(crate) fn upload_address(root: &str, secret: &str, version: &DocumentVersion) -> String {
    let signed_at = version.address_ends - ADDRESS_LASTS;
    Signed { method: "PUT", uuid: &version.uuid, at: signed_at.format(TIME).to_string() }
        .address(root, secret)
}

/// The address from which a version is downloaded.
pub(crate) fn download_address(root: &str, secret: &str, uuid: &str, now: DateTime<Utc>) -> String {
    Signed { method: "GET", uuid, at: now.format(TIME).to_string() }.address(root, secret)
}

struct Signed<'a> {
    method: &'a str,
    uuid: &'a str,
    at: String,
}

impl Signed<'_> {
    fn lasts() -> i64 {
        ADDRESS_LASTS.num_seconds()
    }

    /// The headers that are signed, and so must come as they were given out.
    fn headers(&self) -> &'static str {
        if self.method == "PUT" { "content-type;host;x-amz-server-side-encryption" } else { "host" }
    }

    fn signature(&self, secret: &str) -> String {
        let told = format!("{secret} {} {} {} {}", self.method, self.uuid, self.at, Self::lasts());
        hex::encode(Sha256::digest(told.as_bytes()))
    }

    fn address(&self, root: &str, secret: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
            .append_pair("X-Amz-Date", &self.at)
            .append_pair("X-Amz-Expires", &Self::lasts().to_string())
            .append_pair("X-Amz-SignedHeaders", self.headers())
            .append_pair("X-Amz-Signature", &self.signature(secret))
            .finish();
        format!("{}{}{}?{query}", root.trim_end_matches('/'), STORAGE, self.uuid)
    }
}

/// Checks the address of a request: that it was given out for this verb, has not ended, and comes without another
/// authorisation.
pub(super) fn check(
    secret: &str,
    method: &str,
    uuid: &str,
    query: &str,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Result<(), StorageRefusal> {
    if headers.contains_key("authorization") {
        return Err(StorageRefusal::two_authorizations());
    }
    let parameter = |wanted: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let (Some(at), Some(signature)) = (parameter("X-Amz-Date"), parameter("X-Amz-Signature")) else {
        return Err(StorageRefusal::denied());
    };
    if (Signed { method, uuid, at: at.clone() }).signature(secret) != signature {
        return Err(StorageRefusal::signature());
    }
    let signed_at = NaiveDateTime::parse_from_str(&at, TIME).map_err(|_| StorageRefusal::denied())?;
    let ends = signed_at.and_utc() + TimeDelta::seconds(Signed::lasts());
    if now > ends {
        return Err(StorageRefusal::ended(ends, now));
    }
    Ok(())
}

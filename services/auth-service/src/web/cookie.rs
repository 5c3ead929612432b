//! The private cookie that ties a consent to the browser that began it.

use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use chrono::{DateTime, TimeDelta, Utc};
use databridge_seal::{SealError, Sealed, SealingKey};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::settings::CALLBACK_PATH;

/// Time to sign in at Clio, a second factor included, and to read what is asked.
const LIFETIME: TimeDelta = TimeDelta::minutes(30);

const NAME: &str = "databridge_consent";

/// A consent that this browser has begun.
#[derive(Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The state that Clio hands back.
    pub(crate) state: String,
    /// Whether another account may be connected than before.
    pub(crate) another_account: bool,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

impl Begun {
    /// The cookie, encrypted. It ends with the browser, and what is in it ends sooner.
    pub(crate) fn to_cookie(&self, key: &SealingKey, is_https: bool) -> Result<Cookie<'static>, SealError> {
        let plain = serde_json::to_vec(self).unwrap_or_default();
        let sealed = key.seal(&plain, NAME.as_bytes())?;
        let cookie = Cookie::build((NAME, sealed.to_string()));
        Ok(cookie.path(CALLBACK_PATH).http_only(true).secure(is_https).same_site(SameSite::Lax).build())
    }

    /// What the cookie holds, if it is ours and not too old.
    pub(crate) fn from_jar(jar: &CookieJar, key: &SealingKey, now: DateTime<Utc>) -> Option<Self> {
        let sealed: Sealed = jar.get(NAME)?.value().parse().ok()?;
        let plain = key.open(&sealed, NAME.as_bytes()).ok()?;
        let begun: Self = serde_json::from_slice(plain.expose_secret()).ok()?;
        (now < begun.at + LIFETIME).then_some(begun)
    }
}

/// Takes the cookie away from the browser.
pub(crate) fn without(jar: CookieJar) -> CookieJar {
    jar.remove(Cookie::build(NAME).path(CALLBACK_PATH))
}

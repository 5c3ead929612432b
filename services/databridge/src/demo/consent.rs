//! Connecting Clio as a person would: the one-time link, the consent page, the way back.

use anyhow::{Context, bail};
use databridge_broker::Broker;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use sandbox::Admin;
use sandbox::client::{Answer, Consent};
use serde_json::{Value, json};
use url::Url;

use crate::commands;

/// How it came that Clio is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connected {
    /// It was already.
    Before,
    /// A person has just allowed it.
    Now,
}

/// Goes through the consent, unless Clio is connected already.
pub async fn give(broker: &Broker, admin: &Admin) -> anyhow::Result<Connected> {
    let status = commands::ask(broker, "auth.status.clio", &json!({}), "auth-service").await?;
    if status.get("connected").and_then(Value::as_bool) == Some(true) {
        return Ok(Connected::Before);
    }
    let reply = commands::ask(broker, "auth.link.clio", &json!({}), "auth-service").await?;
    let link = reply.get("url").and_then(Value::as_str).with_context(|| format!("no link came: {reply}"))?;
    let http = databridge_http::client("demo")?;
    let opened = http.get(link).send().await?;
    let Some(authorize) = opened.headers().get(LOCATION) else {
        bail!("the link did not lead to Clio: {}", opened.status());
    };
    let authorize = Url::parse(authorize.to_str()?)?;
    let cookies: Vec<_> = opened
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .collect();
    let Consent::Redirect(callback) = admin.consent(&authorize, Answer::Allow).await? else {
        bail!("Clio's consent page did not lead back");
    };
    let done = http.get(callback).header(COOKIE, cookies.join("; ")).send().await?;
    if !done.status().is_success() && !done.status().is_redirection() {
        bail!("the way back from Clio failed: {}", done.status());
    }
    Ok(Connected::Now)
}

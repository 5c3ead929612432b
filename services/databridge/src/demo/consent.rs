//! Connecting Clio as a person would: the one-time link, the consent page, the way back.

use anyhow::Context;
use databridge_broker::Broker;
use sandbox::Admin;
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
    admin.follow_link(&Url::parse(link)?).await?;
    Ok(Connected::Now)
}

//! The users of config/nats.conf, with passwords that tests know.

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};

use crate::town::project;

/// The users of config/nats.conf.
pub const USERS: [&str; 7] =
    ["gis-bridge", "clio-bridge", "reconciler", "auth-service", "scheduler", "databridge", "operator"];

/// The password that a user has in tests.
pub fn password(user: &str) -> SecretString {
    SecretString::from(format!("p-{user}"))
}

/// The part of config/nats.conf that has the users, as the shipped file says it but for the passwords.
pub fn users() -> anyhow::Result<String> {
    let file = project().join("config/nats.conf");
    let text = std::fs::read_to_string(&file)?;
    let (_, users) = text.split_once("\nauthorization {").context("config/nats.conf has no users")?;
    let mut users = format!("authorization {{{users}");
    for user in USERS {
        let variable = format!("$NATS_PASSWORD_{}\n", user.to_uppercase().replace('-', "_"));
        anyhow::ensure!(users.contains(&variable), "config/nats.conf has no user {user}");
        users = users.replace(&variable, &format!("\"{}\"\n", password(user).expose_secret()));
    }
    Ok(users)
}

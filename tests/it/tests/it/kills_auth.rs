//! The auth-service, and nats-server under it, killed with SIGKILL in the middle of a refresh: the tokens survive.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use databridge_broker::async_nats::Request;
use databridge_model::{TokenReply, TokenRequest};
use databridge_seal::{ExposeSecret, MasterKey, Sealed};
use it::Town;
use it::watch::until;
use sandbox::clio::hand::ClioSettings;
use sha2::{Digest, Sha256};

type Result = anyhow::Result<()>;

const SERVICE: &str = "auth-service";
const SUBJECT: &str = "auth.token.clio";

/// A town of which only the tokens matter, and its first token.
struct Vault {
    town: Town,
    token: String,
    refreshes_before: u64,
}

impl Vault {
    /// With refresh tokens that stay, or that each refresh replaces.
    async fn open(rotate: bool) -> anyhow::Result<Self> {
        let town = Town::of_processes(1).await?;
        let settings = ClioSettings { rotate_refresh_tokens: Some(rotate), ..ClioSettings::default() };
        town.admin.clio_settings(&settings).await?;
        let mut vault = Self { town, token: String::new(), refreshes_before: 0 };
        vault.token = vault.given(None).await?;
        vault.refreshes_before = vault.token_calls().await?;
        Ok(vault)
    }

    /// Asks as a bridge does; `refused` is a token that Clio has refused, so that a refresh is due.
    async fn ask(&self, refused: Option<&str>) -> anyhow::Result<TokenReply> {
        let mark = refused.map(|token| hex::encode(Sha256::digest(token)).chars().take(8).collect());
        let request = Request::new()
            .payload(serde_json::to_vec(&TokenRequest { refused: mark })?.into())
            .timeout(Some(Duration::from_secs(20)));
        let reply = self.town.broker.client().send_request(SUBJECT, request).await?;
        Ok(serde_json::from_slice(&reply.payload)?)
    }

    /// The token that is given, as soon as the auth-service answers.
    async fn given(&self, refused: Option<&str>) -> anyhow::Result<String> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
        let sealed: Sealed = loop {
            match self.ask(refused).await {
                Ok(TokenReply::Token { sealed, .. }) => break sealed.parse()?,
                Ok(TokenReply::None { reason }) => bail!("no token: {reason}"),
                Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let key = MasterKey::parse(self.town.office.key.databridge_key.expose_secret())?;
        let text = key.derive("token:clio").open_text(&sealed, SUBJECT.as_bytes())?;
        Ok(text.expose_secret().to_owned())
    }

    /// Starts the auth-service with a fail point, and has a refresh come to it.
    async fn refresh_up_to(&mut self, failpoint: &str) -> Result {
        let processes = self.town.processes.as_mut().context("no processes")?;
        processes.kill(SERVICE).await?;
        processes.start_one(SERVICE, Some(failpoint))?;
        self.given(None).await?;
        let request = serde_json::to_vec(&TokenRequest {
            refused: Some(hex::encode(Sha256::digest(&self.token)).chars().take(8).collect()),
        })?;
        self.town.broker.client().publish_with_reply(SUBJECT, "nobody.waits", request.into()).await?;
        Ok(self.town.broker.client().flush().await?)
    }

    async fn kill_at(&mut self, point: &str) -> Result {
        self.refresh_up_to(&format!("kill:{point}")).await?;
        let processes = self.town.processes.as_mut().context("no processes")?;
        processes.died(SERVICE).await?;
        processes.start_one(SERVICE, None)
    }

    /// What was asked of Clio for tokens, since the first was given.
    async fn refreshes(&self) -> anyhow::Result<u64> {
        Ok(self.token_calls().await? - self.refreshes_before)
    }

    async fn token_calls(&self) -> anyhow::Result<u64> {
        let calls = self.town.admin.calls().await?.clio.by_path;
        Ok(calls.iter().filter(|(call, _)| call.contains("oauth/token")).map(|(_, times)| times).sum())
    }

    /// Many bridges are given one new token, which Clio takes, and Clio was asked so often for it.
    async fn must_go_on_after(&self, refreshes: u64) -> Result {
        let asked = (0..8).map(|_| self.given(Some(&self.token)));
        let given = futures::future::try_join_all(asked).await?;
        let [first, others @ ..] = given.as_slice() else { bail!("no token was given") };
        ensure!(others.iter().all(|token| token == first), "several tokens were given");
        ensure!(*first != self.token, "the refused token was given again");
        ensure!(self.refreshes().await? == refreshes, "{} refreshes", self.refreshes().await?);
        let who_am_i = self.town.sandbox.url().join("api/v4/users/who_am_i.json")?;
        let answer = databridge_http::client("test")?.get(who_am_i).bearer_auth(first).send().await?;
        ensure!(answer.status().is_success(), "Clio answers {}", answer.status());
        self.town.sync("clio").await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_mid_refresh_loses_no_token() -> Result {
    tokio::try_join!(
        goes_on_after_a_kill(true, "auth.before-refresh", 1),
        // Clio has answered and nobody has its answer: the stored refresh token, which did not end, gives another.
        goes_on_after_a_kill(false, "auth.after-refresh", 2),
        goes_on_after_a_kill(true, "auth.after-store", 1),
    )?;
    Ok(())
}

async fn goes_on_after_a_kill(rotate: bool, point: &str, refreshes: u64) -> Result {
    let mut vault = Box::pin(Vault::open(rotate)).await?;
    vault.kill_at(point).await?;
    vault.must_go_on_after(refreshes).await.with_context(|| format!("killed at {point}"))
}

/// Where a refresh ends the old refresh token the new one is lost with the process, and no program can mend that: a
/// person is told, and a new consent does.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_lost_by_a_kill_asks_for_a_new_consent() -> Result {
    let mut vault = Box::pin(Vault::open(true)).await?;
    vault.kill_at("auth.after-refresh").await?;
    let Err(error) = vault.given(Some(&vault.token)).await else { bail!("a token came from nowhere") };
    ensure!(error.to_string().contains("databridge connect"), "{error}");
    vault.town.connect().await?;
    vault.given(None).await?;
    vault.town.sync("clio").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_the_broker_in_mid_refresh_loses_no_rotated_token() -> Result {
    tokio::try_join!(
        goes_on_without_the_broker("auth.before-refresh"),
        goes_on_without_the_broker("auth.after-refresh"),
        goes_on_without_the_broker("auth.after-store"),
    )?;
    Ok(())
}

async fn goes_on_without_the_broker(point: &str) -> Result {
    let mut vault = Box::pin(Vault::open(true)).await?;
    let folder = tempfile::tempdir()?;
    let held = folder.path().join("held");
    vault.refresh_up_to(&format!("hold:{point}:{}", held.display())).await?;
    until("the auth-service to be at the fail point", async || Ok(held.exists().then_some(()))).await?;
    vault.town.nats.kill9()?;
    vault.town.nats.restart().await?;
    std::fs::remove_file(&held)?;
    vault.must_go_on_after(1).await.with_context(|| format!("nats-server killed at {point}"))
}

//! One office: a broker, a Clio, and an auth-service or two, with one clock for all of the service.

use std::time::{Duration, Instant};

use auth_service::{AuthError, LinkReply, Settings, Status, StatusReply, subjects};
use databridge_broker::Broker;
use databridge_broker::async_nats::Request;
use databridge_config::env::{ClioAppEnv, ClioEnv, KeyEnv, NatsEnv};
use databridge_model::{TokenReply, TokenRequest};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use databridge_seal::{ExposeSecret as _, MasterKey, SecretString};
use sandbox::client::{Answer, Consent};
use sandbox::clio::hand::ClioSettings;
use sandbox::{Admin, ClioOptions, Sandbox, SandboxOptions};
use secret_search::Search;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use crate::browser::{Browser, Page};

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Office {
    // Before all that it searches.
    _search: Search,
    pub(crate) nats: NatsServer,
    pub(crate) sandbox: Sandbox,
    pub(crate) clio: Admin,
    pub(crate) clock: Clock,
    pub(crate) broker: Broker,
    pub(crate) base: Url,
    stop: CancellationToken,
    service: JoinHandle<Result<(), AuthError>>,
}

impl Office {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let clio = ClioOptions {
            redirect_uris: vec![base.join("callback").unwrap().to_string()],
            rate_limit: None,
            ..ClioOptions::default()
        };
        let sandbox = Sandbox::start(SandboxOptions { clio, ..SandboxOptions::default() }).await.unwrap();
        let nats = NatsServer::ephemeral().await.unwrap();
        let clock = Clock::system();
        let broker = connect(&nats, &clock).await;
        databridge_broker::ensure_topology(&broker).await.unwrap();
        let stop = CancellationToken::new();
        let settings = settings(&sandbox, &base, KEY);
        let run = auth_service::run(settings, broker.clone(), clock.clone(), listener, stop.clone());
        let service = tokio::spawn(run);
        let planted =
            [("the application's secret", ClioOptions::default().client_secret), ("the key", KEY.to_owned())];
        let folder = nats.log_path().parent().unwrap().to_owned();
        let search = Search::new(planted.into(), sandbox.secrets(), vec![folder]);
        let clio = sandbox.admin();
        let office = Self { _search: search, nats, clio, sandbox, clock, broker, base, stop, service };
        office.until_it_answers().await;
        office
    }

    async fn until_it_answers(&self) {
        until("the auth-service answers", async || self.answers().await).await;
    }

    async fn answers(&self) -> bool {
        let request = async_nats::Request::new().timeout(Some(Duration::from_secs(2)));
        self.broker.client().send_request(subjects::STATUS, request).await.is_ok()
    }

    /// Runs another auth-service over the same bucket; gives its page.
    pub(crate) async fn another_replica(&self, key: &str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let broker = connect(&self.nats, &self.clock).await;
        let settings = settings(&self.sandbox, &self.base, key);
        let stop = CancellationToken::new();
        tokio::spawn(auth_service::run(settings, broker, self.clock.clone(), listener, stop));
        // The page is served once the requests are listened for.
        assert_eq!(Browser::new().get(&page.join("health").unwrap()).await.status, 200);
        page
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        (&mut self.service).await.unwrap().unwrap();
    }

    /// Orders the stop, and waits until neither the page nor a request is answered any more.
    pub(crate) async fn begin_to_stop(&self) {
        self.stop.cancel();
        let page = (self.base.host_str().unwrap(), self.base.port().unwrap());
        until("the page is closed", async || TcpStream::connect(page).await.is_err()).await;
        until("no request is answered", async || !self.answers().await).await;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.service.is_finished()
    }

    /// Waits until a request is held at a fault.
    pub(crate) async fn until_held(&self, fault: u64) {
        let is_held = async || self.clio.fault_status(fault).await.unwrap().unwrap().waiting > 0;
        until("a request is held", is_held).await;
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    pub(crate) async fn ask<Q: Serialize, A: DeserializeOwned>(&self, subject: &'static str, body: &Q) -> A {
        let body = serde_json::to_vec(body).unwrap();
        // Longer than a renewal that a test holds.
        let request = Request::new().payload(body.into()).timeout(Some(Duration::from_secs(40)));
        let reply = self.broker.client().send_request(subject, request).await.unwrap();
        serde_json::from_slice(&reply.payload).unwrap_or_else(|e| panic!("{e}: {:?}", reply.payload))
    }

    pub(crate) async fn status(&self) -> Status {
        match self.ask(subjects::STATUS, &serde_json::json!({})).await {
            StatusReply::Status(status) => *status,
            StatusReply::Error { error } => panic!("{error}"),
        }
    }

    pub(crate) async fn link(&self) -> Url {
        self.link_of(serde_json::json!({})).await
    }

    pub(crate) async fn link_of(&self, request: serde_json::Value) -> Url {
        match self.ask(subjects::LINK, &request).await {
            LinkReply::Link { url, .. } => url,
            LinkReply::Error { error } => panic!("{error}"),
        }
    }

    /// Follows a link to Clio and presses a button there; gives the address that Clio sends the browser to.
    pub(crate) async fn at_clio(&self, browser: &mut Browser, link: &Url, answer: Answer) -> Url {
        let consent = browser.get(link).await.location();
        match self.clio.consent(&consent, answer).await.unwrap() {
            Consent::Redirect(back) => back,
            Consent::Page { status, html } => panic!("{status}: {html}"),
        }
    }

    /// The whole consent, allowed.
    pub(crate) async fn consent(&self, browser: &mut Browser, link: &Url) -> Page {
        let back = self.at_clio(browser, link, Answer::Allow).await;
        browser.get(&back).await
    }

    pub(crate) async fn connect(&self) {
        let page = self.consent(&mut Browser::new(), &self.link().await).await;
        assert_eq!(page.status, 200, "{}", page.body);
    }

    /// Changes who is signed in at Clio.
    pub(crate) async fn sign_in(&self, name: &str) {
        let users: Vec<serde_json::Value> =
            reqwest_get(&self.sandbox.url().join("admin/clio/users").unwrap()).await;
        let user = users.iter().find(|user| user["name"] == name).unwrap_or_else(|| panic!("{users:?}"));
        let id = user["id"].as_i64();
        self.clio
            .clio_settings(&ClioSettings { signed_in_user: id, ..ClioSettings::default() })
            .await
            .unwrap();
    }

    pub(crate) async fn token_reply(&self, refused: Option<String>) -> TokenReply {
        self.ask(subjects::TOKEN, &TokenRequest { refused }).await
    }

    /// The access token, opened as a bridge does.
    pub(crate) async fn token(&self, refused: Option<String>) -> String {
        match self.token_reply(refused).await {
            TokenReply::Token { sealed, .. } => open(&sealed).expose_secret().to_owned(),
            TokenReply::None { reason } => panic!("{reason}"),
        }
    }

    pub(crate) async fn no_token(&self, refused: Option<String>) -> String {
        match self.token_reply(refused).await {
            TokenReply::None { reason } => reason,
            TokenReply::Token { .. } => panic!("a token was given"),
        }
    }

    /// How Clio answers a call with this token.
    pub(crate) async fn status_at_clio(&self, token: &str) -> u16 {
        let url = self.sandbox.url().join("api/v4/users/who_am_i.json").unwrap();
        let http = databridge_http::client("test").unwrap();
        http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    }

    /// Whose token it is, by Clio's word.
    pub(crate) async fn user_at_clio(&self, token: &str) -> String {
        let url = self.sandbox.url().join("api/v4/users/who_am_i.json?fields=name").unwrap();
        let http = databridge_http::client("test").unwrap();
        let user: serde_json::Value =
            http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
        user["data"]["name"].as_str().unwrap().to_owned()
    }

    /// How often tokens were asked of Clio, for codes and renewals together.
    pub(crate) async fn token_calls(&self) -> u64 {
        let calls = self.clio.calls().await.unwrap().clio.by_path;
        calls.iter().filter(|(call, _)| call.contains("oauth/token")).map(|(_, times)| times).sum()
    }
}

/// Waits until it is so, looking again every few milliseconds.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "it did not come about that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn fingerprint(token: &str) -> Option<String> {
    hex::encode(Sha256::digest(token)).get(..8).map(str::to_owned)
}

fn open(sealed: &str) -> SecretString {
    let key = MasterKey::parse(KEY).unwrap().derive("token:clio");
    key.open_text(&sealed.parse().unwrap(), subjects::TOKEN.as_bytes()).unwrap()
}

async fn reqwest_get<T: DeserializeOwned>(url: &Url) -> T {
    let http = databridge_http::client("test").unwrap();
    http.get(url.clone()).send().await.unwrap().json().await.unwrap()
}

async fn connect(nats: &NatsServer, clock: &Clock) -> Broker {
    Broker::connect(&NatsEnv::at(nats.url()), "auth-service", clock.clone(), Duration::from_secs(10))
        .await
        .unwrap()
}

fn settings(sandbox: &Sandbox, base: &Url, key: &str) -> Settings {
    let options = ClioOptions::default();
    let app = ClioAppEnv {
        clio_api_key: options.client_id,
        clio_api_secret: options.client_secret.into(),
        clio_callback_url: base.join("callback").unwrap(),
    };
    let key = KeyEnv { databridge_key: key.to_owned().into() };
    Settings::new(ClioEnv::at(sandbox.url()), app, &key).unwrap()
}

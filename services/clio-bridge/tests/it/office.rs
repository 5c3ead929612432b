//! What the tests share: a law office with Clio, and the bridge beside it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clio_bridge::{
    Catalogue, ClioClient, ClioSystem, Errand, FixedToken, Found, Matters, Report, Token, bootstrap,
};
use databridge_bridge::{Effect, OutsideSystem, Page, PushTask, Span, Start, StillMine};
use databridge_broker::async_nats::jetstream::kv;
use databridge_broker::{Broker, names};
use databridge_config::ConfigFolder;
use databridge_config::env::NatsEnv;
use databridge_model::{CollectionName, Fields, Op, OutcomeResult, PushRequest, RunId, Target, Value};
use databridge_nats_server::NatsServer;
use databridge_runtime::Clock;
use sandbox::calls::Counts;
use sandbox::client::{Answer, Consent};
use sandbox::clio::hand::{MatterPage, NewMatter};
use sandbox::openapi::Spec;
use sandbox::{Admin, ClioOptions, Sandbox, SandboxOptions};
use secrecy::SecretString;
use serde_json::Value as Json;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:8080/callback";
pub(crate) const WARRANT: &str = "Civil Warrant";
pub(crate) const STATUS: &str = "Court Status";

pub(crate) struct Office {
    pub(crate) admin: Admin,
    pub(crate) sandbox: Sandbox,
    pub(crate) broker: Broker,
    pub(crate) client: ClioClient,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) matters: Matters,
    pub(crate) system: ClioSystem,
    pub(crate) clock: Clock,
    _nats: NatsServer,
}

/// The result of a settled effect, the record's id and values, what was parked, and the calls.
pub(crate) struct Settled {
    pub(crate) result: OutcomeResult,
    pub(crate) shown: Option<databridge_bridge::Shown>,
    pub(crate) parked: std::collections::BTreeMap<String, String>,
    pub(crate) error: String,
    pub(crate) calls: u32,
}

impl Office {
    /// An office where bootstrap was run.
    pub(crate) async fn ready() -> Self {
        let office = Self::bare().await;
        office.bootstrap().await.unwrap();
        office.admin.reset_calls().await.unwrap();
        office
    }

    /// An office where nothing was made yet.
    pub(crate) async fn bare() -> Self {
        let clio = ClioOptions {
            rate_limit: Some(6_000),
            redirect_uris: vec![CALLBACK.to_owned()],
            ..ClioOptions::default()
        };
        let sandbox = Sandbox::start(SandboxOptions { clio, ..SandboxOptions::default() }).await.unwrap();
        let (admin, clock) = (sandbox.admin(), Clock::system());
        admin.record_traffic(true).await.unwrap();
        let nats = NatsServer::ephemeral_with(|options| options.sync_always = false).await.unwrap();
        let broker =
            Broker::connect(&NatsEnv::at(nats.url()), "clio-bridge", clock.clone(), Duration::from_secs(10))
                .await
                .unwrap();
        let bucket = kv::Config { bucket: names::FOUND.to_owned(), ..kv::Config::default() };
        broker.jetstream().create_or_update_key_value(bucket).await.unwrap();
        let token = FixedToken(Token::new(access_token(&sandbox).await));
        let client = ClioClient::new(&sandbox.url(), Arc::new(token), clock.clone()).unwrap();
        let matters = Matters::read(&config()).unwrap();
        let catalogue =
            Catalogue::open(&broker, client.clone(), &matters.settings, clock.clone()).await.unwrap();
        let catalogue = Arc::new(catalogue);
        let system = ClioSystem::new(matters.clone(), client.clone(), Arc::clone(&catalogue));
        Self { admin, sandbox, broker, client, catalogue, matters, system, clock, _nats: nats }
    }

    pub(crate) async fn bootstrap(&self) -> Result<Report, clio_bridge::BootstrapError> {
        let (found, report) = bootstrap(&self.client, &self.matters.settings, &self.clock).await?;
        self.catalogue.keep(found).await.unwrap();
        Ok(report)
    }

    pub(crate) async fn found(&self) -> Arc<Found> {
        self.catalogue.current(&Errand::patient()).await.unwrap()
    }

    pub(crate) fn collection() -> CollectionName {
        CollectionName::parse("matters").unwrap()
    }

    /// A matter of ours, made by a person.
    pub(crate) async fn add(&self, warrant: &str, values: &[(&str, &str)]) -> MatterPage {
        let mut custom_fields: std::collections::BTreeMap<_, _> =
            values.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        custom_fields.insert(WARRANT.to_owned(), Some(warrant.to_owned()));
        let matter = NewMatter {
            client: "NP Clinic Client".to_owned(),
            description: format!("File {warrant}"),
            group: Some("NP Clinic".to_owned()),
            practice_area: Some("Neighborhood Preservation".to_owned()),
            status: None,
            custom_fields,
        };
        self.admin.add_matter(&matter).await.unwrap()
    }

    /// The matters whose warrant this is, as a person sees them.
    pub(crate) async fn matters_of(&self, warrant: &str) -> Vec<MatterPage> {
        let all = self.admin.matters().await.unwrap();
        all.into_iter()
            .filter(|matter| matter.custom_fields.get(WARRANT) == Some(&Some(warrant.to_owned())))
            .collect()
    }

    pub(crate) async fn calls(&self) -> Counts {
        self.admin.calls().await.unwrap().clio
    }

    pub(crate) async fn begin(&self, span: Span, rested: Option<&clio_bridge::Place>) -> clio_bridge::Place {
        match self.system.start(&Self::collection(), &span, rested).await.unwrap() {
            Start::Listing(place) | Start::Nothing(place) => place,
        }
    }

    pub(crate) async fn page(&self, place: &clio_bridge::Place, most: usize) -> Page<clio_bridge::Place> {
        self.system.page(&Self::collection(), place, most).await.unwrap()
    }

    /// The one record of a matter, as a pull shows it.
    pub(crate) async fn pull(&self, id: i64) -> databridge_bridge::Shown {
        let page = self.system.by_ids(&Self::collection(), &[id.to_string()]).await.unwrap();
        page.records.into_iter().next().unwrap()
    }

    pub(crate) async fn effect(&self, push: PushRequest, doubtful: bool) -> Effect {
        let task = PushTask { push, doubtful, earlier: None, still_mine: StillMine(Arc::new(|| true)) };
        self.system.apply(&Self::collection(), vec![task]).await.remove(0)
    }

    pub(crate) async fn push(&self, push: PushRequest, doubtful: bool) -> Settled {
        match self.effect(push, doubtful).await {
            Effect::Settled { result, shown, parked, error, calls } => {
                Settled { result, shown, parked, error: error.map(|e| e.message).unwrap_or_default(), calls }
            }
            other => panic!("not settled: {other:?}"),
        }
    }

    /// No request was outside the sandbox's table of endpoints, nor outside Clio's specification where it is at hand.
    pub(crate) async fn kept_to_the_specification(&self) {
        assert_eq!(self.admin.strays().await.unwrap(), []);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/clio-openapi-relaxed.json");
        if !Path::new(file).exists() {
            println!("The traffic is not compared with Clio's specification, which is not at hand.");
            return;
        }
        let spec = Spec::read(Path::new(file)).unwrap();
        let traffic = self.admin.traffic().await.unwrap();
        assert!(traffic.iter().any(|one| one.path.starts_with("/api/v4/")));
        let wrong: Vec<_> = traffic.iter().flat_map(|one| spec.check(one)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

pub(crate) fn config() -> ConfigFolder {
    ConfigFolder::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config"))).unwrap()
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn fields(values: &[(&str, Value)]) -> Fields {
    values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// A create of a run that has listed everything.
pub(crate) fn create(warrant: &str, values: &[(&str, Value)]) -> PushRequest {
    let mut set = fields(values);
    set.insert(WARRANT.to_owned(), text(warrant));
    set.entry("description".to_owned()).or_insert_with(|| text("12 Main St"));
    PushRequest {
        parent: None,
        source: None,
        push: None,
        op: Op::Create,
        target: None,
        set,
        expect: Fields::new(),
        absent_in: Some(RunId(1)),
        run: None,
        why: String::new(),
    }
}

/// An update of a record that was shown so.
pub(crate) fn update(of: &databridge_bridge::Shown, values: &[(&str, Value)]) -> PushRequest {
    let set = fields(values);
    let expect =
        set.keys().map(|name| (name.clone(), of.fields.get(name).cloned().unwrap_or_default())).collect();
    PushRequest {
        parent: None,
        source: None,
        push: None,
        op: Op::Update,
        target: Some(Target { id: of.id.clone(), handle: of.handle.clone() }),
        set,
        expect,
        absent_in: None,
        run: None,
        why: String::new(),
    }
}

/// Consents as a person would and gives the access token.
pub(crate) async fn access_token(sandbox: &Sandbox) -> SecretString {
    let mut url = sandbox.url().join("oauth/authorize").unwrap();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", "sandbox-key"),
        ("redirect_uri", CALLBACK),
    ]);
    let Consent::Redirect(back) = sandbox.admin().consent(&url, Answer::Allow).await.unwrap() else {
        panic!("no redirect");
    };
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let form = [
        ("client_id", "sandbox-key"),
        ("client_secret", "sandbox-secret"),
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
    ];
    let http = databridge_http::client("test").unwrap();
    let answer = http.post(sandbox.url().join("oauth/token").unwrap()).form(&form).send().await.unwrap();
    let tokens: Json = answer.json().await.unwrap();
    SecretString::from(tokens.get("access_token").and_then(Json::as_str).unwrap().to_owned())
}

//! What the tests share: a law office with Clio, and the bridge beside it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clio_bridge::{
    Catalogue, ClioClient, ClioFile, ClioSystem, Errand, FixedToken, Found, ObjectStoreContents, Report,
    Token, bootstrap,
};
use databridge_bridge::{
    Earlier, Effect, Next, OutsideSystem, Page, PushTask, Shown, Span, Start, StillMine,
};
use databridge_broker::async_nats::jetstream::kv;
use databridge_broker::{Broker, names};
use databridge_config::ConfigFolder;
use databridge_config::env::NatsEnv;
use databridge_http::Budget;
use databridge_model::subject::Lane;
use databridge_model::{
    CollectionName, Fields, Op, OutcomeResult, Parked, PushId, PushRequest, RunId, Target, Value,
};
use databridge_nats_server::NatsServer;
use databridge_runtime::Clock;
use sandbox::calls::Counts;
use sandbox::client::{Answer, Consent};
use sandbox::clio::hand::{MatterPage, NewMatter};
use sandbox::openapi::Spec;
use sandbox::{Admin, ClioOptions, Sandbox, SandboxOptions};
use secrecy::SecretString;
use secret_search::Search;
use serde_json::Value as Json;
use url::Url;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:8080/callback";
pub(crate) const WARRANT: &str = "Civil Warrant";
pub(crate) const STATUS: &str = "Court Status";

pub(crate) struct Office {
    pub(crate) admin: Admin,
    pub(crate) sandbox: Sandbox,
    pub(crate) broker: Broker,
    pub(crate) client: ClioClient,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) file: ClioFile,
    pub(crate) system: ClioSystem,
    pub(crate) clock: Clock,
    // Before all that it searches.
    _search: Search,
    _nats: NatsServer,
}

/// The result of a settled effect, the record's id and values, what was parked, and the calls.
pub(crate) struct Settled {
    pub(crate) result: OutcomeResult,
    pub(crate) shown: Option<Shown>,
    pub(crate) parked: std::collections::BTreeMap<String, String>,
    pub(crate) error: String,
    pub(crate) field: Option<String>,
    pub(crate) calls: u32,
}

impl Settled {
    pub(crate) fn of(effect: Effect) -> Self {
        let Effect::Settled { result, shown, parked, error, calls } = effect else {
            panic!("not settled: {effect:?}");
        };
        let field = error.as_ref().and_then(|error| error.field.clone());
        Self { result, shown, parked, error: error.map(|e| e.message).unwrap_or_default(), field, calls }
    }
}

/// What one push comes to.
pub(crate) async fn effect(
    system: &ClioSystem,
    collection: &str,
    push: PushRequest,
    earlier: Option<Earlier>,
) -> Effect {
    effect_in(Lane::Live, system, collection, push, earlier).await
}

async fn effect_in(
    lane: Lane,
    system: &ClioSystem,
    collection: &str,
    push: PushRequest,
    earlier: Option<Earlier>,
) -> Effect {
    let still_mine = StillMine(Arc::new(|| true));
    let task = PushTask { push, lane, doubtful: earlier.is_some(), earlier, still_mine };
    system.apply(&CollectionName::parse(collection).unwrap(), vec![task]).await.remove(0)
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
        let token = FixedToken(Token::new(access_token(&admin, &sandbox.url()).await));
        let client = ClioClient::new(&sandbox.url(), Arc::new(token), Budget::none(), clock.clone()).unwrap();
        let file = ClioFile::read(&config()).unwrap();
        let catalogue =
            Catalogue::open(&broker, client.clone(), &file.settings, clock.clone()).await.unwrap();
        let catalogue = Arc::new(catalogue);
        let contents = Arc::new(ObjectStoreContents(broker.clone()));
        let system = ClioSystem::new(file.clone(), client.clone(), Arc::clone(&catalogue), contents).unwrap();
        let folder = nats.log_path().parent().unwrap().to_owned();
        let search = Search::new(Vec::new(), sandbox.secrets(), vec![folder]);
        Self { admin, sandbox, broker, client, catalogue, file, system, clock, _search: search, _nats: nats }
    }

    pub(crate) async fn bootstrap(&self) -> Result<Report, clio_bridge::BootstrapError> {
        let (found, report) = bootstrap(&self.client, &self.file.settings, &self.clock).await?;
        self.catalogue.keep(found).await.unwrap();
        Ok(report)
    }

    /// How many things a bootstrap finds or makes: group, practice area, client, calendar and the custom fields.
    pub(crate) fn wanted(&self) -> usize {
        4 + self.file.settings.custom_fields.len()
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

    /// A matter of ours that the bridge has seen, as it has each to which something is to be added.
    pub(crate) async fn add_seen(&self, warrant: &str) -> MatterPage {
        let matter = self.add(warrant, &[]).await;
        assert!(!self.pull(matter.id).await.deleted);
        self.admin.reset_calls().await.unwrap();
        matter
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
    pub(crate) async fn pull(&self, id: i64) -> Shown {
        let page = self.system.by_ids(&Self::collection(), &[id.to_string()]).await.unwrap();
        page.records.into_iter().next().unwrap()
    }

    /// A push by a lane.
    pub(crate) async fn push_in(&self, lane: Lane, collection: &str, push: PushRequest) -> Settled {
        Settled::of(effect_in(lane, &self.system, collection, push, None).await)
    }

    pub(crate) async fn effect(&self, push: PushRequest, doubtful: bool) -> Effect {
        let task = PushTask {
            push,
            lane: Lane::Live,
            doubtful,
            earlier: None,
            still_mine: StillMine(Arc::new(|| true)),
        };
        self.system.apply(&Self::collection(), vec![task]).await.remove(0)
    }

    pub(crate) async fn push(&self, push: PushRequest, doubtful: bool) -> Settled {
        Settled::of(self.effect(push, doubtful).await)
    }

    /// Everything that a complete listing of a collection shows.
    pub(crate) async fn listed(&self, collection: &str) -> (Vec<Shown>, Vec<Parked>) {
        let collection = CollectionName::parse(collection).unwrap();
        let start = self.system.start(&collection, &Span::Whole, None).await.unwrap();
        let Start::Listing(mut place) = start else { panic!("nothing is listed") };
        let (mut records, mut notices) = (Vec::new(), Vec::new());
        loop {
            let page = self.system.page(&collection, &place, 999).await.unwrap();
            records.extend(page.records);
            notices.extend(page.notices);
            match page.next {
                Next::More(next) => place = next,
                Next::End(_) => return (records, notices),
            }
        }
    }

    /// One record of a collection, as a look-up by its id shows it.
    pub(crate) async fn shown(&self, collection: &str, id: impl ToString) -> Shown {
        let collection = CollectionName::parse(collection).unwrap();
        self.system.by_ids(&collection, &[id.to_string()]).await.unwrap().records.remove(0)
    }

    /// A push to a collection, after an attempt of which nobody knows whether it was done.
    pub(crate) async fn effect_in(
        &self,
        collection: &str,
        push: PushRequest,
        earlier: Option<Earlier>,
    ) -> Effect {
        effect(&self.system, collection, push, earlier).await
    }

    /// The same, settled.
    pub(crate) async fn push_to(
        &self,
        collection: &str,
        push: PushRequest,
        earlier: Option<Earlier>,
    ) -> Settled {
        Settled::of(self.effect_in(collection, push, earlier).await)
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

/// The shipped system file. A bridge knows no routes, so there are none.
pub(crate) fn config() -> ConfigFolder {
    let (folder, file) = (tempfile::tempdir().unwrap(), "systems/clio.toml");
    for name in ["systems", "routes"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config")).join(file);
    std::fs::copy(shipped, folder.path().join(file)).unwrap();
    ConfigFolder::read(folder.path()).unwrap()
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

/// The id of a push of one link.
pub(crate) fn push_id(counter: u64) -> PushId {
    PushId { link: "litigation_notes.C-1".to_owned(), counter }
}

/// A create below a matter, as a link's first push.
pub(crate) fn create_below(matter: i64, values: &[(&str, Value)]) -> PushRequest {
    PushRequest {
        parent: Some(matter.to_string()),
        push: Some(push_id(1)),
        set: fields(values),
        ..create("", &[])
    }
}

/// A delete of a record that was shown so.
pub(crate) fn delete(of: &Shown) -> PushRequest {
    PushRequest { op: Op::Delete, ..update(of, &[]) }
}

/// An update of a record that was shown so.
pub(crate) fn update(of: &Shown, values: &[(&str, Value)]) -> PushRequest {
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
pub(crate) async fn access_token(admin: &Admin, clio: &Url) -> SecretString {
    let mut url = clio.join("oauth/authorize").unwrap();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", "sandbox-key"),
        ("redirect_uri", CALLBACK),
    ]);
    let Consent::Redirect(back) = admin.consent(&url, Answer::Allow).await.unwrap() else {
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
    let answer = http.post(clio.join("oauth/token").unwrap()).form(&form).send().await.unwrap();
    let tokens: Json = answer.json().await.unwrap();
    SecretString::from(tokens.get("access_token").and_then(Json::as_str).unwrap().to_owned())
}

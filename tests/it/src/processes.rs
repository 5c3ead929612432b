//! The services as processes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use databridge::office::Office;
use databridge_seal::ExposeSecret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::rights;

/// The names of the services.
pub const SERVICES: [&str; 4] = ["reconciler", "gis-bridge", "clio-bridge", "auth-service"];

/// What runs one service: a program, and what it is told before the service's name.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Its first arguments.
    pub first: Vec<String>,
    /// The folder for the services' logs, a file each; they go where the test's do if absent, and only if it is asked
    /// for them.
    pub logs: Option<PathBuf>,
}

impl Program {
    /// The program `service-under-test`: beside the program that runs, or above it where that is a test.
    pub(crate) fn under_test() -> anyhow::Result<Self> {
        Ok(Self { path: built("service-under-test")?, first: Vec::new(), logs: None })
    }
}

/// The running services.
#[derive(Debug)]
pub struct Processes {
    program: Program,
    environment: BTreeMap<String, String>,
    listen: SocketAddr,
    /// Whether each service signs in to NATS as itself.
    signs_in: bool,
    running: BTreeMap<&'static str, Child>,
}

impl Processes {
    /// Starts all services, by the program `service-under-test` unless another is given.
    pub fn start(
        office: &Office,
        config: &Path,
        listen: SocketAddr,
        program: Option<Program>,
    ) -> anyhow::Result<Self> {
        let environment = [
            ("NATS_URL", office.nats.nats_url.clone()),
            ("NATS_REPLICAS", office.nats.nats_replicas.to_string()),
            ("NATS_ACK_WAIT_SECONDS", office.nats.nats_ack_wait_seconds.to_string()),
            ("CLIO_URL", office.clio.clio_url.to_string()),
            ("CLIO_API_KEY", office.clio_app.clio_api_key.clone()),
            ("CLIO_API_SECRET", office.clio_app.clio_api_secret.expose_secret().to_owned()),
            ("CLIO_CALLBACK_URL", office.clio_app.clio_callback_url.to_string()),
            ("GIS_SERVICE_URL", office.gis.gis_service_url.to_string()),
            ("DATABRIDGE_KEY", office.key.databridge_key.expose_secret().to_owned()),
            ("DATABRIDGE_CONFIG", config.display().to_string()),
        ];
        let budgets = [
            ("CLIO_CALLS_PER_DAY", office.clio.clio_calls_per_day),
            ("GIS_CALLS_PER_DAY", office.gis.gis_calls_per_day),
        ];
        let budgets = budgets.into_iter().filter_map(|(name, calls)| Some((name, calls?.to_string())));
        let environment =
            environment.into_iter().chain(budgets).map(|(name, value)| (name.to_owned(), value)).collect();
        let signs_in = office.nats.nats_user.is_some();
        let program = program.map_or_else(Program::under_test, Ok)?;
        let mut processes = Self { program, environment, listen, signs_in, running: BTreeMap::new() };
        for service in SERVICES {
            processes.start_one(service, None)?;
        }
        Ok(processes)
    }

    /// Starts one service, with the order for a fail point if one is given: `kill:<name>`, `hold:<name>:<file>`.
    pub fn start_one(&mut self, service: &'static str, failpoint: Option<&str>) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program.path);
        command
            .args(&self.program.first)
            .arg(service)
            .arg("--listen")
            .arg(self.listen.to_string())
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        if let Some(logs) = &self.program.logs {
            let file = logs.join(format!("{service}.log"));
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(&file);
            command.stderr(opened.with_context(|| format!("{} cannot be written", file.display()))?);
            command.env("NO_COLOR", "1");
            if std::env::var_os("RUST_LOG").is_none() {
                command.env(
                    "RUST_LOG",
                    "info,databridge_http=trace,clio_bridge=trace,gis_bridge=trace,auth_service=trace",
                );
            }
        } else if std::env::var_os("TEST_LOG").is_none() {
            command.stderr(Stdio::null());
        }
        if self.signs_in {
            let password = rights::password(service);
            command.env("NATS_USER", service).env("NATS_PASSWORD", password.expose_secret());
        }
        if let Some(failpoint) = failpoint {
            command.env("DATABRIDGE_FAILPOINT", failpoint);
        }
        let child = command.spawn().with_context(|| format!("{service} cannot be started"))?;
        self.running.insert(service, child);
        Ok(())
    }

    /// Kills a service with SIGKILL.
    pub async fn kill(&mut self, service: &'static str) -> anyhow::Result<()> {
        let child = self.running.get_mut(service).with_context(|| format!("{service} does not run"))?;
        child.kill().await?;
        Ok(())
    }

    /// Waits until a service has died by itself, as a fail point makes it.
    pub async fn died(&mut self, service: &'static str) -> anyhow::Result<()> {
        let child = self.running.get_mut(service).with_context(|| format!("{service} does not run"))?;
        let status = tokio::time::timeout(Duration::from_secs(60), child.wait())
            .await
            .with_context(|| format!("{service} did not reach its fail point"))??;
        anyhow::ensure!(!status.success(), "{service} ended by itself: {status}");
        Ok(())
    }

    /// Whether a service still runs.
    pub fn is_alive(&mut self, service: &'static str) -> anyhow::Result<bool> {
        let child = self.running.get_mut(service).with_context(|| format!("{service} does not run"))?;
        Ok(child.try_wait()?.is_none())
    }

    /// Sends a signal to a service.
    pub fn signal(&self, service: &str, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid(service).with_context(|| format!("{service} does not run"))?;
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    /// The process id of a service.
    pub fn pid(&self, service: &str) -> Option<u32> {
        self.running.get(service).and_then(Child::id)
    }
}

/// A program of this package, as it was built with the one that runs.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let running = std::env::current_exe()?;
    let program =
        running.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
    program.with_context(|| format!("the program {name} is not built"))
}

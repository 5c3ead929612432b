//! Killing a service, or the broker, when the service comes to a fail point.

use std::path::PathBuf;

use anyhow::Context;

use crate::town::Town;
use crate::watch::until;

/// What is killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Victim {
    /// The service that is at the fail point.
    Service,
    /// The broker, while the service is there.
    Broker,
}

/// A service that is to come to a fail point.
pub(super) struct Trap {
    service: &'static str,
    /// The file that is there while the service is held at the point; `None` where it is killed at once.
    held: Option<PathBuf>,
    _folder: tempfile::TempDir,
}

impl Trap {
    /// Starts the service anew with the fail point.
    pub(super) async fn set(
        town: &mut Town,
        victim: Victim,
        service: &'static str,
        point: &str,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let held = folder.path().join("held");
        let (order, held) = match victim {
            Victim::Service => (format!("kill:{point}"), None),
            Victim::Broker => (format!("hold:{point}:{}", held.display()), Some(held)),
        };
        restart(town, service, Some(&order)).await?;
        Ok(Self { service, held, _folder: folder })
    }

    /// Whether the service has come to the fail point.
    pub(super) fn is_reached(&self, town: &mut Town) -> anyhow::Result<bool> {
        match &self.held {
            Some(held) => Ok(held.exists()),
            None => Ok(!town.processes.as_mut().context("no processes")?.is_alive(self.service)?),
        }
    }

    /// Waits until the service is there, sees to it that the victim dies by SIGKILL, and starts it anew.
    pub(super) async fn sprung(self, town: &mut Town) -> anyhow::Result<()> {
        let Some(held) = self.held else {
            let processes = town.processes.as_mut().context("no processes")?;
            processes.died(self.service).await?;
            return processes.start_one(self.service, None);
        };
        until("the service to be at the fail point", async || Ok(held.exists().then_some(()))).await?;
        town.nats.kill9()?;
        town.nats.restart().await?;
        Ok(std::fs::remove_file(&held)?)
    }
}

/// Kills a service and starts it anew, with the order for a fail point if one is given.
pub async fn restart(town: &mut Town, service: &'static str, failpoint: Option<&str>) -> anyhow::Result<()> {
    let processes = town.processes.as_mut().context("no processes")?;
    processes.kill(service).await?;
    processes.start_one(service, failpoint)
}

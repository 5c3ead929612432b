//! The sandbox as a server of its own.

mod person;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sandbox::city::{ACTIVE_LITIGATIONS, City};
use sandbox::data_layer::{DataLayerError, layer_from_file};
use sandbox::{ClioOptions, GisOptions, Sandbox, SandboxError, SandboxOptions};

use crate::person::{PersonArguments, PersonError};

/// Gives the same sample city at every start.
const CITY_SEED: u64 = 1;

/// Stands in for Clio Manage and for an ArcGIS feature service, for trials of Data Bridge.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The address to listen at.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8600")]
    listen: SocketAddr,
    /// A file whose rows become the layer of active litigations: CSV, a feature collection (RFC 7946), or saved
    /// answers of an ArcGIS query.
    #[arg(long, value_name = "FILE", conflicts_with = "litigations")]
    gis_data: Option<PathBuf>,
    /// How many litigations the sample city has.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    litigations: usize,
    /// How many attachments the sample city's litigations have together; three to five litigations if absent.
    #[arg(long, value_name = "N", conflicts_with = "gis_data")]
    attachments: Option<usize>,
    /// The size of each attachment of the sample city in bytes; small ones of different sizes if absent.
    #[arg(long, value_name = "BYTES", conflicts_with = "gis_data")]
    attachment_bytes: Option<u64>,
    /// How many of a hundred litigations of the sample city have notes.
    #[arg(long, value_name = "PERCENT", conflicts_with = "gis_data", value_parser = clap::value_parser!(u32).range(..=100))]
    notes: Option<u32>,
    /// How many of a hundred litigations of the sample city have a coming court date.
    #[arg(long, value_name = "PERCENT", conflicts_with = "gis_data", value_parser = clap::value_parser!(u32).range(..=100))]
    court_dates: Option<u32>,
    /// Makes the sample city's history a table without points.
    #[arg(long, conflicts_with = "gis_data")]
    history_table: bool,
    /// Clio's requests a minute and access token; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 50)]
    rate_limit: u32,
    /// The app's key in Clio.
    #[arg(long, value_name = "KEY", default_value_t = ClioOptions::default().client_id)]
    client_id: String,
    /// The app's secret in Clio.
    #[arg(long, value_name = "SECRET", default_value_t = ClioOptions::default().client_secret)]
    client_secret: String,
    /// A callback address that is registered for the app; may be repeated.
    #[arg(long = "redirect-uri", value_name = "URL")]
    redirect_uris: Vec<String>,
    /// Leaves out the foreign matters and the lookalike names.
    #[arg(long)]
    no_foreign: bool,
    /// A file that keeps the whole state over restarts.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

/// What to do but serve.
#[derive(Subcommand)]
enum Command {
    /// Connects Clio as a person would: asks Data Bridge for a one-time link, opens it and allows the access.
    Person(PersonArguments),
}

/// Why it did not go well.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Data(#[from] DataLayerError),
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[from] std::io::Error),
    #[error(transparent)]
    Person(#[from] PersonError),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), RunError> {
    if let Some(Command::Person(arguments)) = &arguments.command {
        return Ok(person::allow_access(arguments).await?);
    }
    let gis = match &arguments.gis_data {
        None => GisOptions::of_city(city(&arguments)),
        Some(file) => {
            let read = layer_from_file(file, ACTIVE_LITIGATIONS)?;
            for warning in &read.warnings {
                tracing::warn!("{}: {warning}", file.display());
            }
            GisOptions::layers(vec![read.layer])
        }
    };
    let mut clio = ClioOptions {
        client_id: arguments.client_id,
        client_secret: arguments.client_secret,
        rate_limit: (arguments.rate_limit > 0).then_some(arguments.rate_limit),
        seed_foreign: !arguments.no_foreign,
        ..ClioOptions::default()
    };
    if !arguments.redirect_uris.is_empty() {
        clio.redirect_uris = arguments.redirect_uris;
    }
    let callbacks = clio.redirect_uris.join(" or ");
    let credentials = (clio.client_id.clone(), clio.client_secret.clone());
    let options = SandboxOptions {
        listen: arguments.listen,
        clio,
        gis,
        keep: arguments.keep,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await?;
    announce(&sandbox, &credentials, &callbacks);
    stop_asked_for().await?;
    Ok(sandbox.stop().await?)
}

fn city(arguments: &Arguments) -> City {
    let usual = City::new(arguments.litigations, CITY_SEED);
    City {
        attachments: arguments.attachments.unwrap_or(usual.attachments),
        attachment_bytes: arguments.attachment_bytes,
        notes_percent: arguments.notes.unwrap_or(usual.notes_percent),
        court_dates_percent: arguments.court_dates.unwrap_or(usual.court_dates_percent),
        history_table: arguments.history_table,
        ..usual
    }
}

/// Waits for Ctrl-C or for the signal by which containers are stopped.
async fn stop_asked_for() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            asked = tokio::signal::ctrl_c() => asked,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn announce(sandbox: &Sandbox, (client_id, client_secret): &(String, String), callbacks: &str) {
    let url = sandbox.url();
    let root = url.as_str().trim_end_matches('/');
    let written = writeln!(
        std::io::stdout(),
        "The sandbox stands in for Clio and ArcGIS. Give Data Bridge these settings:

  CLIO_URL={root}
  CLIO_API_KEY={client_id}
  CLIO_API_SECRET={client_secret}
  CLIO_CALLBACK_URL={callbacks}
  GIS_SERVICE_URL={}

Its admin side, to look and edit as a person would:

  curl {root}/admin/calls
  curl {root}/admin/clio/matters
  curl {root}/admin/gis/layers/{ACTIVE_LITIGATIONS}/features
  curl {root}/admin/gis/layers/{ACTIVE_LITIGATIONS}/attachments
  curl -X POST {root}/admin/clock -H 'content-type: application/json' -d '{{\"advance_seconds\": 60}}'
  curl -X POST {root}/admin/faults -H 'content-type: application/json' \\
       -d '{{\"system\": \"clio\", \"method\": \"POST\", \"action\": {{\"kind\": \"applied_then_504\"}}}}'

Ctrl-C stops it.",
        sandbox.gis_service_url()
    );
    if let Err(error) = written {
        tracing::warn!("the addresses could not be printed: {error}");
    }
}

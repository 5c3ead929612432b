//! The sandbox as a server of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sandbox::city::ACTIVE_LITIGATIONS;
use sandbox::csv_layer::{CsvLayerError, layer_from_csv};
use sandbox::{ClioOptions, GisOptions, Sandbox, SandboxError, SandboxOptions};

/// Gives the same sample city at every start.
const CITY_SEED: u64 = 1;

/// Stands in for Clio Manage and for an ArcGIS feature service, for trials of Data Bridge.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The address to listen at.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8600")]
    listen: SocketAddr,
    /// A CSV file whose rows become the layer of active litigations.
    #[arg(long, value_name = "FILE", conflicts_with = "litigations")]
    gis_data: Option<PathBuf>,
    /// How many litigations the sample city has.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    litigations: usize,
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

/// Why the server could not run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Csv(#[from] CsvLayerError),
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[from] std::io::Error),
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
    let gis = match &arguments.gis_data {
        None => GisOptions::city(arguments.litigations, CITY_SEED),
        Some(file) => {
            let read = layer_from_csv(file, ACTIVE_LITIGATIONS)?;
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

//! `databridge serve`

use anyhow::Context;
use tokio::net::TcpListener;

use crate::cli::ServeArgs;
use crate::office::Office;

/// Runs all services until told to stop.
pub(crate) async fn run(args: &ServeArgs) -> anyhow::Result<bool> {
    let office = Office::from_environment()?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("{} cannot be listened on (--listen, AUTH_LISTEN)", args.listen))?;
    let stop = databridge_runtime::until_asked_to_stop()?;
    let services = office.open(listener, stop).await?;
    tracing::info!(page = %format!("http://{}/", args.listen), "All services are started.");
    services.until_closed().await?;
    Ok(true)
}

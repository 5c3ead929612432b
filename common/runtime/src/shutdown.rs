//! The order to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The process cannot be asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("signals cannot be received: {0}")]
pub struct SignalError(#[from] std::io::Error);

/// A token that is cancelled by the first SIGTERM or SIGINT. The second ends the process at once, with status 1.
pub fn until_asked_to_stop() -> Result<CancellationToken, SignalError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        for times in 0_u8.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if times > 0 {
                std::process::exit(1);
            }
            tracing::info!("Stopping; a second signal ends the process at once.");
            asked.cancel();
        }
    });
    Ok(token)
}

//! The beginning of a service's process.

use crate::{
    CancellationToken, LogFormat, SignalError, arm_failpoints_from_environment, init_telemetry,
    until_asked_to_stop,
};

/// What the process of every service does first: it sets up logs, arms the fail points and waits for signals. Gives
/// the token that the order to stop cancels.
pub fn begin_service() -> Result<CancellationToken, SignalError> {
    init_telemetry(LogFormat::Auto, "info");
    arm_failpoints_from_environment();
    until_asked_to_stop()
}

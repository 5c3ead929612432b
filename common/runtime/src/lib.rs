//! What every service's process needs: the clock, chance, shutdown, logs and fail points.

mod clock;
mod failpoint;
mod service;
mod shutdown;
mod telemetry;

pub use clock::Clock;
pub use failpoint::{arm_from_environment as arm_failpoints_from_environment, pass as pass_failpoint};
pub use service::begin_service;
pub use shutdown::{SignalError, until_asked_to_stop};
pub use telemetry::{LogFormat, init as init_telemetry};
pub use tokio_util::sync::CancellationToken;

use std::time::Duration;

/// The duration, made longer or shorter by up to a fifth by chance, so that many waiters do not come at once.
#[expect(clippy::disallowed_methods, reason = "this is the one place that chance comes from")]
pub fn jittered(duration: Duration) -> Duration {
    use rand::Rng;
    duration.mul_f64(rand::rng().random_range(0.8..1.2))
}

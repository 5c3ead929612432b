//! Trying a call again, where that is safe.

use std::time::Duration;

use databridge_runtime::jittered;

use crate::policy::{self, OnRead};
use crate::{CallError, ErrorClass};

/// How often and how long apart.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts in all.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from there.
    pub first_wait: Duration,
    /// The longest wait between two attempts.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 4, first_wait: Duration::from_millis(300), longest_wait: Duration::from_secs(8) }
    }
}

/// Makes a call that is safe to repeat, again after a transient failure. A limit is waited out at the gate and does
/// not count as an attempt, at most for `attempts` times in a row.
pub async fn with_retries<T, F>(policy: RetryPolicy, mut call: F) -> Result<T, CallError>
where
    F: AsyncFnMut() -> Result<T, CallError>,
{
    let (mut failed, mut limited) = (0, 0);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match policy::policy(error.class.failure()).read {
            // No gate waits for the next day.
            OnRead::Waits if error.class == ErrorClass::OverBudget => return Err(error),
            OnRead::Again => failed += 1,
            OnRead::Waits => limited += 1,
            OnRead::BreaksOff => return Err(error),
        }
        if failed >= policy.attempts || limited > policy.attempts {
            return Err(error);
        }
        let doubled = policy.first_wait.saturating_mul(1 << failed.saturating_sub(1).min(10));
        tracing::debug!(%error, attempt = failed, "A call failed and is tried again.");
        tokio::time::sleep(jittered(doubled.min(policy.longest_wait))).await;
    }
}

//! Speaking HTTP to outside systems: one way to make clients, to class what went wrong, and to keep within limits.

mod answer;
mod budget;
mod client;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gate;
pub mod policy;
mod retry;

pub use answer::{Answer, CallError, ErrorClass};
pub use budget::{Budget, Closed, DayCount, Ledger, LedgerError, Paid, Taken};
pub use client::{ClientError, client, upload_client};
pub use gate::{Gate, LimitReport, Pass};
pub use retry::{RetryPolicy, with_retries};

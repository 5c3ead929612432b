//! Fail points: places in a flow where a test can have the process killed or held. Inert in a release.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Passes a fail point, and the one of what is at hand there: `push.before-ack` and `push.before-ack@notes`.
pub fn pass(name: &str, what: impl Display) {
    if fail::has_failpoints() {
        hit(name);
        hit(&format!("{name}@{what}"));
    }
}

fn hit(name: &str) {
    fail::fail_point!(name);
    // The macro is empty without fail points.
    let _ = name;
}

/// Arms the fail point that `DATABRIDGE_FAILPOINT` names, if the binary was built with fail points.
///
/// - `kill:<name>` kills the process there with SIGKILL; `kill:<name>:<n>` when it comes there for the nth time.
/// - `hold:<name>:<file>` makes `<file>` when it comes there for the first time, and waits until it is gone.
pub fn arm_from_environment() {
    if !fail::has_failpoints() {
        return;
    }
    let Ok(order) = std::env::var("DATABRIDGE_FAILPOINT") else { return };
    let mut parts = order.splitn(3, ':');
    let armed = match (parts.next(), parts.next(), parts.next()) {
        (Some("kill"), Some(name), None) => fail::cfg_callback(name, kill_this_process),
        (Some("kill"), Some(name), Some(nth)) => match nth.parse() {
            Ok(nth) => kill_at_the_nth_time(name, nth),
            Err(_) => Err(format!("`{nth}` is no number of times")),
        },
        (Some("hold"), Some(name), Some(file)) => {
            let file = PathBuf::from(file);
            let held = AtomicBool::new(false);
            fail::cfg_callback(name, move || {
                if !held.swap(true, Ordering::Relaxed) {
                    hold(&file);
                }
            })
        }
        _ => Err("expected kill:<name>, kill:<name>:<n> or hold:<name>:<file>".to_owned()),
    };
    if let Err(error) = armed {
        tracing::error!(%error, order, "DATABRIDGE_FAILPOINT cannot be armed.");
    }
}

fn kill_at_the_nth_time(name: &str, nth: u32) -> Result<(), String> {
    let passed = AtomicU32::new(0);
    fail::cfg_callback(name, move || {
        if passed.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            kill_this_process();
        }
    })
}

fn kill_this_process() {
    let killed = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    if killed.is_err() {
        std::process::abort();
    }
}

fn hold(file: &std::path::Path) {
    if let Err(error) = std::fs::write(file, b"held") {
        tracing::error!(%error, "The fail point's file cannot be made.");
        return;
    }
    while file.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

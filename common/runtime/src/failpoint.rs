//! Fail points: places in a flow where a test can have the process killed or held. Inert in a release.

use std::sync::atomic::{AtomicBool, Ordering};

/// Arms the fail point that `DATABRIDGE_FAILPOINT` names, if the binary was built with fail points.
///
/// - `kill:<name>` kills the process there with SIGKILL.
/// - `hold:<name>:<file>` makes `<file>` when it comes there for the first time, and waits until it is gone.
pub fn arm_from_environment() {
    if !fail::has_failpoints() {
        return;
    }
    let Ok(order) = std::env::var("DATABRIDGE_FAILPOINT") else { return };
    let mut parts = order.splitn(3, ':');
    let armed = match (parts.next(), parts.next(), parts.next()) {
        (Some("kill"), Some(name), None) => fail::cfg_callback(name, kill_this_process),
        (Some("hold"), Some(name), Some(file)) => {
            let file = std::path::PathBuf::from(file);
            let held = AtomicBool::new(false);
            fail::cfg_callback(name, move || {
                if !held.swap(true, Ordering::Relaxed) {
                    hold(&file);
                }
            })
        }
        _ => Err("expected kill:<name> or hold:<name>:<file>".to_owned()),
    };
    if let Err(error) = armed {
        tracing::error!(%error, order, "DATABRIDGE_FAILPOINT cannot be armed.");
    }
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

//! Waiting until a started server serves clients.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const POLL: Duration = Duration::from_millis(10);
const GREETING_LIMIT: Duration = Duration::from_secs(2);
/// Far above the length of any INFO line, in bytes.
const GREETING_BYTES: u64 = 64 * 1024;

/// A server did not come to serve clients.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// It ended instead.
    Ended(ExitStatus),
    /// It took too long.
    Late,
    /// It could not be asked whether it still runs.
    Io(io::Error),
}

/// Waits until `server` has written its ports file, which it does when JetStream has recovered and its listeners are
/// open, and until it greets a client on `port` with JetStream on. Gives the address of its monitoring, if it has any.
///
/// The ports file carries the process id in its name: another process on the same port is not taken for this server.
pub(crate) fn wait(
    server: &mut Child,
    store_dir: &Path,
    port: u16,
    limit: Duration,
) -> Result<Option<String>, NotReady> {
    let ports_file = ports_file(store_dir, server.id());
    let started = Instant::now();
    loop {
        if let Some(status) = server.try_wait().map_err(NotReady::Io)? {
            return Err(NotReady::Ended(status));
        }
        // A file that is still being written is no JSON yet.
        let ports = fs::read(&ports_file).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if let Some(ports) = ports
            && greets_with_jetstream(port).unwrap_or(false)
        {
            return Ok(ports.pointer("/monitoring/0").and_then(Value::as_str).map(str::to_owned));
        }
        if started.elapsed() > limit {
            return Err(NotReady::Late);
        }
        thread::sleep(POLL);
    }
}

fn ports_file(store_dir: &Path, pid: u32) -> PathBuf {
    store_dir.join(format!("nats-server_{pid}.ports"))
}

/// Removes the ports files of earlier runs: a killed server leaves its own, and its process id may come again.
pub(crate) fn remove_ports_files(store_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(store_dir)? {
        let path = entry?.path();
        if path.extension() == Some("ports".as_ref()) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Reads the INFO line that a server sends first (client protocol, "INFO").
fn greets_with_jetstream(port: u16) -> io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, GREETING_LIMIT)?;
    stream.set_read_timeout(Some(GREETING_LIMIT))?;
    let mut line = String::new();
    BufReader::new(stream.take(GREETING_BYTES)).read_line(&mut line)?;
    let info = line.strip_prefix("INFO ").and_then(|json| serde_json::from_str::<Value>(json.trim()).ok());
    Ok(info.is_some_and(|info| info.get("jetstream") == Some(&Value::Bool(true))))
}

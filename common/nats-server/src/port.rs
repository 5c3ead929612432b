//! A free port that stays free over a restart.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the ports that Linux (32768 and up) and macOS (49152 and up) give to outgoing connections: one of those
/// could take the port of a server that is down for a moment.
const PORTS: Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 100;

/// A port on 127.0.0.1 that nobody listens on at this moment. Chosen at random, so that two processes asking at once
/// hardly ever get the same.
pub(crate) fn free() -> io::Result<u16> {
    for _ in 0..ATTEMPTS {
        // The keys of a RandomState are random; it needs no generator of our own.
        let random = RandomState::new().build_hasher().finish() % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(random).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let ports = [free().unwrap(), free().unwrap(), free().unwrap()];
        assert!(ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
        assert!(ports[0] != ports[1] || ports[1] != ports[2], "{ports:?}");
        let held: Vec<_> = ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port))).collect();
        assert!(held[0].is_ok());
    }
}

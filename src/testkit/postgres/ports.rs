//! Ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that systems give to outgoing connections, from 32,768 on Linux. A client that tries a stopped
/// server again and again could otherwise be given the server's own port, and be connected to itself.
const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that is free now, and that this process was not given before.
pub(super) fn free() -> u16 {
    // Processes that start one after the other begin their search apart.
    let start = std::process::id().wrapping_mul(37);
    let candidates = (0..COUNT).map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let mut ports = candidates.filter_map(|at| u16::try_from(FIRST + at).ok());
    let port = ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    port.expect("a free port between 10,000 and 30,000")
}

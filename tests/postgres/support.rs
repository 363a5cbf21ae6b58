//! What these tests ask of the machine.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use sidestream::{AggregateId, TransactionId};

/// Whether there is a process of this id. One that nobody has taken leave of counts as gone.
pub fn is_alive(id: u32) -> bool {
    let told =
        std::process::Command::new("ps").args(["-o", "state=", "-p", &id.to_string()]).output().unwrap();
    let state = String::from_utf8(told.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Waits until something is so.
pub fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until nothing of a server is left.
pub fn wait_until_gone(process: u32, folder: &Path) {
    wait_for("the server is gone", || !is_alive(process) && !folder.exists());
}

/// Runs a test on several threads, as a service does.
pub fn on_threads<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

pub fn account(name: &str) -> AggregateId {
    AggregateId::new(name).unwrap()
}

pub fn tx(name: impl fmt::Display) -> TransactionId {
    TransactionId::derive("test", &name.to_string())
}

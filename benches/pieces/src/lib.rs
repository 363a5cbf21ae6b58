//! What the benches share: an account's rules, commands, units, and stores to measure. All of it goes through the
//! crate's public API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench whose fixture fails has nothing to measure"
)]

pub mod account;
pub mod attempt;
pub mod grown;
pub mod holds;
pub mod memory;

use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread: no figure hangs on how the machine spreads threads.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

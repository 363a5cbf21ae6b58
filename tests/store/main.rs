//! Stores: the conformance suite on the store in memory, the suite itself, and the store with faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests: what fails panics"
)]

mod broken;
mod contract;
mod effort;
mod faults;
mod hooks;
mod memory;
mod placed;
mod several;
mod split;
mod split_suite;
mod sqlite;

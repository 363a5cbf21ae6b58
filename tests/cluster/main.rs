//! Workers that share the partitions of a store.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "tests: what fails panics"
)]

#[path = "../postgres/database.rs"]
#[allow(dead_code, reason = "not every test binary uses all of it")]
mod database;

mod book;
mod dice;
mod postgres;
mod real;
mod rebuild;

mod simulation;
#[cfg(unix)]
mod stopped;
mod takeover;
mod world;

/// Waits for something that must come; a minute is for ever.
async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| panic!("{what} do not come"))
}

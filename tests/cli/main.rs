//! The program `sidestream`, as a user runs it.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod bench;
mod bench_buffer;
mod bench_daemon;
#[cfg(unix)]
mod bench_postgres;
#[cfg(unix)]
mod copy;
#[cfg(unix)]
mod migrate;
#[cfg(unix)]
mod parked;
mod program;
#[cfg(unix)]
mod rebuild;

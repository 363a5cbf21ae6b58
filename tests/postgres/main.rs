//! PostgreSQL servers of the tests' own: they keep what they acknowledged, follow each other, and outlive nobody.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod conformance;
mod database;
mod left_behind;
mod quorum;
mod server;
mod support;

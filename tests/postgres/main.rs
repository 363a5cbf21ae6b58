//! PostgreSQL servers of the tests' own: they keep what they acknowledged, follow each other, and outlive nobody.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../../examples/payments/rules.rs"]
#[allow(dead_code, reason = "not every test binary uses all of the rules")]
mod rules;

mod bad_input;
mod conformance;
mod contention;
mod cut;
mod database;
mod dropped;
mod failover;
mod left_behind;
mod migrations;
mod notify;
mod plans;
mod proxy;
mod quorum;
mod roles;
mod rows;
mod server;
mod settlement;
mod support;

//! The command handler, seen from outside.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests: what fails panics"
)]

#[path = "../../examples/payments/rules.rs"]
#[allow(dead_code, reason = "not every test binary uses all of the rules")]
mod rules;

mod bounds;
mod compaction;
mod copies;
mod crash;
#[path = "../postgres/database.rs"]
#[allow(dead_code, reason = "not every test binary uses all of it")]
mod database;
mod deployments;
mod differential;
mod evolution;
mod front_door;
mod messages;
mod overtaken;
mod postgres;
mod presumption;
mod recovery;
mod several;
mod snapshots;
mod submitted;
mod support;

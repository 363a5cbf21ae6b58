//! Workers that share the partitions of a store.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests: what fails panics"
)]

mod book;
mod dice;
mod real;
mod simulation;
mod takeover;
mod world;

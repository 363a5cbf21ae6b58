//! What tests need: given/when/then and crash everywhere for deciders; the stores' conformance suite; a
//! store with scripted faults, and one whose answers are changed; canonical values; the effort of a
//! run; PostgreSQL servers of a test's own (with the feature `postgres`).
//!
//! It is public, so that authors of stores and of deciders test with what this crate tests itself with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a check that fails panics by design; this code runs in tests only"
)]

pub mod changed;
pub mod conformance;
pub mod controls;
pub mod crash;
pub mod effort;
pub mod faults;
pub mod given;
pub mod given_process;
pub mod inline;
#[cfg(all(unix, feature = "postgres"))]
pub mod postgres;
pub mod require;
mod runtime;

pub use runtime::{parallel, run};

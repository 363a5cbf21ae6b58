//! The exhaustive check of the side-stream protocol: the machine that the crate ships, run in every
//! interleaving that small bounds allow, with every property looked at in every state.
//!
//! `docs/model-check.md` says what is checked and how; the tests below `tests/` are the check.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a check that fails panics by design; this code runs in tests only"
)]

pub mod check;
pub mod fault;
pub mod model;
pub mod run;
pub mod setup;
pub mod sight;
pub mod solo;
pub mod streams;
pub mod without;
pub mod words;
pub mod world;

//! What is written stays readable: bytes, numbers and names, pinned for ever in `golden/`.
//!
//! A line that is there never changes. `SIDESTREAM_BLESS=new cargo test --test format` adds lines for what is
//! not pinned yet, and only that.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../../examples/payments/rules.rs"]
#[allow(dead_code, reason = "a program's module: not all of it is used here")]
mod account;

mod golden;
mod names;
mod payloads;
mod records;

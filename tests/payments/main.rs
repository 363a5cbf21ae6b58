//! The payments example, as a user runs it, and its rules.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../../examples/payments/rules.rs"]
#[allow(dead_code, reason = "a program's module: not all of it is used here")]
mod account;

mod age;
mod bad_input;
mod bad_store;
mod berka;
mod killed;
mod payroll;
#[cfg(unix)]
mod postgres;
mod program;
mod replay;
mod rules;

//! Process managers, seen from outside: transfers between accounts, and holds that expire.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests: what fails panics"
)]

#[path = "../../examples/transfers/account.rs"]
mod account;
#[path = "../../examples/transfers/audit.rs"]
mod audit;
#[path = "../../examples/transfers/expiry.rs"]
mod expiry;
#[path = "../../examples/transfers/transfer.rs"]
mod transfer;

mod chain;
mod crash;
mod deadlines;
mod expiring;
mod rules;
mod service;
mod support;
mod trouble;

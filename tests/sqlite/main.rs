//! What the SQLite store must do beyond the contract that all stores share: files, locks, crashes, damage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::as_conversions,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod backup;
mod basics;
mod bit_rot;
mod disk;
mod first_start;
mod full_disk;
mod index_damage;
mod kill;
mod lock;
mod rebuild;
mod refusals;
mod same_as_memory;
mod simulated_rows;
mod simulation;
mod steps;
mod support;
mod truncation;
mod wal_damage;
mod writer_thread;

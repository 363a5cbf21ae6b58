//! The daemon: the feed, projections, and what becomes of them when things fail.
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

#[path = "../../examples/payments/rules.rs"]
#[allow(dead_code, reason = "not every test binary uses all of the rules")]
mod rules;

mod crash;
mod elsewhere;
mod exactly_once;
mod faulty_view;
mod feed;
mod fencing;
mod handlers;
mod join;
mod joined;
mod journal;
mod ledger;
mod listing;
mod outage;
mod parking;
#[cfg(unix)]
mod postgres_rebuild;
#[cfg(unix)]
mod postgres_view;
mod rebuild;
mod rebuild_crash;
mod rebuild_joined;
mod rebuilder;
mod requests;
mod sqlite_view;
mod support;
mod waiting;

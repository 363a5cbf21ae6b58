//! The event buffer, seen from outside.
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

mod backlog;
mod bad_input;
mod collecting;
mod crash;
mod file;
mod http;
#[path = "../../examples/deliveries/http.rs"]
mod http_server;
mod nats;
#[path = "../../examples/deliveries/nats_server.rs"]
mod nats_server;
mod outage;
mod parking;
mod receiver;
mod sending;
mod support;

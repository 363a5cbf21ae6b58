//! `sidestream parked`: what a service has parked, listed and mended by another process.

mod aggregates;
mod messages;
pub mod service;
mod sqlite;
mod wrong;

//! Real PostgreSQL servers of a test's own, from the programs that are installed: one server, or a primary and
//! its standbys in quorum replication.
//!
//! Each server has a folder, a port and a data directory of its own, and never outlives the test: see
//! [`Server`]. Nothing here touches a server that was there before.

mod account;
mod binaries;
mod configuration;
mod instance;
mod keeper;
mod options;
mod ports;
mod process;
mod psql;
mod quorum;
mod server;
mod template;
mod waiting;

pub use binaries::Binaries;
pub use options::{ServerOptions, StopMode};
pub use quorum::Quorum;
pub use server::Server;

//! A race between writers that die and a projection that must miss nothing: what each event's fate was is read from the log
//! in the end.
//!
//! ```text
//! cargo run --release --example race                                  100,000 events in a temporary SQLite store
//! cargo run --release --example race -- --store sqlite:events.db --events 1000000
//! cargo run --release --example race -- --store postgres://USER@HOST/DATABASE --writers 4 --events 1000000 \
//!     --abort 0.1 --kill 0.001
//! ```
//!
//! Writers are processes. They append in transactions that are delayed, undone on purpose or dropped half way, and they
//! are killed at random. So is the process that projects; on PostgreSQL its successor comes, every other time, while it
//! still runs. SQLite has one writing process, so the same one projects. The last line is JSON; the program fails when an
//! event was missed, doubled or out of order.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "a program for people; release builds check overflow"
)]

mod arguments;
mod chance;
mod parent;
mod place;
mod project;
mod truth;
mod write;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Role};

/// Anything that ends the program.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("race: {failure}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool, Failure> {
    match arguments.role {
        None => parent::race(arguments).await,
        Some(Role::Write) => write::process(&arguments).await.map(|()| true),
        Some(Role::Project) => project::process(&arguments).await.map(|()| true),
        Some(Role::Both) => project::both(&arguments).await.map(|()| true),
    }
}

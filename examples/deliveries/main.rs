//! Messages that a service sends while it is killed at random, to a receiver that does everything wrong; in the end, what
//! came is compared with what was recorded.
//!
//! ```text
//! cargo run --release --example deliveries -- --messages 100000 --seed 1
//! cargo run --release --example deliveries -- --messages 20000 --sink nats
//! cargo run --release --example deliveries -- --messages 20000 --sink file --store sqlite:log.db
//! ```
//!
//! The service is a process of its own, killed with SIGKILL and started anew; on a store in memory it is a task, which
//! dies as well. The HTTP receiver answers 5xx and 429, hangs, closes connections after it has taken a message, and is
//! down for a while, in which most commands are handled; a NATS server is killed for that long. A table for people goes to
//! stderr; the last line, on stdout, is JSON. The program fails when a message was lost, came out of order, or came
//! under an id that has another content, and when the backlog's depth was not what was recorded and had not come.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "a program for people; release builds check overflow"
)]

mod audit;
mod body;
mod chance;
mod course;
mod http;
mod nats_server;
mod options;
mod receiver;
mod report;
mod rules;
mod service;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

/// Anything that ends the program: its text says what happened, where, and what to do.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.as_service {
        Some(address) => service::until_told(&options, address).await.map(|()| true),
        None => course::run(options).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

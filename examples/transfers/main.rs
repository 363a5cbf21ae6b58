//! Transfers between accounts that lie in several databases, by a service that is killed again and again: the money is
//! added up at every crash, and in the end each transfer is done or undone.
//!
//! The service is a process of its own. It carries transfers on ([`transfer`]), releases holds that expire ([`expiry`]), and
//! begins new transfers, until it is killed with SIGKILL at a random moment; then the auditor looks at the stores, and the
//! next one is started. A table for people goes to stderr; the last line, on stdout, is JSON. The program fails when money
//! was made or lost at any look, or when a transfer is half done in the end, or anything was done twice.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "a program for people; release builds check overflow"
)]

mod account;
mod audit;
mod client;
mod expiry;
mod options;
mod parent;
mod place;
mod report;
mod service;
mod transfer;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

/// Anything that ends the program.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.life {
        Some(life) => service::live(&options, life).await.map(|()| true),
        None => parent::run(options).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("transfers: {failure}");
            ExitCode::from(2)
        }
    }
}

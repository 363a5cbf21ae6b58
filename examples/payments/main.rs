//! A payment service's commands, each handled exactly once: on the embedded store, or on PostgreSQL.
//!
//! ```text
//! cargo run --release --example payments                      a payroll day, with a crash in the middle
//! cargo run --release --example payments -- replay FILE --store PATH --check
//! cargo run --release --example payments -- age --store PATH
//! cargo run --release --example payments -- payroll --store postgres://USER@HOST/DATABASE
//! cargo run --release --example payments -- --help
//! ```
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "a program for people; release builds check overflow"
)]

mod age;
mod balances;
mod bank;
mod ledger;
mod payday;
mod payroll;
mod replay;
mod rules;
mod show;
mod store;
mod views;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::store::Choice;

/// Anything that ends the program: its text says what happened, where, and what to do.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(
    name = "payments",
    about = "Payments on sidestream: every command exactly once, through any crash",
    after_help = "Examples:\n  \
        payments                                          a payroll day on ./payments.db\n  \
        payments replay berka.csv --store bank.db --check  real bank data against the bank's own balances\n  \
        payments age --store age.db                       a hold on accounts of different ages\n  \
        payments payroll --store postgres://pay@db/pay    the same on PostgreSQL, as every command here"
)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// A payroll day: hundreds of commands, a third of them sent more than once, a crash, recovery.
    Payroll {
        /// The store's file, made where there is none; or `postgres://USER@HOST/DATABASE`.
        #[arg(long, default_value = "payments.db")]
        store: Choice,
    },
    /// Replays a bank's transactions and compares every balance with the bank's.
    Replay(replay::Arguments),
    /// Measures one account at different ages.
    Age(age::Arguments),
    /// The part of the payroll day that crashes: a process of its own.
    #[command(hide = true)]
    Crash {
        #[arg(long)]
        store: Choice,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("payments: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Option<Task>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let payroll = |store| Task::Payroll { store };
    match task.unwrap_or_else(|| payroll(Choice::from("payments.db"))) {
        Task::Payroll { store } => runtime.block_on(payroll::run(&store)),
        Task::Replay(arguments) => runtime.block_on(replay::run(&arguments)),
        Task::Age(arguments) => runtime.block_on(age::run(&arguments)),
        Task::Crash { store } => runtime.block_on(payroll::crash(&store)),
    }
}

//! Workers that share the partitions of a store, killed and stopped at random; in the end, every view is compared with
//! the log.
//!
//! ```text
//! cargo run --release --example workers                                    20 seconds on a temporary SQLite store
//! cargo run --release --example workers -- --store sqlite:log.db --workers 4
//! cargo run --release --example workers -- --store postgres://USER@HOST/DATABASE --workers 8 --seconds 120
//! ```
//!
//! On PostgreSQL each worker is a process: they are killed with SIGKILL, stopped with SIGSTOP for three lease times, told
//! to leave, and started anew. One process owns a SQLite store, so there workers are tasks, which die and leave only. A
//! table for people goes to stderr; the last line, on stdout, is JSON. The program fails when an event was missed, applied
//! twice or out of order.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "a program for people; release builds check overflow"
)]

mod audit;
mod fleet;
mod options;
mod report;
mod service;
mod store;
mod views;
mod watcher;
mod writer;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::fleet::Fleet;
use crate::options::Options;
use crate::store::Choice;
use crate::views::Views;
use crate::watcher::Watcher;

/// Anything that ends the program: its text says what happened, where, and what to do.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.as_worker {
        Some(name) => service::until_told(&options, name).await.map(|()| true),
        None => show(options).await,
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

async fn show(mut options: Options) -> Result<bool, Failure> {
    let directory = tempfile::tempdir()?;
    options.views.get_or_insert_with(|| directory.path().join("views"));
    let choice = options.store.clone().unwrap_or_else(|| Choice::Sqlite(directory.path().join("log.db")));
    options.store = Some(choice.clone());
    let store = choice.open(options.partitions).await?;
    let views = Views::open(&options, store.properties().partitions.get()).await?;
    let options = Arc::new(options);
    let writer = writer::start(Arc::clone(&store), options.rate);
    let watcher = Watcher::start(Arc::clone(&store))?;
    let mut fleet = Fleet::new(Arc::clone(&options), Arc::clone(&store), views.clone());
    let end = tokio::time::Instant::now() + Duration::from_secs(options.seconds);
    fleet.fill().await?;
    let mut evens = vec![watcher.even(&fleet.names()).await?];
    while tokio::time::Instant::now() < end {
        tokio::time::sleep_until(end.min(tokio::time::Instant::now() + fleet.pause())).await;
        fleet.happen(&watcher).await?;
    }
    let written = writer.stop().await?;
    fleet.calm().await?;
    evens.push(watcher.even(&fleet.names()).await?);
    fleet.one_leaves().await?;
    evens.push(watcher.even(&fleet.names()).await?);
    fleet.fill().await?;
    evens.push(watcher.even(&fleet.names()).await?);
    let audited = audit::until_caught_up(&*store, &views).await;
    let told = fleet.end().await;
    let takeovers = watcher.end().await;
    let report = report::Report::new(written, &audited?, &told, (takeovers, evens));
    Ok(report.show(&told))
}

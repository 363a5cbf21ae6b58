//! `sidestream bench buffer`: what messages cost commands, and how fast they are sent.

mod commands;
mod options;
mod publish;
mod report;
mod teller;

pub(crate) use options::BufferOptions;

use crate::cli::bench::buffer::report::Report;
use crate::cli::bench::place::Place;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};

/// Measures, and prints the report.
pub(super) async fn run(options: &BufferOptions) -> Result<(), Failure> {
    let (_, run) = SystemClock.new_id().as_u64_pair();
    let place = Place::choose(&options.store, false, run)?;
    let store = Store::open(&place).await?;
    store.note(run).await?;
    let commands = commands::measure(&store.shared(), options, run).await?;
    // What was just written is not to be in memory.
    let store = store.reopen(&place).await?;
    let published = publish::measure(&store.shared(), options, run).await?;
    let report = Report { store: store.kind(), accounts: options.accounts, commands, published };
    store.close().await?;
    print(&report, options.json)
}

#[allow(clippy::print_stdout, reason = "the report is what the program is for")]
fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json { serde_json::to_string(report)? } else { report.show() };
    println!("{text}");
    Ok(())
}

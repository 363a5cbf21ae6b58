//! `sidestream bench`: how many durable commands a second, how long each takes, and what they cost.

mod account;
mod age;
mod bodies;
mod crew;
mod figures;
mod floor;
mod latency;
mod machine;
mod measure;
mod options;
mod ours;
mod place;
mod plan;
mod progress;
mod report;
mod runs;
mod shift;
mod side;
mod stores;
mod table;
mod together;

pub(super) use options::Options;

use crate::cli::failure::Failure;
use report::Report;

/// Measures, and prints the report.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    options.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    let report = runtime.block_on(measure::all(options))?;
    print(&report, options.json)
}

#[allow(clippy::print_stdout, reason = "the report is what the program is for")]
fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json { serde_json::to_string(report)? } else { table::show(report) };
    println!("{text}");
    Ok(())
}

//! `sidestream bench`: how many durable commands a second, how long each takes, and what they cost.

mod account;
mod age;
mod bodies;
mod buffer;
mod counts;
mod crew;
mod daemon;
mod database;
mod figures;
mod floor;
mod floor_postgres;
mod floor_queue;
mod floor_sqlite;
mod here;
mod latency;
mod load;
mod machine;
mod measure;
mod open_steps;
mod options;
mod ours;
mod place;
mod plan;
mod progress;
mod report;
mod restart;
mod rows;
mod runs;
mod shift;
mod side;
mod stores;
mod table;
mod victim;
mod worker;
mod workers;

pub(super) use options::Options;

use crate::cli::bench::options::Part;
use crate::cli::bench::place::Place;
use crate::cli::bench::plan::Plan;
use crate::cli::bench::report::Report;
use crate::cli::failure::Failure;

/// Measures, and prints the report.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    options.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(Part::Daemon(options)) = &options.part {
        return runtime.block_on(daemon::run(options));
    }
    if let Some(Part::Buffer(options)) = &options.part {
        return runtime.block_on(buffer::run(options));
    }
    if options.until_killed {
        return runtime.block_on(victim::write(options));
    }
    if options.worker {
        return runtime.block_on(worker::work(options));
    }
    let plan = Plan::new(options);
    let place = Place::choose(&options.store, options.floor, plan.run())?;
    let mut report = runtime.block_on(measure::all(options, plan, &place))?;
    if options.open_steps > 0 {
        report.recovery = runtime.block_on(open_steps::measure(options, &place))?;
    }
    if let Some(path) = place.store().filter(|_| options.restart) {
        report.restart = restart::measure(options, path, &runtime)?;
    }
    print(&report, options.json)
}

#[allow(clippy::print_stdout, reason = "the report is what the program is for")]
fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json { serde_json::to_string(report)? } else { table::show(report) };
    println!("{text}");
    Ok(())
}

//! `sidestream bench daemon`: how fast projections catch up with a long log.

mod balances;
mod fill;
mod measure;
mod options;
mod rebuild;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use options::DaemonOptions;

use crate::cli::bench::account::Account;
use crate::cli::bench::daemon::report::Report;
use crate::cli::bench::place::{Place, remove_database};
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::decider::Decider;
use crate::feed::Selection;
use crate::store::EventStore;

/// Fills, measures, and prints the report.
pub(super) async fn run(options: &DaemonOptions) -> Result<(), Failure> {
    options.check()?;
    let (_, run) = SystemClock.new_id().as_u64_pair();
    let place = Place::choose(&options.store, false, run)?;
    let store = Store::open(&place).await?;
    store.note(run).await?;
    let shared = store.shared();
    fill::fill(&shared, options).await?;
    // What was just written is not to be in memory.
    drop(shared);
    let store = store.reopen(&place).await?;
    let report = measure(&store, options, &place, run).await;
    store.close().await?;
    print(&report?, options.json)
}

async fn measure(store: &Store, options: &DaemonOptions, place: &Place, run: u64) -> Result<Report, Failure> {
    let (kind, store) = (store.kind(), store.shared());
    let events = fill::length(&store).await?;
    // The store's own mark is no account's event.
    let all = Selection::all().category(Account::CATEGORY)?;
    let feed = measure::feed(&store, &all).await?;
    let handler = measure::handler(&store, &all).await?;
    let view = if options.view { Some(view(&store, place, run).await?) } else { None };
    let types: Vec<_> = fill::RARE.into_iter().take(usize::from(options.types)).collect();
    let rare = if types.is_empty() { None } else { Some(measure::rare(&store, &types).await?) };
    for found in [Some(feed), Some(handler), view].into_iter().flatten() {
        check(found.events, feed.events)?;
    }
    rare.map_or(Ok(()), |rare| check(rare.events, rare.rows_read))?;
    let rebuild =
        if options.rebuild { Some(rebuild::rebuild(&store, feed.events, options).await?) } else { None };
    let partitions = store.properties().partitions.get();
    let (unit_events, accounts) = (options.unit_events, options.accounts);
    Ok(Report { store: kind, events, unit_events, accounts, partitions, feed, handler, view, rare, rebuild })
}

/// The view lies beside the store, or in a directory of its own, and is removed.
async fn view(store: &Arc<dyn EventStore>, place: &Place, run: u64) -> Result<report::Rate, Failure> {
    let name = format!("sidestream-view-{run:016x}.db");
    let path: PathBuf = match place.store().and_then(Path::parent) {
        Some(folder) => folder.join(name),
        None => std::env::temp_dir().join(name),
    };
    let rate = measure::view(store, &path).await;
    remove_database(&path);
    rate
}

fn check(found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::Run(format!("{found} events took effect, and {expected} were read: report this")))
}

#[allow(clippy::print_stdout, reason = "the report is what the program is for")]
fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json { serde_json::to_string(report)? } else { report.show() };
    println!("{text}");
    Ok(())
}

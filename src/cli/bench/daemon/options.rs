//! What a run is told.

use crate::cli::bench::options::{StoreChoice, parse_store};
use crate::cli::failure::Failure;

/// Measures how fast projections catch up with a long log, over all partitions at once.
///
/// The store is filled first, in bulk, past the commands. A handler is then given every event, and does nothing with it;
/// with --view it keeps the balance of each account in a SQLite file beside the store; with --types it is given rare
/// events only, which the index by type finds; with --rebuild a view in memory is made anew beside the live one by one
/// worker and by several, in turns. Every count is checked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DaemonOptions {
    /// `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `memory`. The store of an earlier run is filled up to --events.
    /// Without this, a store in a temporary directory (of TMPDIR), removed at the end.
    #[arg(long, value_name = "STORE", default_value = "temporary", hide_default_value = true, value_parser = parse_store)]
    pub(super) store: StoreChoice,

    /// Events that the log has, at least.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000_000))]
    pub(super) events: u64,

    /// Events of one commit's unit: what one command decides, without the records of its side stream.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) unit_events: u32,

    /// Accounts that the events belong to.
    #[arg(long, value_name = "A", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) accounts: u32,

    /// Fills a view of balances, too.
    #[arg(long)]
    pub(super) view: bool,

    /// Reads this many rare event types, too, which have 1,600 of the events together.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    pub(super) types: u8,

    /// Makes a view anew, too, by one thread for handlers and by --workers of them.
    #[arg(long)]
    pub(super) rebuild: bool,

    /// What an event costs the handler of a rebuild, in microseconds of a processor.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub(super) cost_us: u64,

    /// Threads that a rebuild is compared with one on.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = parse_workers)]
    pub(super) workers: usize,

    /// Prints one line of JSON and nothing else.
    #[arg(long)]
    pub(super) json: bool,
}

impl DaemonOptions {
    /// Refuses what no run can do.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if u64::from(self.unit_events) > self.events {
            return Err(Failure::Call("--unit-events is more than --events; choose less".to_owned()));
        }
        Ok(())
    }
}

fn parse_workers(text: &str) -> Result<usize, String> {
    let workers = text.parse().ok().filter(|workers| (1..=64).contains(workers));
    workers.ok_or_else(|| "expected 1 to 64".to_owned())
}

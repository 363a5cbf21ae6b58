//! What is told at the end. The names of the fields are an interface: programs read them.

use serde::Serialize;

use crate::cli::bench::counts::Counts;
use crate::cli::bench::figures::{figure, median};
use crate::cli::bench::machine;
use crate::cli::bench::options::{Ids, Options, StoreChoice};
use crate::cli::bench::side::Side;

/// Everything that was measured. What was not asked for, or cannot be known, is null.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// `sqlite`, `postgres` or `memory`.
    pub(super) store: &'static str,
    pub(super) processes: u32,
    pub(super) clients: u32,
    pub(super) in_flight: u32,
    pub(super) accounts: u32,
    pub(super) commands: u64,
    pub(super) ids: Ids,
    pub(super) duplicates: f64,
    pub(super) hot: bool,
    pub(super) lists: bool,
    pub(super) age: u64,
    pub(super) cold: bool,
    pub(super) seed: u64,
    /// Commands that repeated an earlier one.
    pub(super) repeated: u64,
    /// Commands that were sent again because others wrote first each time (`Contended`).
    pub(super) contended: u64,
    /// Commands that were sent again after another failure.
    pub(super) errors: u64,
    /// The measured time.
    pub(super) seconds: f64,
    pub(super) commands_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
    pub(super) commits: Option<u64>,
    pub(super) commits_per_second: Option<f64>,
    /// Commands that wrote, for each commit.
    pub(super) commands_per_commit: Option<f64>,
    /// User and system time of this process, or of all that shared the load, in the measured time.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) cpu_us_per_command: Option<f64>,
    /// Of the whole process, the bare loop included, or the sum of those that shared the load.
    pub(super) peak_memory_bytes: Option<u64>,
    /// Growth of the files or tables, after the last checkpoint, for each command that wrote.
    pub(super) bytes_per_command: Option<f64>,
    /// Records that loads and scans of accounts read, for each command; snapshots not counted.
    pub(super) rows_read_per_command: f64,
    /// Snapshots that were written.
    pub(super) snapshots: u64,
    /// Commands a second in each tenth of the run.
    pub(super) parts: Vec<f64>,
    /// The first load of the aged account, from a handler that does not know it.
    pub(super) cold_load_ms: Option<f64>,
    /// Records that this load read, the snapshot not counted.
    pub(super) cold_load_rows: Option<u64>,
    #[serde(flatten)]
    pub(super) floor: FloorReport,
    #[serde(flatten)]
    pub(super) recovery: RecoveryReport,
    #[serde(flatten)]
    pub(super) restart: RestartReport,
}

/// The bare loop's figures, and ours by them.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct FloorReport {
    /// Median over the rounds of our commands a second by the bare loop's.
    pub(super) floor_ratio: Option<f64>,
    /// The same of each round.
    pub(super) floor_ratios: Option<Vec<f64>>,
    /// Median over the rounds of our median time by the bare loop's.
    pub(super) floor_p50_ratio: Option<f64>,
    /// Our bytes for each command by the bare loop's.
    pub(super) bytes_ratio: Option<f64>,
    pub(super) floor_commands_per_second: Option<f64>,
    pub(super) floor_p50_ms: Option<f64>,
    pub(super) floor_p99_ms: Option<f64>,
    pub(super) floor_p999_ms: Option<f64>,
    pub(super) floor_commits_per_second: Option<f64>,
    pub(super) floor_commands_per_commit: Option<f64>,
    pub(super) floor_cpu_seconds: Option<f64>,
    pub(super) floor_bytes_per_command: Option<f64>,
    pub(super) floor_parts: Option<Vec<f64>>,
}

/// What recovering open steps took.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct RecoveryReport {
    /// Steps that were left open.
    pub(super) open_steps: Option<u64>,
    /// Events after them on each account.
    pub(super) tail: Option<u64>,
    /// From the call of `recover` on a store that was just opened to its end.
    pub(super) recover_seconds: Option<f64>,
    pub(super) recover_settled: Option<u64>,
    /// Records after the requests' versions, summed over the steps; those of an account share a scan.
    pub(super) recover_scanned: Option<u64>,
    /// Records of accounts that were read for it, each as often as it was read.
    pub(super) recover_rows_read: Option<u64>,
}

/// What a start after a kill took.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct RestartReport {
    /// From opening the store to the first answer.
    pub(super) restart_seconds: Option<f64>,
    /// The part of it that opening took.
    pub(super) restart_open_seconds: Option<f64>,
    /// The write-ahead log that the killed process left.
    pub(super) restart_wal_bytes: Option<u64>,
}

/// The first load of an aged account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ColdLoad {
    pub(super) milliseconds: f64,
    pub(super) rows: u64,
}

impl Report {
    pub(super) fn new(options: &Options, ours: Side, counts: Counts, cold: Option<ColdLoad>) -> Self {
        Self {
            store: name(&options.store),
            processes: options.processes,
            clients: options.clients,
            in_flight: options.in_flight,
            accounts: options.used_accounts(),
            commands: ours.commands,
            ids: options.ids,
            duplicates: options.duplicates,
            hot: options.hot,
            lists: options.lists,
            age: options.age,
            cold: options.cold,
            seed: options.seed,
            repeated: ours.commands.saturating_sub(ours.written),
            contended: counts.contended,
            errors: counts.errors,
            seconds: ours.seconds(),
            commands_per_second: ours.rate(),
            p50_ms: ours.latency.at(0.5),
            p99_ms: ours.latency.at(0.99),
            p999_ms: ours.latency.at(0.999),
            max_ms: ours.latency.at(1.0),
            commits: ours.commits,
            commits_per_second: ours.commits_per_second(),
            commands_per_commit: ours.batch(),
            cpu_seconds: ours.cpu_seconds,
            cpu_us_per_command: ours.cpu_seconds.map(|seconds| seconds * 1e6 / figure(ours.commands)),
            peak_memory_bytes: if options.processes > 1 {
                counts.peak_memory_bytes
            } else {
                machine::peak_memory_bytes()
            },
            bytes_per_command: ours.bytes_per_command(),
            rows_read_per_command: figure(counts.rows) / figure(ours.commands),
            snapshots: counts.snapshots,
            parts: ours.parts,
            cold_load_ms: cold.map(|cold| cold.milliseconds),
            cold_load_rows: cold.map(|cold| cold.rows),
            floor: FloorReport::default(),
            recovery: RecoveryReport::default(),
            restart: RestartReport::default(),
        }
    }
}

fn name(store: &StoreChoice) -> &'static str {
    match store {
        StoreChoice::Temporary | StoreChoice::Sqlite(_) => "sqlite",
        StoreChoice::Postgres(_) => "postgres",
        StoreChoice::Memory => "memory",
    }
}

impl FloorReport {
    pub(super) fn new(ours: &Side, floor: Side) -> Self {
        let ratios = ratios(&ours.rates, &floor.rates);
        Self {
            floor_ratio: median(ratios.clone()),
            floor_ratios: Some(ratios),
            floor_p50_ratio: median(self::ratios(&ours.medians, &floor.medians)),
            bytes_ratio: ours
                .bytes_per_command()
                .zip(floor.bytes_per_command())
                .map(|(ours, floor)| ours / floor),
            floor_commands_per_second: Some(floor.rate()),
            floor_p50_ms: Some(floor.latency.at(0.5)),
            floor_p99_ms: Some(floor.latency.at(0.99)),
            floor_p999_ms: Some(floor.latency.at(0.999)),
            floor_commits_per_second: floor.commits_per_second(),
            floor_commands_per_commit: floor.batch(),
            floor_cpu_seconds: floor.cpu_seconds,
            floor_bytes_per_command: floor.bytes_per_command(),
            floor_parts: Some(floor.parts),
        }
    }
}

/// Ours by the bare loop's, pair by pair.
fn ratios(ours: &[f64], floor: &[f64]) -> Vec<f64> {
    ours.iter().zip(floor).filter(|(_, floor)| **floor > 0.0).map(|(ours, floor)| ours / floor).collect()
}

//! What was measured, for people and for programs.

use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use sidestream_peers_load::words::{Check, Opened, Round};

use crate::Arguments;
use crate::peers::Kind;
use crate::round::Run;

#[derive(Serialize)]
pub struct Report<'a> {
    directory: &'a Path,
    /// Writing 4 KiB to the end of a file and syncing it, the median, in milliseconds.
    sync_ms: f64,
    cpus: usize,
    accounts: u32,
    clients: u32,
    in_flight: u32,
    peers: Vec<Row<'a>>,
}

/// One peer. Medians are over its rounds.
#[derive(Serialize)]
struct Row<'a> {
    peer: Kind,
    #[serde(flatten)]
    opened: &'a Opened,
    rounds: &'a [Round],
    commands_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    retries: u64,
    checks: &'a [Check],
    /// Sidestream's rate through this one's, the median of each round's; none without sidestream.
    sidestream_is_times_faster: Option<f64>,
}

impl<'a> Report<'a> {
    pub fn new(arguments: &Arguments, directory: &'a Path, sync: Duration, runs: &'a [Run]) -> Self {
        let ours = runs.iter().find(|run| run.kind == Kind::Sidestream);
        Self {
            directory,
            sync_ms: sync.as_secs_f64() * 1_000.0,
            cpus: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            accounts: arguments.accounts,
            clients: arguments.clients,
            in_flight: arguments.in_flight,
            peers: runs.iter().map(|run| Row::new(run, ours)).collect(),
        }
    }

    pub fn print(&self) {
        println!(
            "{} clients with {} in flight each, {} accounts, {} CPUs; stores in {}, where a synced 4 KiB write takes {:.2} ms",
            self.clients,
            self.in_flight,
            self.accounts,
            self.cpus,
            self.directory.display(),
            self.sync_ms
        );
        println!("{}", self.table());
        println!("ratio: sidestream's commands/s through the peer's, the median of the rounds' ratios");
        for row in &self.peers {
            println!(
                "{}: {}; {}",
                row.peer.name(),
                row.opened.versions.join(", "),
                row.opened.notes.join("; ")
            );
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        let rounds = self.peers.iter().map(|row| row.rounds.len()).max().unwrap_or(0);
        let mut heading = vec!["peer".to_owned()];
        heading.extend((1..=rounds).map(|round| format!("round {round}")));
        heading.extend(["commands/s", "p50 ms", "p99 ms", "retries", "ratio"].map(str::to_owned));
        table.set_header(heading);
        for row in &self.peers {
            table.add_row(row.cells());
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

impl<'a> Row<'a> {
    fn new(run: &'a Run, ours: Option<&Run>) -> Self {
        let of = |value: fn(&Round) -> f64| median(run.rounds.iter().map(value).collect());
        let ratios =
            |ours: &Run| ours.rounds.iter().zip(&run.rounds).map(|(a, b)| a.rate() / b.rate()).collect();
        Self {
            peer: run.kind,
            opened: &run.opened,
            rounds: &run.rounds,
            commands_per_second: of(Round::rate),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            retries: run.rounds.iter().map(|round| round.retries).sum(),
            checks: &run.checks,
            sidestream_is_times_faster: ours.map(|ours| median(ratios(ours))),
        }
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.peer.name().to_owned()];
        cells.extend(self.rounds.iter().map(|round| format!("{:.0}", round.rate())));
        cells.push(format!("{:.0}", self.commands_per_second));
        cells.push(format!("{:.2}", self.p50_ms));
        cells.push(format!("{:.2}", self.p99_ms));
        cells.push(self.retries.to_string());
        cells.push(self.sidestream_is_times_faster.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")));
        cells
    }
}

/// Of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        many if many % 2 == 1 => values[many / 2],
        many => f64::midpoint(values[many / 2 - 1], values[many / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}

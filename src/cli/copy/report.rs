//! What a copy did, for people and for programs.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::store::transfer::{Places, Report as Moved, ReportedPartition};

/// The names of the fields are an interface: programs read them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    from: String,
    to: String,
    /// An earlier run had moved the store; this one did nothing.
    was_moved: bool,
    partitions: Vec<Partition>,
    /// Records of the store.
    records: u64,
    /// Those that this run copied.
    copied: u64,
    open_steps: u64,
    /// Guarded rows, removed ones too.
    rows: u64,
    floors: u64,
    seconds: f64,
    /// How long neither store took writes.
    sealed_seconds: f64,
    records_per_second: f64,
    verified: bool,
}

#[derive(Debug, Serialize)]
struct Partition {
    partition: usize,
    head: u64,
    records: u64,
    hash: String,
}

impl Report {
    /// The report on a move; without one an earlier run had done it.
    pub(super) fn new(moved: Option<Moved>, took: Duration, places: &Places) -> Self {
        let (from, to, was_moved) = (places.source.clone(), places.target.clone(), moved.is_none());
        let nothing = Moved {
            partitions: vec![],
            copied: 0,
            floors: 0,
            open_steps: 0,
            rows: 0,
            closed: Duration::ZERO,
            verified: false,
        };
        let Moved { partitions, copied, floors, open_steps, rows, closed, verified } =
            moved.unwrap_or(nothing);
        let records = partitions.iter().fold(0_u64, |sum, each| sum.saturating_add(each.records));
        let of = |(partition, each): (usize, ReportedPartition)| Partition {
            partition,
            head: each.head.get(),
            records: each.records,
            hash: each.hash,
        };
        Self {
            from,
            to,
            was_moved,
            partitions: partitions.into_iter().enumerate().map(of).collect(),
            records,
            copied,
            open_steps,
            rows,
            floors,
            seconds: took.as_secs_f64(),
            sealed_seconds: closed.as_secs_f64(),
            records_per_second: figure(copied) / took.as_secs_f64().max(0.001),
            verified,
        }
    }

    pub(super) fn show(&self, json: bool) -> Result<String, Failure> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        if self.was_moved {
            return Ok(format!("{} was moved to {} before; nothing was done", self.from, self.to));
        }
        Ok(format!("{}\nmoved to {}; {} is sealed", self.table(), self.to, self.from))
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["copy", ""]);
        let rows = [
            ("partitions", self.partitions.len().to_string()),
            ("records, all compared", self.records.to_string()),
            ("records copied by this run", self.copied.to_string()),
            ("open steps", self.open_steps.to_string()),
            ("rows", self.rows.to_string()),
            ("streams with removed records", self.floors.to_string()),
            ("seconds", format!("{:.1}", self.seconds)),
            ("of them sealed", format!("{:.1}", self.sealed_seconds)),
            ("records/s, compared too", format!("{:.0}", self.records_per_second)),
        ];
        for (what, figure) in rows {
            table.add_row([what.to_owned(), figure]);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }
}

/// A count as a figure to divide by; what is beyond 2³² is rounded.
fn figure(count: u64) -> f64 {
    let (high, low) = (count >> 32, count & 0xffff_ffff);
    let part = |part: u64| f64::from(u32::try_from(part).unwrap_or(u32::MAX));
    part(high) * 4_294_967_296.0 + part(low)
}

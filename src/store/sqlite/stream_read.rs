//! Reading parts of streams.

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::event::{Record, RecordKind};
use crate::limits;
use crate::store::sqlite::index::entry::Append;
use crate::store::sqlite::index::live::{Live, Recent, Sealed};
use crate::store::sqlite::index::lookup;
use crate::store::sqlite::row::{self, PAGE_BYTES};
use crate::store::sqlite::truncation;
use crate::store::stream_key::StreamKey;
use crate::store::{StreamPage, StreamRead};
use crate::stream::{StreamName, Version};
use std::sync::Arc;

/// Reads several streams as of one moment.
pub(super) fn pages(connection: &Connection, live: &Live, reads: &[StreamRead]) -> Vec<Result<StreamPage>> {
    let keyed: Vec<_> = reads.iter().map(|read| (StreamKey::of(&read.stream), read)).collect();
    let (recent, sealed) = live.look(&keyed);
    let any_floor = match truncation::any_floor(connection) {
        Ok(any) => any,
        Err(error) => return reads.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut bytes_left = PAGE_BYTES;
    let pages = keyed.into_iter().zip(recent).map(|((key, read), recent)| {
        let floor = if any_floor { truncation::floor(connection, &read.stream) } else { Ok(Version::EMPTY) };
        floor
            .and_then(|floor| page(connection, &sealed, key, (read, floor), recent, &mut bytes_left))
            .map_err(|error| error.in_stream(&read.stream))
    });
    pages.collect()
}

fn page(
    connection: &Connection,
    sealed: &Arc<Sealed>,
    key: StreamKey,
    (read, floor): (&StreamRead, Version),
    recent: Recent,
    bytes_left: &mut usize,
) -> Result<StreamPage> {
    let located = lookup::locate(connection, sealed, &key, read, floor, recent)?;
    let Some(mut located) = located else { return Ok(StreamPage::empty()) };
    let head = located.head;
    let snapshot = located.snapshot.map(|append| snapshot(connection, &read.stream, append)).transpose()?;
    let limit = read.limit.min(limits::PAGE_RECORDS);
    let mut scan = Scan { stream: &read.stream, limit, bytes_left, last: located.after, records: Vec::new() };
    while !scan.is_full()
        && scan.last < head
        && let Some(append) = located.next(connection)?
    {
        scan.append(connection, append)?;
    }
    if !scan.is_full() && scan.last < head {
        return Err(gap(scan.last.next(), head));
    }
    Ok(StreamPage { floor, head, snapshot, records: scan.records })
}

/// A page that fills.
struct Scan<'a> {
    stream: &'a StreamName,
    limit: usize,
    bytes_left: &'a mut usize,
    /// The version before the next one.
    last: Version,
    records: Vec<Record>,
}

impl Scan<'_> {
    /// A page holds at least one record, however large.
    fn is_full(&self) -> bool {
        self.records.len() >= self.limit || (*self.bytes_left == 0 && !self.records.is_empty())
    }

    /// Takes the records of one append, as far as there is room.
    fn append(&mut self, connection: &Connection, append: Append) -> Result<()> {
        let row = row::read(connection, append.row)?;
        let row = row.ok_or_else(|| gap(self.last.next(), format_args!("no row {}", append.row)))?;
        let next = self.last.next();
        let body = row.parse().map_err(|error| row::unreadable(self.stream, next, error))?;
        let stored = body.of(self.stream.as_str()).ok_or_else(|| elsewhere(append.row))?;
        let mut records = body.records(stored);
        records.skip_to(self.last)?;
        for record in records {
            if self.is_full() {
                break;
            }
            let record = record?;
            if record.version != self.last.next() {
                return Err(gap(self.last.next(), record.version));
            }
            self.last = record.version;
            *self.bytes_left = self.bytes_left.saturating_sub(record.payload.len());
            let before = stored.before.saturating_add(record.version.since(stored.first));
            self.records.push(row.record(self.stream.clone(), before, record));
        }
        Ok(())
    }
}

fn snapshot(connection: &Connection, stream: &StreamName, append: Append) -> Result<Record> {
    let version = Version::new(append.last);
    let row = row::read(connection, append.row)?;
    let row = row.ok_or_else(|| Error::corrupt("a record is missing").expected("a snapshot", "no row"))?;
    let body = row.parse().map_err(|error| row::unreadable(stream, version, error))?;
    let stored = body.of(stream.as_str()).ok_or_else(|| elsewhere(append.row))?;
    let mut records = body.records(stored);
    records.skip_to(Version::new(append.last.saturating_sub(1)))?;
    let record = records.next().ok_or_else(|| elsewhere(append.row))??;
    if record.version != version || record.data.kind != RecordKind::Snapshot {
        return Err(elsewhere(append.row));
    }
    let before = stored.before.saturating_add(version.since(stored.first));
    Ok(row.record(stream.clone(), before, record))
}

fn gap(expected: Version, found: impl std::fmt::Display) -> Error {
    Error::corrupt("a record is missing").expected(format!("version {expected}"), found)
}

fn elsewhere(row: u64) -> Error {
    Error::corrupt(format!("row {row} of the log does not hold what the index says"))
        .advice("open the store with `rebuild_index` to make the indexes anew")
}

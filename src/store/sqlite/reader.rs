//! Reading, on one connection.
//!
//! A reader sees only durable units. In WAL mode the frames of a commit become visible when the header of
//! the wal-index is rewritten; in SQLite's `walFrames` that is the last step, after the sync of the
//! WAL has returned (`sqlite3OsSync`, then `walIndexAppend`, then `walIndexWriteHdr`), because the
//! writer runs with `synchronous=FULL`. The one exception is a wal-index that is rebuilt from the file, after
//! a crash, when the page cache may hold frames that the disk does not: see `recovery.rs`.

use std::collections::BTreeSet;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{EventType, Record};
use crate::limits;
use crate::partition::{PartitionCount, PartitionId};
use crate::store::sqlite::key::StreamKey;
use crate::store::sqlite::names::Dictionary;
use crate::store::sqlite::{failure, place, row, steps};
use crate::store::{LogPage, OpenStep, OpenStepsRead, ReadFrom, StreamPage, StreamRead};
use crate::stream::{Position, StreamName, Version};

const STREAM_AFTER: &str = include_str!("sql/stream_after.sql");
const SNAPSHOT_BEFORE: &str = include_str!("sql/snapshot_before.sql");
const LOG_AFTER: &str = include_str!("sql/log_after.sql");
const RECORD_AT: &str = include_str!("sql/record_at.sql");
const PLACES_OF_TYPE: &str = include_str!("sql/places_of_type.sql");
const HEAD: &str = include_str!("sql/head.sql");
const FLOOR: &str = include_str!("sql/floor.sql");
const PARTITION: &str = include_str!("sql/partition.sql");

/// Most bytes of payload that one call returns beyond the first record of each stream: a page of 4,096
/// records of 1 MiB each would not fit into memory. A page cut short says so by its head.
const PAGE_BYTES: usize = 16 << 20;

/// A connection that reads.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    names: Dictionary,
    partitions: PartitionCount,
}

impl Reader {
    pub(super) fn new(connection: Connection, partitions: PartitionCount) -> Self {
        Self { connection, names: Dictionary::default(), partitions }
    }

    /// Reads several streams in one snapshot.
    pub(super) fn streams(&mut self, reads: &[StreamRead]) -> Vec<Result<StreamPage>> {
        let result = self.snapshot(|reader| {
            let mut bytes_left = PAGE_BYTES;
            Ok(reads.iter().map(|read| reader.stream(read, &mut bytes_left)).collect())
        });
        result.unwrap_or_else(|error| reads.iter().map(|_| Err(error.clone())).collect())
    }

    /// Reads a partition's log.
    pub(super) fn log(&mut self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        self.snapshot(|reader| {
            let head = reader.partition_head(partition)?;
            let (from, end) = (place::clamped(partition, after), place::end(partition));
            let limit = limit.min(limits::PAGE_RECORDS);
            let mut scan = Scan::new(None, limit);
            scan.run(&reader.connection, &mut reader.names, LOG_AFTER, params![from, end, one_more(limit)])?;
            scan.log_page(after, head)
        })
    }

    /// Reads the records of some types of a partition's log.
    pub(super) fn types(
        &mut self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        self.snapshot(|reader| {
            let head = reader.partition_head(partition)?;
            let limit = limit.min(limits::PAGE_RECORDS);
            let places = reader.places(partition, types, after, limit)?;
            let mut scan = Scan::new(None, limit);
            for place in places {
                if scan.cut {
                    break;
                }
                scan.run(&reader.connection, &mut reader.names, RECORD_AT, params![place])?;
            }
            scan.log_page(after, head)
        })
    }

    /// Lists open steps not touched after `until`.
    pub(super) fn open_steps(&mut self, read: &OpenStepsRead, until: Timestamp) -> Result<Vec<OpenStep>> {
        self.snapshot(|reader| steps::page(&reader.connection, read, until))
    }

    /// Runs `read` in one read transaction, which ends with it: a long one would keep the WAL from
    /// starting over.
    fn snapshot<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let fail = |source| failure::of("a read transaction", source);
        self.connection.execute_batch("BEGIN").map_err(fail)?;
        let result = read(self);
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").map_err(fail)?;
        }
        result
    }

    fn stream(&mut self, read: &StreamRead, bytes_left: &mut usize) -> Result<StreamPage> {
        let key = StreamKey::of(&read.stream);
        let (floor, head) = bounds(&self.connection, &key).map_err(|error| error.in_stream(&read.stream))?;
        let stream = (&read.stream, &key);
        let snapshot = match read.from {
            ReadFrom::SnapshotBefore(before) => self.snapshot_before(stream, before)?,
            ReadFrom::After(_) => None,
        };
        let after = match (read.from, &snapshot) {
            (ReadFrom::After(version), _) => version.max(floor),
            (_, Some(snapshot)) => snapshot.version,
            (_, None) => floor,
        };
        let limit = read.limit.min(limits::PAGE_RECORDS);
        let mut scan = Scan { bytes_left: *bytes_left, last: Some(after), ..Scan::new(Some(stream), limit) };
        let parameters = params![key.bytes, signed(after), i64::try_from(limit).unwrap_or(0)];
        scan.run(&self.connection, &mut self.names, STREAM_AFTER, parameters)
            .map_err(|error| error.in_stream(&read.stream))?;
        *bytes_left = scan.bytes_left;
        let records = scan.checked(head, limit)?;
        Ok(StreamPage { floor, head, snapshot, records })
    }

    fn snapshot_before(
        &mut self,
        stream: (&StreamName, &StreamKey),
        before: Version,
    ) -> Result<Option<Record>> {
        let mut scan = Scan::new(Some(stream), 1);
        let parameters = params![stream.1.bytes, signed(before)];
        scan.run(&self.connection, &mut self.names, SNAPSHOT_BEFORE, parameters)
            .map_err(|error| error.in_stream(stream.0))?;
        scan.failure.map_or(Ok(scan.records.pop()), Err)
    }

    fn partition_head(&self, partition: PartitionId) -> Result<Position> {
        if partition.get() >= self.partitions.get() {
            return Err(no_partition(partition, self.partitions));
        }
        partition_row(&self.connection, partition)
            .map(|(head, _)| head)
            .map_err(|source| failure::of("reading a partition's head", source))
    }

    /// The places of the first records of any of `types`, one more than `limit`. Each type's index is
    /// read for as long as it can still contribute.
    fn places(
        &mut self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<BTreeSet<i64>> {
        let fail = |source| failure::of("reading the index by type", source);
        let mut places = BTreeSet::new();
        let (from, mut end) = (place::clamped(partition, after), place::end(partition));
        for event_type in types {
            let Some(id) = self.names.types.find(&self.connection, event_type).map_err(fail)? else {
                continue;
            };
            let parameters = params![id, from, end, one_more(limit)];
            let mut statement = self.connection.prepare_cached(PLACES_OF_TYPE).map_err(fail)?;
            let mut rows = statement.query(parameters).map_err(fail)?;
            while let Some(found) = rows.next().map_err(fail)? {
                places.insert(row::get(found, 0)?);
            }
            while places.len() > limit.saturating_add(1) {
                places.pop_last();
            }
            if places.len() > limit {
                end = places.last().copied().unwrap_or(end);
            }
        }
        Ok(places)
    }
}

/// The rows of one query, decoded as far as the bounds and the rows allow.
struct Scan<'a> {
    stream: Option<(&'a StreamName, &'a StreamKey)>,
    limit: usize,
    bytes_left: usize,
    records: Vec<Record>,
    /// Records follow that are not here.
    cut: bool,
    /// Why the next record is not here, where it cannot be read.
    failure: Option<Error>,
    /// The version before the next one, where versions must follow each other.
    last: Option<Version>,
}

impl<'a> Scan<'a> {
    fn new(stream: Option<(&'a StreamName, &'a StreamKey)>, limit: usize) -> Self {
        let records = Vec::new();
        Self { stream, limit, bytes_left: PAGE_BYTES, records, cut: false, failure: None, last: None }
    }

    fn run(
        &mut self,
        connection: &Connection,
        names: &mut Dictionary,
        sql: &str,
        parameters: impl Params,
    ) -> Result<()> {
        let fail = |source| failure::of("reading records", source);
        let mut statement: CachedStatement<'_> = connection.prepare_cached(sql).map_err(fail)?;
        let mut rows = statement.query(parameters).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            self.cut = self.is_full() || self.failure.is_some();
            if self.cut {
                break;
            }
            match row::record(connection, names, self.stream, row) {
                Ok(record) => self.push(record),
                Err(error) => self.failure = Some(error),
            }
        }
        Ok(())
    }

    /// A page holds at least one record, however large.
    fn is_full(&self) -> bool {
        self.records.len() >= self.limit || (self.bytes_left == 0 && !self.records.is_empty())
    }

    fn push(&mut self, record: Record) {
        self.bytes_left = self.bytes_left.saturating_sub(record.data.payload.len());
        if let (Some((stream, _)), Some(last)) = (self.stream, self.last.as_mut()) {
            if record.version != last.next() {
                self.failure = Some(gap(stream, last.next(), record.version));
                return;
            }
            *last = record.version;
        }
        self.records.push(record);
    }

    /// The records of a stream, none of which may be missing before `head`.
    fn checked(self, head: Version, limit: usize) -> Result<Vec<Record>> {
        let missing = self.last.is_some_and(|last| last < head) && self.records.len() < limit;
        match (self.failure, self.stream, self.last) {
            (Some(error), ..) => Err(error),
            (None, Some((stream, _)), Some(last)) if missing && !self.cut => {
                Err(gap(stream, last.next(), head))
            }
            _ => Ok(self.records),
        }
    }

    /// What can be read before a record that cannot is a page of its own; then the log stops there, by
    /// name, and never steps over it.
    fn log_page(self, after: Position, head: Position) -> Result<LogPage> {
        let last = self.records.last().map_or(after, |record| record.position);
        match self.failure {
            Some(error) if self.records.is_empty() => Err(error),
            Some(_) => Ok(LogPage { records: self.records, read_to: last, head }),
            None => {
                let read_to = if self.cut { last } else { head.max(after) };
                Ok(LogPage { records: self.records, read_to, head })
            }
        }
    }
}

fn gap(stream: &StreamName, expected: Version, found: Version) -> Error {
    Error::corrupt("a record is missing").in_stream(stream).expected(format!("version {expected}"), found)
}

/// The error for a partition that the store does not have.
pub(super) fn no_partition(partition: PartitionId, count: PartitionCount) -> Error {
    Error::invalid(format!("partition {partition} does not exist"))
        .expected(format!("below {count}"), partition)
}

/// A stream's floor and head.
pub(super) fn bounds(connection: &Connection, key: &StreamKey) -> Result<(Version, Version)> {
    let read = |sql: &str| -> rusqlite::Result<Option<i64>> {
        connection.prepare_cached(sql)?.query_row([&key.bytes], |row| row.get(0)).optional()
    };
    let version = |sql| {
        let found = read(sql).map_err(|source| failure::of("reading a stream's head", source))?;
        Ok(found.map_or(Version::EMPTY, |version| Version::new(version.cast_unsigned())))
    };
    let floor = version(FLOOR)?;
    let head: Version = version(HEAD)?;
    Ok((floor, head.max(floor)))
}

/// A partition's last position and last time.
pub(super) fn partition_row(
    connection: &Connection,
    partition: PartitionId,
) -> rusqlite::Result<(Position, Timestamp)> {
    connection.prepare_cached(PARTITION)?.query_row([partition.get()], |row| {
        let head: i64 = row.get(0)?;
        Ok((Position::new(head.cast_unsigned()), Timestamp::from_micros(row.get(1)?)))
    })
}

/// A version as SQLite compares it. None above the largest signed number is ever stored.
fn signed(version: Version) -> i64 {
    i64::try_from(version.get()).unwrap_or(i64::MAX)
}

fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

//! A sorted run: entries in blocks of a page each, a directory of the blocks, and a filter.
//!
//! Directory and filter are kept in memory, about 1 % and 1.8 bytes an entry; they are blocks of the run too, so
//! that a start needs no look at the entries.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::{Error, Result};
use crate::store::sqlite::failure;
use crate::store::sqlite::index::block::{BlockReader, unseal};
use crate::store::sqlite::index::cache::BlockCache;
use crate::store::sqlite::index::entry::{Append, Entry};
use crate::store::sqlite::index::filter::Filter;
use crate::store::stream_key::StreamKey;

const BLOCK: &str = include_str!("../sql/block.sql");
const RUNS: &str = include_str!("../sql/runs.sql");

/// Where in a block's id its run stands.
const RUN_SHIFT: u32 = 32;

/// The id of a run's block.
pub(in crate::store::sqlite) fn block_id(run: u64, number: u64) -> i64 {
    (run << RUN_SHIFT | number).cast_signed()
}

/// The run that a block belongs to.
pub(in crate::store::sqlite) fn run_of(block: i64) -> u64 {
    block.cast_unsigned() >> RUN_SHIFT
}

/// What is stored of a run apart from its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::sqlite) struct RunRow {
    pub(in crate::store::sqlite) id: u64,
    /// 0 for the run of one table; one more than those it was merged from.
    pub(in crate::store::sqlite) level: u64,
    /// The stretch of the log that it covers.
    pub(in crate::store::sqlite) first_row: u64,
    pub(in crate::store::sqlite) last_row: u64,
    pub(in crate::store::sqlite) entry_blocks: u64,
    pub(in crate::store::sqlite) directory_blocks: u64,
    pub(in crate::store::sqlite) filter_blocks: u64,
    /// Most keys it can hold.
    pub(in crate::store::sqlite) keys: u64,
    /// The highest transaction id of its side streams.
    pub(in crate::store::sqlite) newest: u128,
}

impl RunRow {
    fn parse(row: &Row<'_>) -> rusqlite::Result<Self> {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Self {
            id: number(0)?,
            level: number(1)?,
            first_row: number(2)?,
            last_row: number(3)?,
            entry_blocks: number(4)?,
            directory_blocks: number(5)?,
            filter_blocks: number(6)?,
            keys: number(7)?,
            newest: u128::from_be_bytes(row.get(8)?),
        })
    }

    pub(in crate::store::sqlite) fn blocks(&self) -> u64 {
        self.entry_blocks.saturating_add(self.directory_blocks).saturating_add(self.filter_blocks)
    }
}

/// The runs that are stored, the oldest first.
pub(in crate::store::sqlite) fn stored(connection: &Connection) -> Result<Vec<RunRow>> {
    let read = || -> rusqlite::Result<Vec<RunRow>> {
        connection.prepare_cached(RUNS)?.query_map([], RunRow::parse)?.collect()
    };
    read().map_err(|source| failure::of("reading the index's runs", source))
}

/// A sorted run that can be searched.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Run {
    pub(in crate::store::sqlite) row: RunRow,
    /// The first entry of each block.
    directory: Vec<(StreamKey, u64)>,
    filter: Filter,
    cache: Arc<BlockCache>,
}

impl Run {
    pub(in crate::store::sqlite) fn new(
        row: RunRow,
        directory: Vec<(StreamKey, u64)>,
        filter: Filter,
        cache: Arc<BlockCache>,
    ) -> Self {
        Self { row, directory, filter, cache }
    }

    /// Reads a stored run's directory and filter.
    pub(in crate::store::sqlite) fn load(
        connection: &Connection,
        row: RunRow,
        cache: Arc<BlockCache>,
    ) -> Result<Self> {
        let mut directory = Vec::new();
        let (mut number, end) = (row.entry_blocks, row.entry_blocks.saturating_add(row.directory_blocks));
        while number < end {
            let block = read_block(connection, row.id, number)?;
            let mut entries = BlockReader::new(&block)?;
            while let Some(entry) = entries.next()? {
                directory.push(entry.order());
            }
            number = number.saturating_add(1);
        }
        let mut bytes = Vec::new();
        while number < row.blocks() {
            bytes.extend_from_slice(unseal(&read_block(connection, row.id, number)?)?);
            number = number.saturating_add(1);
        }
        let filter = Filter::from_bytes(&bytes).ok_or_else(|| unfit(row.id))?;
        let blocks = u64::try_from(directory.len()).unwrap_or(u64::MAX);
        let run = Self { row, directory, filter, cache };
        let fits = blocks == row.entry_blocks && run.stored_newest(connection)? == row.newest;
        if fits { Ok(run) } else { Err(unfit(row.id)) }
    }

    /// The highest transaction id as the entries have it: a wrong one would deny streams that exist.
    fn stored_newest(&self, connection: &Connection) -> Result<u128> {
        let mut newest = 0;
        for family in StreamKey::SIDE_FAMILIES {
            let end = StreamKey { family: family.saturating_add(1), id: 0, rest: 0 };
            let behind = self.directory.partition_point(|(first, _)| *first < end);
            let Some(block) = behind.checked_sub(1) else { continue };
            let bytes = read_block(connection, self.row.id, u64::try_from(block).unwrap_or(u64::MAX))?;
            let mut reader = BlockReader::new(&bytes)?;
            while let Some(entry) = reader.next()? {
                if entry.key.family == family {
                    newest = newest.max(entry.key.id);
                }
            }
        }
        Ok(newest)
    }

    /// Whether the run can hold entries of this key.
    pub(in crate::store::sqlite) fn may_hold(&self, key: &StreamKey) -> bool {
        !(key.is_side() && key.id > self.row.newest) && self.filter.may_hold(key)
    }

    /// The entries of a key behind a version.
    pub(in crate::store::sqlite) fn after(
        &self,
        connection: &Connection,
        key: &StreamKey,
        after: u64,
    ) -> Result<Cursor> {
        let target = (*key, after.saturating_add(1));
        let block = self.directory.partition_point(|first| *first <= target).saturating_sub(1);
        let mut cursor = Cursor { key: *key, block, buffer: Vec::new(), follows_older: false, last: None };
        let mut entries = self.entries(connection, key, block)?;
        cursor.last = entries.last().copied().filter(|_| !self.goes_on(key, block));
        let behind = entries.partition_point(|append| append.last <= after);
        cursor.follows_older = behind > 0;
        entries.drain(..behind);
        entries.reverse();
        cursor.buffer = entries;
        if cursor.buffer.is_empty() {
            cursor.refill(self, connection)?;
        }
        Ok(cursor)
    }

    /// The last entry of a key before a version.
    pub(in crate::store::sqlite) fn before(
        &self,
        connection: &Connection,
        key: &StreamKey,
        before: u64,
    ) -> Result<Option<Append>> {
        let target = (*key, before);
        let behind = self.directory.partition_point(|first| *first < target);
        let Some(block) = behind.checked_sub(1) else { return Ok(None) };
        let entries = self.entries(connection, key, block)?;
        Ok(entries.into_iter().rfind(|append| append.last < before))
    }

    /// The entries of a key in one block.
    fn entries(&self, connection: &Connection, key: &StreamKey, block: usize) -> Result<Vec<Append>> {
        let number = u64::try_from(block).unwrap_or(u64::MAX);
        let read = || {
            let block = read_block(connection, self.row.id, number)?;
            unseal(&block).map(Bytes::copy_from_slice)
        };
        let bytes = self.cache.block(self.row.id, number, read)?;
        let mut reader = BlockReader::checked(&bytes);
        let mut found = Vec::new();
        while let Some(entry) = reader.next()? {
            if entry.key > *key {
                break;
            }
            if entry.key == *key {
                found.push(entry.append);
            }
        }
        Ok(found)
    }

    fn goes_on(&self, key: &StreamKey, block: usize) -> bool {
        self.directory.get(block.saturating_add(1)).is_some_and(|(first, _)| first == key)
    }
}

/// Entries of one key, read block by block.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Cursor {
    key: StreamKey,
    block: usize,
    /// Of the block in hand, the last one first.
    buffer: Vec<Append>,
    /// Whether entries stand before the first one.
    pub(in crate::store::sqlite) follows_older: bool,
    /// The run's last entry of the key, where that was seen.
    pub(in crate::store::sqlite) last: Option<Append>,
}

impl Cursor {
    pub(in crate::store::sqlite) fn first(&self) -> Option<Append> {
        self.buffer.last().copied()
    }

    pub(in crate::store::sqlite) fn next(
        &mut self,
        run: &Run,
        connection: &Connection,
    ) -> Result<Option<Append>> {
        if self.buffer.is_empty() {
            self.refill(run, connection)?;
        }
        Ok(self.buffer.pop())
    }

    fn refill(&mut self, run: &Run, connection: &Connection) -> Result<()> {
        if run.goes_on(&self.key, self.block) {
            self.block = self.block.saturating_add(1);
            self.buffer = run.entries(connection, &self.key, self.block)?;
            self.buffer.reverse();
        }
        Ok(())
    }
}

/// All entries of a run, in order, read block by block.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RunReader {
    row: RunRow,
    block: u64,
    /// Of the block in hand, the last one first.
    buffer: Vec<Entry>,
}

impl RunReader {
    pub(in crate::store::sqlite) fn new(row: RunRow) -> Self {
        Self { row, block: 0, buffer: Vec::new() }
    }

    /// The next entry, which stays.
    pub(in crate::store::sqlite) fn peek(&mut self, connection: &Connection) -> Result<Option<Entry>> {
        if self.buffer.is_empty() && self.block < self.row.entry_blocks {
            let bytes = read_block(connection, self.row.id, self.block)?;
            let mut reader = BlockReader::new(&bytes)?;
            while let Some(entry) = reader.next()? {
                self.buffer.push(entry);
            }
            self.buffer.reverse();
            self.block = self.block.saturating_add(1);
        }
        Ok(self.buffer.last().copied())
    }

    pub(in crate::store::sqlite) fn pop(&mut self) {
        self.buffer.pop();
    }
}

fn read_block(connection: &Connection, run: u64, number: u64) -> Result<Vec<u8>> {
    let read = || -> rusqlite::Result<Option<Vec<u8>>> {
        connection.prepare_cached(BLOCK)?.query_row([block_id(run, number)], |row| row.get(0)).optional()
    };
    let found = read().map_err(|source| failure::of("reading a block of the index", source))?;
    found.ok_or_else(|| Error::corrupt(format!("block {number} of run {run} of the index is missing")))
}

fn unfit(run: u64) -> Error {
    Error::corrupt(format!("directory and filter of run {run} of the index do not fit to it"))
}

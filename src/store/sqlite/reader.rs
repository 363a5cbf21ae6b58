//! Reading, on one connection.
//!
//! A reader sees only durable units. In WAL mode the frames of a commit become visible when the header of
//! the wal-index is rewritten; in SQLite's `walFrames` that is the last step, after the sync of the
//! WAL has returned (`sqlite3OsSync`, then `walIndexAppend`, then `walIndexWriteHdr`), because the
//! writer runs with `synchronous=FULL`. The one exception is a wal-index that is rebuilt from the file, after
//! a crash, when the page cache may hold frames that the disk does not: see `recovery.rs`.
//!
//! In the writer's process the indexes in memory are looked at first and the transaction is begun then: all
//! that they point to is durable by that time. Elsewhere they are brought up to date within the transaction.

use std::sync::Arc;

use rusqlite::Connection;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::EventType;
use crate::limits;
use crate::partition::{PartitionCount, PartitionId};
use crate::store::rows::{KeptRow, Row, RowsRead};
use crate::store::sqlite::index::follow::Follower;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::outline::Head;
use crate::store::sqlite::row::no_partition;
use crate::store::sqlite::{failure, log_read, mark, rows, steps, stream_read, truncation};
use crate::store::transfer::{LogHead, Mark, RowPlace};
use crate::store::{LogPage, OpenStep, OpenStepsRead, StreamPage, StreamRead};
use crate::stream::{Position, StreamName, Version};

/// A connection that reads.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    partitions: PartitionCount,
    index: Index,
}

/// Where a reader has its indexes from.
#[derive(Debug)]
pub(super) enum Index {
    /// The writer is in this process.
    Shared(Arc<Live>),
    /// It is in another one, or there is none.
    Followed(Follower),
}

impl Reader {
    pub(super) fn new(connection: Connection, partitions: PartitionCount, index: Index) -> Self {
        Self { connection, partitions, index }
    }

    /// Reads several streams as of one moment.
    pub(super) fn streams(&mut self, reads: &[StreamRead]) -> Vec<Result<StreamPage>> {
        let result = self.snapshot(|connection, live| Ok(stream_read::pages(connection, live, reads)));
        result.unwrap_or_else(|error| reads.iter().map(|_| Err(error.clone())).collect())
    }

    /// Reads a partition's log, or the records of some types in it.
    pub(super) fn log(
        &mut self,
        partition: PartitionId,
        types: Option<&[EventType]>,
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let partitions = self.partitions;
        self.snapshot(|connection, live| {
            let head = live.head(partition).ok_or_else(|| no_partition(partition, partitions))?;
            let limit = limit.min(limits::PAGE_RECORDS);
            log_read::page(connection, live, partition, types, (after, head.position), limit)
        })
    }

    /// Lists open steps not touched after `until`.
    pub(super) fn open_steps(&mut self, read: &OpenStepsRead, until: Timestamp) -> Result<Vec<OpenStep>> {
        steps::page(&self.connection, read, until)
    }

    /// Reads guarded rows.
    pub(super) fn rows(&mut self, read: &RowsRead) -> Result<Vec<Row>> {
        let partitions = self.partitions;
        if read.partition.get() >= partitions.get() {
            return Err(no_partition(read.partition, partitions));
        }
        rows::page(&self.connection, read)
    }

    /// What is kept of all rows.
    pub(super) fn kept_rows(
        &mut self,
        after: Option<&RowPlace>,
        limit: usize,
    ) -> Result<Vec<(RowPlace, KeptRow)>> {
        rows::all(&self.connection, after, limit)
    }

    /// How far each partition's log goes.
    pub(super) fn heads(&mut self) -> Result<Vec<Position>> {
        let partitions = self.partitions;
        self.snapshot(|_, live| {
            let head = |partition| live.head(partition).ok_or_else(|| no_partition(partition, partitions));
            partitions.all().map(|partition| head(partition).map(|head| head.position)).collect()
        })
    }

    /// How far each partition's log goes, with the times.
    pub(super) fn log_heads(&mut self) -> Result<Vec<LogHead>> {
        let partitions = self.partitions;
        self.snapshot(|_, live| {
            let head = |partition| live.head(partition).ok_or_else(|| no_partition(partition, partitions));
            let told = |head: Head| LogHead { position: head.position, recorded_at: head.time };
            partitions.all().map(|partition| head(partition).map(told)).collect()
        })
    }

    /// The store's mark.
    pub(super) fn mark(&mut self) -> Result<Mark> {
        mark::read(&self.connection)
    }

    /// The streams that have a floor, by name.
    pub(super) fn floors(
        &mut self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<(StreamName, Version)>> {
        truncation::floors(&self.connection, after, limit)
    }

    /// The open steps by the names of their streams.
    pub(super) fn steps_by_name(
        &mut self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<OpenStep>> {
        steps::by_name(&self.connection, after, limit)
    }

    /// Runs `read` in one read transaction, which ends with it: a long one would keep the WAL from
    /// starting over.
    fn snapshot<T>(&mut self, read: impl FnOnce(&Connection, &Live) -> Result<T>) -> Result<T> {
        let fail = |source| failure::of("a read transaction", source);
        self.connection.execute_batch("BEGIN").map_err(fail)?;
        let result = match &mut self.index {
            // What was begun has read nothing yet: SQLite takes its snapshot with the first read.
            Index::Shared(live) => read(&self.connection, live),
            Index::Followed(follower) => {
                follower.follow(&self.connection).and_then(|live| read(&self.connection, &live))
            }
        };
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").map_err(fail)?;
        }
        result
    }
}

//! The writer on a simulated disk, driven inline.

use rusqlite::{Connection, OpenFlags};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::store::rows::{Row, RowsRead};
use crate::store::sqlite::index::keeper::Keeper;
use crate::store::sqlite::keeping;
use crate::store::sqlite::options::Options;
use crate::store::sqlite::prepared::PreparedList;
use crate::store::sqlite::status::{Shared, Status};
use crate::store::sqlite::upkeep::Upkeep;
use crate::store::sqlite::writer::{self, List, Writer};
use crate::store::sqlite::{closed, failure, log_read, open, rows, settings, steps, stream_read};
use crate::store::{LogPage, OpenStep, OpenStepsRead, StreamPage, StreamRead, UnitResult};
use crate::stream::Position;

/// What the writer's thread drives, for a program that drives it itself: the same steps, one at a time.
#[derive(Debug)]
pub struct InlineWriter {
    writer: Writer,
    keeper: Keeper,
    /// Units that a table holds.
    full: usize,
    upkeep: Upkeep,
    status: Shared,
}

impl InlineWriter {
    /// Commits all lists in one transaction, and answers each unit.
    pub fn commit(&mut self, lists: &[List]) -> Vec<Vec<UnitResult>> {
        let prepare = |list: &List| PreparedList::new(list.0, list.1.clone(), self.writer.properties());
        let mut lists: Vec<_> = lists.iter().map(prepare).collect();
        self.writer.commit(&mut lists)
    }

    /// What the threads do after they have answered: checkpoints, when they are due, and a piece of the indexes.
    pub fn rest(&mut self) {
        self.writer.live().seal(self.full);
        if self.writer.stopped().is_none() {
            let error = keeping::step(&mut self.keeper, &mut self.writer).err();
            self.status.change(|status| status.index_error = error.map(|error| error.to_string()));
        }
        self.upkeep.run(&self.writer);
    }

    /// Reads a partition's log, as [`read_log`](crate::EventStore::read_log) does.
    ///
    /// # Errors
    /// When the log or the indexes cannot be read.
    pub fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        let (connection, live) = (self.writer.connection(), self.writer.live());
        let head = live.head(partition).map_or(Position::START, |head| head.position);
        log_read::page(connection, live, partition, None, (after, head), limit)
    }

    /// Reads streams, as [`read_streams`](crate::EventStore::read_streams) does.
    pub fn read_streams(&self, reads: &[StreamRead]) -> Vec<Result<StreamPage>> {
        stream_read::pages(self.writer.connection(), self.writer.live(), reads)
    }

    /// Lists open steps, as [`open_steps`](crate::EventStore::open_steps) does, whatever their age.
    ///
    /// # Errors
    /// When their table cannot be read.
    pub fn open_steps(&self, read: &OpenStepsRead) -> Result<Vec<OpenStep>> {
        steps::page(self.writer.connection(), read, Timestamp::MAX)
    }

    /// Reads rows, as [`rows`](crate::EventStore::rows) does.
    ///
    /// # Errors
    /// When their table cannot be read.
    pub fn rows(&self, read: &RowsRead) -> Result<Vec<Row>> {
        rows::page(self.writer.connection(), read)
    }

    /// Closes partitions, as [`close_partitions`](crate::EventStore::close_partitions) does.
    ///
    /// # Errors
    /// As a failed commit.
    pub fn close_partitions(
        &mut self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        closed::close(&mut self.writer, partitions, through)
    }

    /// Why it stopped for good, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<&Error> {
        self.writer.stopped()
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.get()
    }
}

impl Options {
    /// The writer alone, without files and threads of its own, on a disk that SQLite knows as `vfs`: for
    /// simulations, which drive it inline. Lock, recovery and the network check are the caller's. There is no
    /// renaming on such a disk: a store is made in one transaction instead.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn simulated_writer(&self, vfs: &str) -> Result<InlineWriter> {
        settings::check_library()?;
        make(self, vfs)?;
        let (connection, properties) = open::open_writer(self, Some(vfs))?;
        writer::open_epoch(&connection)?;
        let (writer, keeper) = open::open_index(self, connection, properties)?;
        let status = Shared::default();
        let upkeep = Upkeep::new(self.wal, status.clone(), None);
        Ok(InlineWriter { writer, keeper, full: self.flush_after, upkeep, status })
    }
}

fn make(options: &Options, vfs: &str) -> Result<()> {
    let fail = |source| failure::of("looking for a store", source);
    let flags = settings::writer_flags() | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags_and_vfs(&options.path, flags, vfs).map_err(fail)?;
    settings::keep_wal_on_close(&connection, true)?;
    let tables: i64 =
        connection.query_row(include_str!("sql/is_empty.sql"), [], |row| row.get(0)).map_err(fail)?;
    if tables == 0 { open::fill(&connection, options) } else { Ok(()) }
}

//! The writer on a simulated disk, driven inline.

use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::store::UnitResult;
use crate::store::sqlite::options::Options;
use crate::store::sqlite::status::{Shared, Status};
use crate::store::sqlite::upkeep::Upkeep;
use crate::store::sqlite::writer::{self, List, Writer};
use crate::store::sqlite::{failure, open, settings};

/// What the writer's thread drives, for a program that drives it itself: the same steps, one at a time.
#[derive(Debug)]
pub struct InlineWriter {
    writer: Writer,
    upkeep: Upkeep,
    status: Shared,
}

impl InlineWriter {
    /// Commits all lists in one transaction, and answers each unit.
    pub fn commit(&mut self, lists: &[List]) -> Vec<Vec<UnitResult>> {
        self.writer.commit(lists)
    }

    /// What the thread does after it has answered: checkpoints, when they are due.
    pub fn rest(&mut self) {
        self.upkeep.run(&self.writer);
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
        let status = Shared::default();
        let upkeep = Upkeep::new(self.wal, status.clone());
        let writer = Writer::new(connection, properties, Arc::clone(&self.clock));
        Ok(InlineWriter { writer, upkeep, status })
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

//! The writer on a simulated disk.

use rusqlite::{Connection, OpenFlags};

use crate::error::Result;
use crate::store::sqlite::options::Options;
use crate::store::sqlite::writer::{self, Writer};
use crate::store::sqlite::{failure, open, settings};

/// Opens the store on the disk that SQLite knows as `vfs`, and makes it there if the disk has none. There is
/// no renaming on such a disk: a store is made in one transaction instead.
pub(super) fn writer(options: &Options, vfs: &str) -> Result<Writer> {
    settings::check_library()?;
    make(options, vfs)?;
    let (connection, properties) = open::open_writer(options, Some(vfs))?;
    writer::open_epoch(&connection)?;
    Ok(Writer::new(connection, properties, std::sync::Arc::clone(&options.clock)))
}

fn make(options: &Options, vfs: &str) -> Result<()> {
    let fail = |source| failure::of("looking for a store", source);
    let flags = settings::writer_flags() | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags_and_vfs(&options.path, flags, vfs).map_err(fail)?;
    settings::keep_wal_on_close(&connection, true)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fail)?;
    if tables == 0 { open::fill(&connection, options) } else { Ok(()) }
}

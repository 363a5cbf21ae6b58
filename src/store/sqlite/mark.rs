//! What the store knows of a move that it is part of: see [`Mark`].

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, Result};
use crate::store::sqlite::failure;
use crate::store::sqlite::options::{Options, Role};
use crate::store::transfer::Mark;
use uuid::Uuid;

const READ: &str = include_str!("sql/mark.sql");
const SET: &str = include_str!("sql/set_mark.sql");
const REMOVE: &str = include_str!("sql/remove_mark.sql");

/// Reads the mark.
pub(super) fn read(connection: &Connection) -> Result<Mark> {
    let read = || -> rusqlite::Result<Option<(i64, String)>> {
        connection.query_row(READ, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    };
    let found = read().map_err(|source| failure::of("reading the mark of a move", source))?;
    found.map_or(Ok(Mark::None), |(code, place)| Mark::stored(code, place))
}

/// Writes the mark.
pub(super) fn write(connection: &Connection, mark: &Mark) -> rusqlite::Result<()> {
    match mark {
        Mark::None => connection.execute(REMOVE, []).map(drop),
        other => connection.execute(SET, params![other.code(), other.place()]).map(drop),
    }
}

/// Demands that the store, which has this mark and id, may be opened for writing in the role that is asked for.
pub(super) fn demand(options: &Options, mark: &Mark, id: Uuid) -> Result<()> {
    match &options.role {
        Role::Service => mark.refuses_appends().map_or(Ok(()), Err),
        Role::Source => Ok(()),
        Role::CopyOf(wanted) if *wanted == id => Ok(()),
        Role::CopyOf(wanted) => {
            Err(Error::invalid(format!("there is another store at {}", options.path.display()))
                .expected(format!("no file, or a copy of store {wanted}"), format!("store {id}"))
                .advice("choose a path where there is none; the file was not changed"))
        }
    }
}

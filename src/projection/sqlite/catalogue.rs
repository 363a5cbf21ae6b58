//! What a file knows of its generation, and of those beside it.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::{Error, Result};
use crate::projection::generation::{Role, moved_on, not_building};
use crate::projection::place::Place;
use crate::projection::sqlite::file::failed;

/// The one row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) is_building: bool,
    pub(super) building: Option<u32>,
    /// Set where the generation was live and is no longer.
    pub(super) successor: Option<u32>,
}

pub(super) fn find(connection: &Connection) -> Result<Entry> {
    let read = |row: &Row<'_>| {
        let (number, is_building) = (row.get(0)?, row.get(1)?);
        Ok(Entry { number, is_building, building: row.get(2)?, successor: row.get(3)? })
    };
    let mut statement =
        connection.prepare_cached(include_str!("sql/view_generation_find.sql")).map_err(fail)?;
    let found = statement.query_row([], read).optional().map_err(fail)?;
    found.ok_or_else(|| Error::corrupt("a view does not know its generation").advice("make the view anew"))
}

/// Demands that a place may be opened here, in the transaction that the caller began.
pub(super) fn admit_opening(connection: &Connection, place: &Place, role: Role) -> Result<()> {
    let entry = find(connection)?;
    demand(&entry, place, role)?;
    if entry.is_building && role == Role::Live {
        // Whoever comes by the live one's name finds it live: no one builds it any more.
        return change(connection, include_str!("sql/view_generation_live.sql"), None);
    }
    Ok(())
}

/// Demands that a batch may be committed here.
pub(super) fn admit_batch(connection: &Connection, place: &Place, role: Role) -> Result<()> {
    demand(&find(connection)?, place, role)
}

fn demand(entry: &Entry, place: &Place, role: Role) -> Result<()> {
    match role {
        Role::Live if entry.successor.is_some() => Err(moved_on(place)),
        Role::Building(_) if !entry.is_building => Err(not_building(place)),
        Role::Live | Role::Building(_) => Ok(()),
    }
}

/// Begins to build a generation beside this one, where none is; says which.
pub(super) fn build(connection: &Connection) -> Result<Option<u32>> {
    change(connection, include_str!("sql/view_generation_build.sql"), None)?;
    Ok(find(connection)?.building)
}

pub(super) fn give_up(connection: &Connection, number: u32) -> Result<()> {
    change(connection, include_str!("sql/view_generation_give_up.sql"), Some(number))
}

/// Another generation is live instead of this one.
pub(super) fn switch(connection: &Connection, to: u32) -> Result<()> {
    change(connection, include_str!("sql/view_generation_switch.sql"), Some(to))
}

/// The first file leads straight to the live one.
pub(super) fn skip(connection: &Connection, to: u32) -> Result<()> {
    change(connection, include_str!("sql/view_generation_skip.sql"), Some(to))
}

fn change(connection: &Connection, sql: &str, number: Option<u32>) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(fail)?;
    match number {
        Some(number) => statement.execute([number]),
        None => statement.execute([]),
    }
    .map(drop)
    .map_err(fail)
}

fn fail(source: rusqlite::Error) -> Error {
    failed("looking at a view's generation", source)
}

//! The schema's numbered steps. Each is kept with its checksum, so that a store says which schema it has,
//! and one that this program does not know is refused before anything is written.

use rusqlite::{Connection, params};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::store::sqlite::failure;

/// "side" in ASCII: tells a store of ours from every other SQLite database.
const APPLICATION_ID: i64 = 0x7369_6465;

const TABLE: &str = include_str!("sql/migrations.sql");

/// Every step, in order. A step that was released never changes.
const STEPS: &[&str] = &[
    include_str!("sql/0001_store.sql"),
    include_str!("sql/0002_copy.sql"),
    include_str!("sql/0003_rows.sql"),
];

/// Demands that the database is a store of ours, by its header alone.
pub(super) fn check_application(connection: &Connection) -> Result<()> {
    let found: i64 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(not_a_database)?;
    if found == APPLICATION_ID {
        return Ok(());
    }
    Err(Error::invalid("the file is a SQLite database, but no sidestream store")
        .expected(format!("application id {APPLICATION_ID:#x}"), format!("{found:#x}"))
        .advice("check the path; the file was not changed"))
}

/// Demands that every step the store went through is known, and says how many it lacks.
pub(super) fn check(connection: &Connection) -> Result<usize> {
    check_application(connection)?;
    let applied = applied(connection).map_err(|source| failure::of("reading the schema's steps", source))?;
    for (number, checksum) in (1_i64..).zip(&applied) {
        let (found, stored) = checksum;
        if *found != number {
            return Err(Error::corrupt("a step of the schema is missing").expected(number, found));
        }
        let step = usize::try_from(number).ok().and_then(|n| STEPS.get(n.checked_sub(1)?));
        let step = step.ok_or_else(|| newer(applied.len()))?;
        if *stored != checksum_of(step) {
            return Err(changed(number));
        }
    }
    Ok(STEPS.len().saturating_sub(applied.len()))
}

/// Makes a new store's schema, or brings an older one up to date, in the transaction that the caller
/// opened.
pub(super) fn apply(connection: &Connection, now: Timestamp) -> Result<()> {
    let fail = |source| failure::of("making the schema", source);
    connection.execute_batch(TABLE).map_err(fail)?;
    let done = applied(connection).map_err(fail)?.len();
    for (number, step) in (1_i64..).zip(STEPS).skip(done) {
        connection.execute_batch(step).map_err(fail)?;
        let parameters = params![number, checksum_of(step), now.as_micros()];
        connection.execute(include_str!("sql/add_migration.sql"), parameters).map_err(fail)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<(i64, [u8; 32])>> {
    let mut statement = connection.prepare(include_str!("sql/applied_migrations.sql"))?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn checksum_of(step: &str) -> [u8; 32] {
    *blake3::hash(step.as_bytes()).as_bytes()
}

fn newer(found: usize) -> Error {
    Error::invalid("the store has a newer schema than this program knows")
        .expected(format!("at most step {}", STEPS.len()), format!("step {found}"))
        .advice("use the version of sidestream that wrote it, or a newer one; the file was not changed")
}

fn changed(number: i64) -> Error {
    Error::invalid(format!("step {number} of the store's schema is not the one this program knows"))
        .expected("the same checksum", "another one")
        .advice("use the version of sidestream that made the store; the file was not changed")
}

fn not_a_database(source: rusqlite::Error) -> Error {
    if failure::is_corrupt(&source) {
        return Error::invalid("the file is no SQLite database")
            .advice("check the path; the file was not changed")
            .caused_by(source);
    }
    failure::of("reading the database's header", source)
}

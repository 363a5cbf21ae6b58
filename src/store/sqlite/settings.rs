//! SQLite's settings: each is set and then read back, and a store with another one does not start.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::store::sqlite::failure;

/// The first version without the WAL-reset bug: in older ones (3.7.0 to 3.51.2) two connections that write
/// and checkpoint at the same instant can corrupt the database.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a lock of another connection is waited for. The lock file leaves only readers'
/// recovery and foreign tools to wait for.
pub(super) const BUSY_MS: i64 = 2_000;

/// Size above which the WAL file is cut when it starts over.
const JOURNAL_LIMIT_BYTES: i64 = 64 << 20;

/// Prepared statements that a connection keeps; there are fewer.
const STATEMENTS: usize = 64;

/// Settings of every connection.
const COMMON: &[(&str, i64)] = &[
    ("busy_timeout", BUSY_MS),
    ("foreign_keys", 1),
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    // A memory map turns a bad pointer of this process into a bad database.
    ("mmap_size", 0),
];

/// Settings of the writer. Its checkpoints run when it chooses, never inside a commit.
const WRITER: &[(&str, i64)] = &[
    // 2 is FULL: a commit returns after the WAL is synced. In a power cut NORMAL loses commits that were
    // answered.
    ("synchronous", 2),
    ("wal_autocheckpoint", 0),
    // In KiB where negative. A batch that does not fit is written to the WAL twice: it has 8 MiB at most, as a
    // rule. The log is only appended to, so more would be of no use.
    ("cache_size", -24_576),
    ("journal_size_limit", JOURNAL_LIMIT_BYTES),
    #[cfg(target_os = "macos")]
    ("fullfsync", 1),
    #[cfg(target_os = "macos")]
    ("checkpoint_fullfsync", 1),
];

/// Settings of readers.
const READER: &[(&str, i64)] = &[("query_only", 1), ("cache_size", -16_384)];

/// Demands a SQLite that keeps what it is given.
pub(super) fn check_library() -> Result<()> {
    let found = rusqlite::version_number();
    if found >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(Error::invalid("this program is linked with a SQLite that can corrupt a WAL")
        .expected(format!("at least {OLDEST_SQLITE}"), found)
        .advice("build with the bundled SQLite"))
}

/// How the writer's connection is opened.
pub(super) fn writer_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE
}

/// How a reader's connection is opened.
pub(super) fn reader_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE
}

/// Keeps a connection from touching the files when it is closed: after a failed commit nothing may be
/// synced again. Only a clean stop checkpoints, by itself.
pub(super) fn keep_wal_on_close(connection: &Connection, keep: bool) -> Result<()> {
    db_config(connection, DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
}

/// Sets up the writer's connection.
pub(super) fn writer(connection: &Connection) -> Result<()> {
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|source| failure::of("switching to WAL", source))?;
    if mode != "wal" {
        return Err(refused("journal_mode", "wal", &mode));
    }
    common(connection)?;
    WRITER.iter().try_for_each(|(name, value)| set(connection, name, *value))
}

/// Sets up a reader's connection.
fn reader(connection: &Connection) -> Result<()> {
    common(connection)?;
    READER.iter().try_for_each(|(name, value)| set(connection, name, *value))
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, reader_flags())
        .map_err(|source| failure::of("opening the database for reading", source))?;
    reader(&connection)?;
    Ok(connection)
}

/// Opens the connection that checkpoints. It commits nothing.
pub(super) fn open_checkpointer(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, writer_flags())
        .map_err(|source| failure::of("opening the database for checkpoints", source))?;
    keep_wal_on_close(&connection, true)?;
    writer(&connection)?;
    Ok(connection)
}

/// The settings of a connection as they are, by name.
pub(super) fn read_all(connection: &Connection) -> Result<Vec<(String, String)>> {
    let names = ["journal_mode"].into_iter().chain(WRITER.iter().chain(COMMON).map(|(name, _)| *name));
    names.map(|name| Ok((name.to_owned(), show(&get(connection, name)?)))).collect()
}

fn common(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    db_config(connection, DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Without the stability guarantee SQLite prepares a statement anew whenever another value is bound that
    // its planner might look at: most of a read's time.
    db_config(connection, DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    COMMON.iter().try_for_each(|(name, value)| set(connection, name, *value))
}

fn db_config(connection: &Connection, config: DbConfig, on: bool) -> Result<()> {
    let found = connection.set_db_config(config, on).map_err(|source| failure::of("a setting", source))?;
    if found == on {
        Ok(())
    } else {
        Err(refused(&format!("{config:?}"), &on.to_string(), &found.to_string()))
    }
}

fn set(connection: &Connection, name: &str, value: i64) -> Result<()> {
    connection
        .execute_batch(&format!("PRAGMA {name} = {value}"))
        .map_err(|source| failure::of(&format!("setting {name}"), source))?;
    let found = get(connection, name)?;
    if found == Value::Integer(value) {
        Ok(())
    } else {
        Err(refused(name, &value.to_string(), &show(&found)))
    }
}

/// A setting that a disk or file system does not offer (a memory map, say) has no row, which is zero.
fn get(connection: &Connection, name: &str) -> Result<Value> {
    let read = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    match read {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(Value::Integer(0)),
        other => other.map_err(|source| failure::of(&format!("reading {name}"), source)),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn refused(name: &str, expected: &str, found: &str) -> Error {
    Error::invalid(format!("sqlite: the setting {name} does not take effect"))
        .expected(expected, found)
        .advice("use the bundled SQLite on a local file system with shared memory; acknowledged commits would not be safe otherwise")
}

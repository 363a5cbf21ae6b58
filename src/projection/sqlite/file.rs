//! The view's file: opened, checked, set up.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, ErrorKind, Result};
use crate::projection::sqlite::options::Options;

/// "view" in ASCII: tells a view's file from every other SQLite database.
const APPLICATION_ID: i64 = 0x7669_6577;
/// The schema of the view's own tables.
const SCHEMA: i64 = 2;
/// The schema of views without generations: it is brought up to date.
const FIRST_SCHEMA: i64 = 1;
/// The first SQLite that cannot corrupt a WAL by checkpoints at the wrong instant.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Prepared statements that the writing connection keeps.
const STATEMENTS: usize = 256;
/// The generation that is live in a new view.
pub(super) const FIRST: u32 = 1;
/// The tables that handlers leave alone.
const OWN: &str = "sidestream_";

/// Set and read back; a view with another value does not open.
const SETTINGS: &[(&str, i64)] = &[
    ("busy_timeout", 2_000),
    ("foreign_keys", 1),
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    ("mmap_size", 0),
    ("wal_autocheckpoint", 4_000),
    ("journal_size_limit", 64 << 20),
    ("cache_size", -65_536),
    #[cfg(target_os = "macos")]
    ("fullfsync", 1),
    #[cfg(target_os = "macos")]
    ("checkpoint_fullfsync", 1),
];

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_PRIVATE_CACHE);

/// Opens the connection that writes to the file of a generation, and makes the file where there is none. While
/// `in_handler` is set, statements that a handler may not use are refused.
pub(super) fn open(options: &Options, number: u32, in_handler: &Arc<AtomicBool>) -> Result<Connection> {
    check_library()?;
    let path = &options.path;
    make_private(path)?;
    probe(path)?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE.union(FLAGS))
        .map_err(|source| failed("opening a view", source))?;
    set_up(&connection, options)?;
    make_schema(&connection, number)?;
    let in_handler = Arc::clone(in_handler);
    let judge = move |context: AuthContext<'_>| judge(&context.action, in_handler.load(Ordering::Relaxed));
    connection.authorizer(Some(judge)).map_err(|source| failed("guarding a view", source))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let fail = |source| failed("opening a view for reading", source);
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY.union(FLAGS)).map_err(fail)?;
    for (name, value) in [("busy_timeout", 2_000), ("trusted_schema", 0), ("mmap_size", 0), ("query_only", 1)]
    {
        set(&connection, name, value)?;
    }
    Ok(connection)
}

fn check_library() -> Result<()> {
    let found = rusqlite::version_number();
    if found >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(Error::invalid("this program is linked with a SQLite that can corrupt a WAL")
        .expected(format!("at least {OLDEST_SQLITE}"), found)
        .advice("build with the bundled SQLite"))
}

/// Makes the file for its owner only.
fn make_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::new(ErrorKind::Unavailable, format!("a view cannot be made at {}", path.display()))
                .advice("look at the path's permissions and at the disk")
                .caused_by(source))
        }
        _ => Ok(()),
    }
}

/// Demands that the file is a view, or empty, before anything is written. A connection that only reads leaves a file
/// as it is, also when it is closed.
fn probe(path: &Path) -> Result<()> {
    let fail = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => foreign(path).caused_by(source),
        _ => failed("reading a view's header", source),
    };
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY.union(FLAGS)).map_err(fail)?;
    let number = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (application, schema) =
        (number("application_id").map_err(fail)?, number("user_version").map_err(fail)?);
    let is_empty =
        || connection.query_row(include_str!("sql/view_is_empty.sql"), [], |row| row.get::<_, bool>(0));
    match (application, schema) {
        (APPLICATION_ID, FIRST_SCHEMA | SCHEMA) => Ok(()),
        (APPLICATION_ID, found) => Err(Error::invalid("the view has another schema than this program knows")
            .expected(SCHEMA, found)
            .advice("use the version of sidestream that made it, or make the view anew in another file")),
        (0, _) if is_empty().map_err(fail)? => Ok(()),
        _ => Err(foreign(path)),
    }
}

fn foreign(path: &Path) -> Error {
    Error::invalid(format!("{} is another database's file, and no view", path.display()))
        .expected("a file of the view's own", "a store, or something else")
        .advice("choose another path; the file was not changed")
}

fn set_up(connection: &Connection, options: &Options) -> Result<()> {
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|source| failed("switching a view to WAL", source))?;
    if mode != "wal" {
        return Err(refused("journal_mode", "wal", &mode));
    }
    // 2 is FULL, 1 is NORMAL.
    set(connection, "synchronous", if options.may_lose_the_latest { 1 } else { 2 })?;
    SETTINGS.iter().try_for_each(|(name, value)| set(connection, name, *value))?;
    options.most_pages.map_or(Ok(()), |pages| set(connection, "max_page_count", i64::from(pages)))
}

/// Sets, and reads back.
fn set(connection: &Connection, name: &str, value: i64) -> Result<()> {
    let fail = |source| failed(&format!("setting {name}"), source);
    connection.execute_batch(&format!("PRAGMA {name} = {value}")).map_err(fail)?;
    let found = match connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)) {
        // What this file system does not offer (a memory map, say) has no row.
        Err(rusqlite::Error::QueryReturnedNoRows) => Value::Integer(0),
        found => found.map_err(fail)?,
    };
    if found == Value::Integer(value) {
        Ok(())
    } else {
        Err(refused(name, &value.to_string(), &format!("{found:?}")))
    }
}

fn refused(name: &str, expected: &str, found: &str) -> Error {
    Error::invalid(format!("a view's setting {name} does not take effect"))
        .expected(expected, found)
        .advice("use the bundled SQLite on a local file system with shared memory")
}

/// Makes the view's own tables, in one transaction. Of two that open a new file at once one finds them made.
fn make_schema(connection: &Connection, number: u32) -> Result<()> {
    let work = || -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let is_new: bool =
            connection.query_row(include_str!("sql/view_is_empty.sql"), [], |row| row.get(0))?;
        if is_new {
            connection.execute_batch(include_str!("sql/view.sql"))?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if schema < SCHEMA {
            connection.execute_batch(include_str!("sql/view_generation.sql"))?;
            // Only the first generation is live from its beginning on.
            let begin = include_str!("sql/view_generation_begin.sql");
            connection.execute(begin, (number, number != FIRST))?;
            connection.pragma_update(None, "user_version", SCHEMA)?;
        }
        // Came later; a program that does not know it leaves it alone.
        connection.execute_batch(include_str!("sql/view_joins.sql"))?;
        connection.execute_batch("COMMIT")
    };
    work().map_err(|source| failed("making a view", source))
}

/// Whether a statement may be used: a handler's transaction is the view's, and so are its own tables.
fn judge(action: &AuthAction<'_>, in_handler: bool) -> Authorization {
    let is_own = |table: &str| table.starts_with(OWN);
    let is_refused = match action {
        AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Pragma { .. } => true,
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. } => is_own(table_name),
        AuthAction::CreateTrigger { table_name, .. } | AuthAction::CreateIndex { table_name, .. } => {
            is_own(table_name)
        }
        _ => false,
    };
    if in_handler && is_refused { Authorization::Deny } else { Authorization::Allow }
}

/// An error of SQLite that is not a handler's fault.
pub(super) fn failed(what: &str, source: rusqlite::Error) -> Error {
    let is_corrupt =
        matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
    let kind = if is_corrupt { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
    let error = Error::new(kind, format!("sqlite: {what} failed")).caused_by(source);
    if is_corrupt {
        error.advice("make the view anew in another file: the log has everything")
    } else {
        error
    }
}

/// Whether the database is to blame, and not the statement or what it was given.
pub(super) fn is_of_the_database(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
        )
    )
}

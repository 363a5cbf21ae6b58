//! Moving commits from the write-ahead log into the database, off the path of answers.

use std::time::Duration;

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::failure;
use crate::store::sqlite::settings::BUSY_MS;

/// How large the write-ahead log may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalLimits {
    /// What was not moved is checkpointed from here on.
    pub checkpoint_bytes: u64,
    /// From here on it is to start over: the writer moves the last of it, and waits a moment for readers. A log that
    /// has grown once is synced faster than one that grows.
    pub restart_bytes: u64,
    /// From here on appends are refused as overloaded, until readers let it start over.
    pub most_bytes: u64,
}

impl Default for WalLimits {
    fn default() -> Self {
        Self { checkpoint_bytes: 8 << 20, restart_bytes: 16 << 20, most_bytes: 256 << 20 }
    }
}

/// How long a restart waits for readers. Commands wait behind it.
const RESTART_WAIT: Duration = Duration::from_millis(20);

/// What a WAL holds, in frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Frames {
    pub(super) in_wal: u64,
    pub(super) moved: u64,
    /// Some reader or writer was in the way.
    pub(super) busy: bool,
}

impl Frames {
    /// What is still to be moved.
    pub(super) fn left(self) -> u64 {
        self.in_wal.saturating_sub(self.moved)
    }
}

/// What the WAL holds. Does nothing to it.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<Frames> {
    run(connection, "PRAGMA wal_checkpoint(NOOP)")
}

/// Moves what no reader is in the way of, and waits for nobody. When all was moved and no reader is left
/// behind, the next commit lets the WAL start over.
pub(super) fn passive(connection: &Connection) -> rusqlite::Result<Frames> {
    run(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Moves everything and lets the WAL start over, waiting a moment for readers.
pub(super) fn restart(connection: &Connection) -> rusqlite::Result<Frames> {
    briefly(connection, "PRAGMA wal_checkpoint(RESTART)")
}

/// Moves everything and empties the file: the sign of a clean stop.
pub(super) fn truncate(connection: &Connection) -> Result<Frames> {
    briefly(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        .map_err(|source| failure::of("the last checkpoint", source))
}

fn briefly(connection: &Connection, sql: &str) -> rusqlite::Result<Frames> {
    connection.busy_timeout(RESTART_WAIT)?;
    let result = run(connection, sql);
    connection.busy_timeout(Duration::from_millis(BUSY_MS.unsigned_abs()))?;
    result
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<Frames> {
    connection.prepare_cached(sql)?.query_row([], |row| {
        let frames = |at| row.get::<_, i64>(at).map(|count| u64::try_from(count).unwrap_or(0));
        Ok(Frames { busy: row.get::<_, i64>(0)? != 0, in_wal: frames(1)?, moved: frames(2)? })
    })
}
